"""Each step of create, start, end and remove fails in turn, in a real engine."""

import functools
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from pyd_api.errors import InternalError, PydError
from pyd_guest.daemon import compose
from pyd_guest.engine import ending
from pyd_guest.engine.model import Created, Exited, Running
from pyd_guest.engine.parts import Parts
from pyd_guest.linux.pidfd import is_alive, open_process
from pyd_guest.runtime.conmon import RuntimeFailedError
from support import own_engine
from support.inventory import Inventory, settled
from support.own_engine import Place, after, body, known, over, raising, sleeper, swapped

pytestmark = [pytest.mark.needs("root", "conmon")]

DISK_FULL = OSError(28, os.strerror(28))
BROKEN = InternalError("the disk is gone")


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with own_engine.place() as made:
        yield made


def in_engine(test: Callable[[compose.Engine, Place], None]) -> Callable[[Place], None]:
    """Run a test in the engine's process; the machine is as before when the engine is gone."""

    @functools.wraps(test)
    def wrapped(place: Place) -> None:
        before = place.look()

        def act() -> None:
            with compose.engine(place.config()) as engine:
                try:
                    test(engine, place)
                finally:  # the next test's engine is to find nothing
                    for container in engine.parts.index.all():
                        engine.containers.remove(
                            container.id, force=True, volumes=False, link=False
                        )

        assert place.run(act) == 0
        place.assert_clean(before)

    del wrapped.__wrapped__  # pytest must not see its arguments
    return wrapped


Fault = Callable[[Parts], Parts]

CREATE_FAULTS: dict[str, Fault] = {
    "prepare, disk full": lambda p: swapped(
        p, "snapshots", "prepare", lambda _: raising(DISK_FULL)
    ),
    "prepare, refused": lambda p: swapped(p, "snapshots", "prepare", lambda _: raising(BROKEN)),
    "insert, before": lambda p: swapped(p, "store", "insert", lambda _: raising(BROKEN)),
}


def _kept_is_a_file(parts: Parts) -> Parts:
    blocked = parts.paths.data_root / "blocked"
    blocked.write_text("")
    return replace(parts, paths=replace(parts.paths, data_root=blocked))


@in_engine
def test_every_step_of_a_create_fails(engine: compose.Engine, place: Place) -> None:
    before = place.look()
    for step, fault in {**CREATE_FAULTS, "kept directory": _kept_is_a_file}.items():
        broken, _ = over(fault(engine.parts))
        with pytest.raises(PydError) as told:
            broken.create("box", sleeper(), platform=None)
        assert told.value.status == 500, step
        (engine.parts.paths.data_root / "blocked").unlink(missing_ok=True)
        place.assert_clean(before)
        assert engine.parts.index.is_free("box"), step
    made = engine.containers.create("box", sleeper(), platform=None)
    engine.containers.start(made.id)
    engine.containers.remove("box", force=True, volumes=False, link=False)


def _instead(error: BaseException, _: object) -> Callable[..., Any]:
    return raising(error)


def _start_faults() -> dict[str, Fault]:
    faults: dict[str, Fault] = {}
    for part, method in (
        ("snapshots", "mount"),
        ("network", "create_sandbox"),
        ("network", "connect"),
        ("monitors", "create"),
        ("store", "save_state"),
        ("filters", "choose"),
    ):
        for name, error in (("disk full", DISK_FULL), ("refused", BROKEN)):
            faults[f"{part}.{method}, {name}"] = functools.partial(
                swapped, name=part, method=method, make=functools.partial(_instead, error)
            )
        faults[f"{part}.{method}, after it"] = functools.partial(
            swapped, name=part, method=method, make=lambda real: after(real, DISK_FULL)
        )
    faults["monitors.create, runtime"] = lambda p: swapped(
        p, "monitors", "create", lambda _: raising(RuntimeFailedError("no such thing"))
    )
    faults["runtime.start"] = _runtime_that_fails
    return faults


def _runtime_that_fails(parts: Parts) -> Parts:
    stand_ins: dict[str, Any] = {
        name: own_engine.Failing(real, "start", raising(BROKEN))
        for name, real in parts.runtimes.items()
    }
    return replace(parts, runtimes=stand_ins)


def _assert_start_fails(engine: compose.Engine, fault: Fault, step: str) -> None:
    container = known(engine, "box")
    state = container.state
    attached = engine.containers.attach("box").console
    wait = engine.containers.wait("box", "next-exit")
    ended = engine.containers.log_source("box").ended
    broken, _ = over(fault(engine.parts))
    with pytest.raises(PydError):
        broken.start("box")
    wait.result(0)
    ended.result(0)
    if attached.done() and attached.exception() is None:
        attached.result().close()  # it was connected: its stream has ended
    else:
        assert attached.exception(0) is not None, step
    now = container.state
    assert type(now) is type(state), step
    assert not isinstance(now, Running)
    assert now.error, step
    assert now.exit_code in (127, 128), (step, now)
    if isinstance(state, Exited) and isinstance(now, Exited):
        assert (now.started_ns, now.finished_ns) == (state.started_ns, state.finished_ns)


@in_engine
def test_every_step_of_a_start_fails(engine: compose.Engine, place: Place) -> None:
    ports = {"80/tcp": [{"HostPort": "28111"}]}
    engine.containers.create("box", sleeper(PortBindings=ports), platform=None)
    before = place.look()
    for step, fault in _start_faults().items():
        _assert_start_fails(engine, fault, step)
        assert not (left := _differences(place, before)), (step, left)
    engine.containers.start("box")
    assert isinstance(known(engine, "box").state, Running)
    engine.containers.remove("box", force=True, volumes=False, link=False)


def _differences(place: Place, before: Inventory) -> list[str]:
    return settled(place.look, before)


@in_engine
def test_a_start_that_fails_after_a_run_keeps_what_was_known_of_it(
    engine: compose.Engine, place: Place
) -> None:
    engine.containers.create("box", body("false"), platform=None)
    end = engine.containers.wait("box", "next-exit")
    engine.containers.start("box")
    assert end.result(20).status_code == 1
    fault = _start_faults()["monitors.create, disk full"]
    _assert_start_fails(engine, fault, "second start")
    engine.containers.remove("box", force=False, volumes=False, link=False)


@in_engine
def test_a_start_that_fails_removes_a_container_that_removes_itself(
    engine: compose.Engine, place: Place
) -> None:
    before = place.look()
    for step, fault in _start_faults().items():
        if step.startswith("store"):
            continue
        engine.containers.create("box", sleeper(AutoRemove=True), platform=None)
        removed = engine.containers.wait("box", "removed")
        broken, _ = over(fault(engine.parts))
        with pytest.raises(PydError):
            broken.start("box")
        assert removed.result(0).status_code in (127, 128), step
        assert engine.parts.index.is_free("box")
    place.assert_clean(before)


@in_engine
def test_a_bad_user_and_a_missing_device_leave_nothing(
    engine: compose.Engine, place: Place
) -> None:
    device = {"PathOnHost": "/dev/none-such", "PathInContainer": "/dev/x", "CgroupPermissions": "r"}
    requests = {
        "user": {**sleeper(), "User": "nobody-such"},
        "device": sleeper(Devices=[device]),
        "program": body("/none-such"),
        "directory": {**sleeper(), "WorkingDir": "/bin/busybox"},
    }
    before = place.look()
    for name, request in requests.items():
        engine.containers.create("box", request, platform=None)
        with pytest.raises(PydError):
            engine.containers.start("box")
        state = known(engine, "box").state
        assert isinstance(state, Created), name
        assert state.exit_code == (127 if name == "program" else state.exit_code)
        assert state.error
        engine.containers.remove("box", force=False, volumes=False, link=False)
    place.assert_clean(before)


def _end_with(engine: compose.Engine, fault: Fault) -> None:
    """Kill the container's process, and handle its end with a fault."""
    container = known(engine, "box")
    with container.lock:  # the engine's own handling comes afterwards
        state = container.state
        assert isinstance(state, Running)
        monitor = open_process(state.monitor)
        os.kill(state.process.pid, signal.SIGKILL)
        own_engine.readable(monitor)
        os.close(monitor)
        ending.ended(fault(engine.parts), container)


END_FAULTS: dict[str, Fault] = {
    "release": lambda p: swapped(p, "network", "release", lambda real: after(real, DISK_FULL)),
    "row": lambda p: swapped(p, "store", "save_state", lambda _: raising(BROKEN)),
}


@in_engine
def test_an_end_is_told_whatever_fails(engine: compose.Engine, place: Place) -> None:
    engine.containers.create("box", sleeper(), platform=None)
    before = place.look()
    for fault in END_FAULTS.values():
        engine.containers.start("box")
        wait = engine.containers.wait("box", "not-running")
        _end_with(engine, fault)
        assert wait.result(0).status_code == 137
        state = known(engine, "box").state
        assert isinstance(state, Exited)
        place.assert_clean(before)
    engine.containers.start("box")
    engine.containers.remove("box", force=True, volumes=False, link=False)


@in_engine
def test_remains_that_stay_are_removed_by_the_next_start(
    engine: compose.Engine, place: Place
) -> None:
    def stuck(parts: Parts) -> Parts:
        stand_ins: dict[str, Any] = {
            name: own_engine.Failing(real, "delete", raising(TimeoutError("crun hangs")))
            for name, real in parts.runtimes.items()
        }
        return replace(parts, runtimes=stand_ins)

    engine.containers.create("box", sleeper(), platform=None)
    before = place.look()
    for again in ("start", "remove"):
        engine.containers.start("box")
        _end_with(engine, stuck)
        cleanup = known(engine, "box").cleanup
        assert cleanup is not None
        assert cleanup.result(10) is False
        if again == "start":
            engine.containers.start("box")
            engine.containers.kill("box", None)
            place.assert_clean(before)
    engine.containers.remove("box", force=True, volumes=False, link=False)


@in_engine
def test_a_removal_that_fails_can_be_made_again(engine: compose.Engine, place: Place) -> None:
    engine.containers.create("box", sleeper(), platform=None)
    for running in (False, True):
        if running:
            engine.containers.start("box")
        removed = engine.containers.wait("box", "removed")
        broken, _ = over(swapped(engine.parts, "store", "delete", lambda _: raising(BROKEN)))
        with pytest.raises(InternalError):
            broken.remove("box", force=True, volumes=False, link=False)
        assert not removed.done()
        assert not known(engine, "box").removing
    engine.containers.start("box")
    engine.containers.remove("box", force=True, volumes=False, link=False)


@in_engine
def test_a_monitor_is_killed(engine: compose.Engine, place: Place) -> None:
    engine.containers.create("box", sleeper(), platform=None)
    before = place.look()
    engine.containers.start("box")
    wait = engine.containers.wait("box", "not-running")
    state = known(engine, "box").state
    assert isinstance(state, Running)
    os.kill(state.monitor.pid, signal.SIGKILL)
    assert wait.result(10).status_code == 137
    place.assert_clean(before)
    assert not is_alive(state.process)
    now = known(engine, "box").state
    assert isinstance(now, Exited)
    assert now.exit_code == 137
    assert "monitor" in now.error
    engine.containers.start("box")
    engine.containers.remove("box", force=True, volumes=False, link=False)


@in_engine
def test_a_full_disk_is_told_and_does_not_stay(engine: compose.Engine, place: Place) -> None:
    engine.containers.create("box", sleeper(), platform=None)
    path = engine.parts.paths.data_root / "state.db"
    with sqlite3.connect(path) as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.close()
    database = engine.parts.store._database
    database._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(InternalError, match="state database"):
        for number in range(200):
            engine.containers.create(f"box{number}", sleeper(), platform=None)
    database._connection.execute("PRAGMA max_page_count = 1000000")
    for container in engine.parts.index.all():
        engine.containers.remove(container.id, force=True, volumes=False, link=False)
