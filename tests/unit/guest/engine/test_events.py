import threading

import pytest

from pyd_guest.engine.events import KEPT, QUEUE_MAX, Event, Events, event_filter


def quiet() -> None:
    """Wake nobody."""


def make(clock: int = 10**18) -> Events:
    return Events(clock_ns=lambda: clock)


def test_the_shape_of_a_container_event() -> None:
    event = Event("container", "start", "id1", {"image": "bb", "name": "n"}, 1795526986917281445)
    assert event.to_wire() == {
        "status": "start",
        "id": "id1",
        "from": "bb",
        "Type": "container",
        "Action": "start",
        "Actor": {"ID": "id1", "Attributes": {"image": "bb", "name": "n"}},
        "scope": "local",
        "time": 1795526986,
        "timeNano": 1795526986917281445,
    }


def test_old_fields_are_for_containers_and_images() -> None:
    assert "from" not in Event("image", "pull", "x", {"name": "x"}, 1).to_wire()
    assert Event("image", "pull", "x", {}, 1).to_wire()["status"] == "pull"
    assert "status" not in Event("network", "connect", "x", {}, 1).to_wire()


def test_subscribers_get_what_comes_and_what_was_since() -> None:
    events = make()
    for action in ("create", "start", "die"):
        events.publish("container", action, "c", {})
    woken: list[int] = []
    late = events.subscribe(lambda: woken.append(1), since_ns=10**18 + 1)
    fresh = events.subscribe(quiet)
    events.publish("container", "destroy", "c", {})
    assert [event.action for event in late.take()] == ["start", "die", "destroy"]
    assert [event.action for event in fresh.take()] == ["destroy"]
    assert woken
    assert late.take() == []
    events.unsubscribe(late)
    events.unsubscribe(fresh)
    events.unsubscribe(fresh)
    assert events.listeners == 0


def test_times_never_stand_still() -> None:
    events = make()
    everything = events.subscribe(quiet)
    for _ in range(5):
        events.publish("container", "x", "c", {})
    times = [event.time_ns for event in everything.take()]
    assert times == sorted(set(times))


def test_only_the_last_are_kept() -> None:
    events = make()
    for number in range(KEPT + 10):
        events.publish("container", str(number), "c", {})
    kept = events.subscribe(quiet, since_ns=0).take()
    assert len(kept) == KEPT
    assert kept[-1].action == str(KEPT + 9)


def test_e15_a_subscriber_that_does_not_take_is_cut_off() -> None:
    events = make()
    lazy = events.subscribe(quiet)
    for number in range(QUEUE_MAX + 5):
        events.publish("container", str(number), "c", {})
    assert lazy.overrun
    assert len(lazy.take()) == QUEUE_MAX
    events.publish("container", "later", "c", {})
    assert lazy.take() == []


def test_publishing_from_many_threads() -> None:
    events = Events()
    everything = events.subscribe(quiet)

    def work() -> None:
        for _ in range(100):
            events.publish("container", "x", "c", {})

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times = [event.time_ns for event in everything.take()]
    assert len(times) == 800
    assert times == sorted(set(times))


START = Event(
    "container", "start", "abcdef", {"name": "web", "image": "reg:5/bb:1", "l": "1", "m": ""}, 1
)
EXEC = Event("container", "exec_create: sh", "abcdef", {"name": "web"}, 1)
PULL = Event("image", "pull", "bb:1", {"name": "bb"}, 1)
NET = Event("network", "connect", "0123", {"name": "bridge"}, 1)


@pytest.mark.parametrize(
    ("filters", "matching"),
    [
        ({}, [START, EXEC, PULL, NET]),
        ({"type": ["image", "network"]}, [PULL, NET]),
        ({"event": ["start"]}, [START]),
        ({"event": ["exec_create"]}, [EXEC]),
        ({"container": ["web"]}, [START, EXEC]),
        ({"container": ["abc"]}, [START, EXEC]),
        ({"container": ["nope"]}, []),
        ({"network": ["bridge"]}, [NET]),
        ({"image": ["bb"]}, [PULL]),
        ({"image": ["bb:1"]}, [PULL]),
        ({"image": ["reg:5/bb"]}, [START]),
        ({"label": ["l"]}, [START]),
        ({"label": ["l=1", "m"]}, [START]),
        ({"label": ["l=2"]}, []),
        ({"scope": ["local"]}, [START, EXEC, PULL, NET]),
        ({"scope": ["swarm"]}, []),
        ({"unknown": ["x"]}, [START, EXEC, PULL, NET]),
        ({"type": ["container"], "event": ["start", "die"]}, [START]),
    ],
)
def test_filters(filters: dict[str, list[str]], matching: list[Event]) -> None:
    matches = event_filter(filters)
    assert [event for event in (START, EXEC, PULL, NET) if matches(event)] == matching
