"""The daemon dies at a named step; the next one makes rows and the machine agree.

Row by row the table at the head of `engine.reconcile`.
"""

import functools
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from pyd_api.errors import ConflictError
from pyd_guest.daemon import compose
from pyd_guest.engine import reconcile
from pyd_guest.engine.model import Created, Exited, Running, State
from pyd_guest.engine.parts import Parts
from pyd_guest.linux.pidfd import is_alive, open_process
from support import own_engine
from support.own_engine import (
    KILLED,
    Failing,
    Place,
    body,
    dying,
    dying_after,
    known,
    over,
    readable,
    sleeper,
    swapped,
)

pytestmark = [pytest.mark.needs("root", "conmon")]

Change = Callable[[Parts], Parts]


@pytest.fixture(scope="module")
def module_place() -> Iterator[Place]:
    with own_engine.place() as made:
        yield made


@pytest.fixture
def place(module_place: Place) -> Iterator[Place]:
    """Lend the place; nothing is left in it afterwards."""
    before = module_place.look()
    try:
        yield module_place
    finally:
        module_place.run(lambda: _remove_all(module_place))
    module_place.assert_clean(before)


def _remove_all(place: Place) -> None:
    with compose.engine(place.config()) as engine:
        for container in engine.parts.index.all():
            engine.containers.remove(container.id, force=True, volumes=False, link=False)


def _dies(place: Place, act: Callable[[compose.Engine], None]) -> None:
    """Let an engine act that dies of it."""

    def inside() -> None:
        with compose.engine(place.config()) as engine:
            act(engine)

    assert place.run(inside) == KILLED


def _next(place: Place, look: Callable[[compose.Engine], None]) -> None:
    """Let the next engine start, and look at what it found."""

    def inside() -> None:
        with compose.engine(place.config()) as engine:
            look(engine)

    assert place.run(inside) == 0


def _state(engine: compose.Engine, kind: type[State]) -> State:
    state = known(engine, "box").state
    assert isinstance(state, kind), state
    return state


def _usable(engine: compose.Engine) -> None:
    """Start the container again, and remove it."""
    engine.containers.start("box")
    _state(engine, Running)
    engine.containers.remove("box", force=True, volumes=False, link=False)


CREATE_STEPS: dict[str, Change] = {
    "before the layer": lambda p: swapped(p, "snapshots", "prepare", lambda _: dying),
    "after the layer": lambda p: swapped(p, "snapshots", "prepare", dying_after),
    "before the row": lambda p: swapped(p, "store", "insert", lambda _: dying),
}


@pytest.mark.parametrize("step", CREATE_STEPS)
def test_no_row_and_remains_of_a_create(place: Place, step: str) -> None:
    def act(engine: compose.Engine) -> None:
        over(CREATE_STEPS[step](engine.parts))[0].create("box", sleeper(), platform=None)

    _dies(place, act)
    _next(place, lambda engine: _nothing_of_it(engine))


def _nothing_of_it(engine: compose.Engine) -> None:
    assert engine.parts.index.all() == []
    engine.containers.create("box", sleeper(), platform=None)
    _usable(engine)


def test_a_row_that_was_written_is_a_container(place: Place) -> None:
    def act(engine: compose.Engine) -> None:
        broken, _ = over(swapped(engine.parts, "store", "insert", dying_after))
        broken.create("box", sleeper(), platform=None)

    def look(engine: compose.Engine) -> None:
        _state(engine, Created)
        _usable(engine)

    _dies(place, act)
    _next(place, look)


def _runtimes_with(parts: Parts, make: Callable[[Any], Any]) -> Parts:
    stand_ins: dict[str, Any] = {
        name: Failing(real, "start", make(real.start)) for name, real in parts.runtimes.items()
    }
    return replace(parts, runtimes=stand_ins)


START_STEPS: dict[str, Change] = {
    "after the mount": lambda p: swapped(p, "snapshots", "mount", dying_after),
    "after the sandbox": lambda p: swapped(p, "network", "create_sandbox", dying_after),
    "after the endpoint": lambda p: swapped(p, "network", "connect", dying_after),
    "before the monitor": lambda p: swapped(p, "monitors", "create", lambda _: dying),
    "after the monitor": lambda p: swapped(p, "monitors", "create", dying_after),
    "before the row": lambda p: swapped(p, "store", "save_state", lambda _: dying),
}


@pytest.mark.parametrize("step", START_STEPS)
@pytest.mark.parametrize("auto_remove", [False, True])
def test_created_and_remains_of_a_start(place: Place, step: str, auto_remove: bool) -> None:
    def act(engine: compose.Engine) -> None:
        engine.containers.create("box", sleeper(AutoRemove=auto_remove), platform=None)
        over(START_STEPS[step](engine.parts))[0].start("box")

    def look(engine: compose.Engine) -> None:
        _state(engine, Created)
        own = known(engine, "box").id
        assert not engine.parts.paths.bundle(own).exists()
        assert not engine.parts.paths.exit_file(own).exists()
        _usable(engine)

    _dies(place, act)
    _next(place, look)


def test_exited_and_remains_of_a_start(place: Place) -> None:
    def act(engine: compose.Engine) -> None:
        engine.containers.create("box", sleeper(), platform=None)
        engine.containers.start("box")
        engine.containers.kill("box", None)
        over(START_STEPS["after the monitor"](engine.parts))[0].start("box")

    def look(engine: compose.Engine) -> None:
        state = _state(engine, Exited)
        assert isinstance(state, Exited)
        assert state.exit_code == 137
        _usable(engine)

    _dies(place, act)
    _next(place, look)


@pytest.mark.parametrize("step", ["row", "start"])
def test_running_and_the_process_waits_for_its_start(place: Place, step: str) -> None:
    def act(engine: compose.Engine) -> None:
        engine.containers.create("box", body("sh", "-c", "exit 7"), platform=None)
        if step == "row":
            change = swapped(engine.parts, "store", "save_state", dying_after)
        else:
            change = _runtimes_with(engine.parts, lambda _: dying)
        over(change)[0].start("box")

    def look(engine: compose.Engine) -> None:
        assert engine.containers.wait("box", "not-running").result(10).status_code == 7

    _dies(place, act)
    _next(place, look)


def _command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def _start_and_die(engine: compose.Engine, **host_config: object) -> None:
    engine.containers.create("box", sleeper(**host_config), platform=None)
    engine.containers.start("box")
    dying()


def test_running_and_alive_is_adopted(place: Place) -> None:
    _dies(place, _start_and_die)

    def look(engine: compose.Engine) -> None:
        state = _state(engine, Running)
        assert isinstance(state, Running)
        assert is_alive(state.process)
        wait = engine.containers.wait("box", "not-running")
        os.kill(state.process.pid, signal.SIGKILL)  # the end is noticed, not asked for
        assert wait.result(10).status_code == 137
        _usable(engine)

    _next(place, look)


def _end_unseen(place: Place, which: Callable[[Running], list[int]]) -> None:
    """Kill processes of the container with no daemon there, and wait until the monitor is gone."""

    def act(engine: compose.Engine) -> None:
        engine.containers.create("box", sleeper(), platform=None)
        engine.containers.start("box")
        state = _state(engine, Running)
        assert isinstance(state, Running)
        with known(engine, "box").lock:  # this engine does not see the end any more
            monitor = open_process(state.monitor)
            for pid in which(state):
                os.kill(pid, signal.SIGKILL)
            readable(monitor)
            dying()

    _dies(place, act)


def test_running_and_an_exit_file(place: Place) -> None:
    _end_unseen(place, lambda state: [state.process.pid])

    def look(engine: compose.Engine) -> None:
        wait = engine.containers.wait("box", "not-running")
        assert wait.result(10).status_code == 137
        state = _state(engine, Exited)
        assert isinstance(state, Exited)
        assert state.error == ""
        _usable(engine)

    _next(place, look)


def test_running_and_an_exit_file_beside_a_start_that_never_came(place: Place) -> None:
    """The process was killed while it waited: there is nothing to be let go any more."""

    def act(engine: compose.Engine) -> None:
        engine.containers.create("box", sleeper(), platform=None)

        def end_and_die(*_: object) -> None:
            state = _state(engine, Running)
            assert isinstance(state, Running)
            monitor = open_process(state.monitor)
            os.kill(state.process.pid, signal.SIGKILL)
            readable(monitor)
            dying()

        over(_runtimes_with(engine.parts, lambda _: end_and_die))[0].start("box")

    def look(engine: compose.Engine) -> None:
        assert engine.containers.wait("box", "not-running").result(10).status_code == 137
        _usable(engine)

    _dies(place, act)
    _next(place, look)


@pytest.mark.parametrize("both", [True, False])
def test_running_and_neither(place: Place, both: bool) -> None:
    _end_unseen(
        place,
        lambda it: [it.monitor.pid, it.process.pid] if both else [it.monitor.pid],
    )

    def look(engine: compose.Engine) -> None:
        state = _state(engine, Exited)
        assert isinstance(state, Exited)
        assert state.exit_code in (137, 255)
        assert state.error
        _usable(engine)

    _next(place, look)


def test_an_auto_removed_container_that_ended_unseen_is_removed(place: Place) -> None:
    def act(engine: compose.Engine) -> None:
        engine.containers.create("box", sleeper(AutoRemove=True), platform=None)
        engine.containers.start("box")
        state = _state(engine, Running)
        assert isinstance(state, Running)
        with known(engine, "box").lock:
            monitor = open_process(state.monitor)
            os.kill(state.process.pid, signal.SIGKILL)
            readable(monitor)
            dying()

    _dies(place, act)
    _next(place, lambda engine: _nothing_of_it(engine))


REMOVE_STEPS: dict[str, Change] = {
    "before the row": lambda p: swapped(p, "store", "delete", lambda _: dying),
    "after the row": lambda p: swapped(p, "store", "delete", dying_after),
    "before the layer": lambda p: swapped(p, "snapshots", "remove", lambda _: dying),
    "after the layer": lambda p: swapped(p, "snapshots", "remove", dying_after),
}


@pytest.mark.parametrize("step", REMOVE_STEPS)
def test_a_removal_is_cut_off(place: Place, step: str) -> None:
    def act(engine: compose.Engine) -> None:
        engine.containers.create("box", sleeper(), platform=None)
        engine.containers.start("box")
        broken, _ = over(REMOVE_STEPS[step](engine.parts))
        broken.remove("box", force=True, volumes=False, link=False)

    def look(engine: compose.Engine) -> None:
        if step == "before the row":
            _state(engine, Exited)
            _usable(engine)
        else:
            _nothing_of_it(engine)

    _dies(place, act)
    _next(place, look)


def test_an_exit_file_appears_while_the_engine_starts(place: Place) -> None:
    """Both the watcher and `adopt` handle the end: it is told once."""
    _dies(place, _start_and_die)

    def look(engine: compose.Engine) -> None:
        events = engine.events.subscribe(lambda: None, since_ns=0)
        assert engine.containers.wait("box", "not-running").result(10).status_code == 137
        engine.containers.wait("box", "not-running").result(10)
        container = known(engine, "box")
        with container.lock:  # whoever was second has been there by now, or finds nothing
            deaths = [event for event in events.take() if event.action == "die"]
        assert len(deaths) == 1
        _usable(engine)

    pids = [pid for pid in place.box.pids() if _command(pid).startswith(b"sleep\x00600")]
    assert len(pids) == 1
    real = reconcile.adopt

    def adopt(parts: Parts) -> None:
        os.kill(pids[0], signal.SIGKILL)
        real(parts)

    def inside() -> None:
        with (
            mock.patch.object(reconcile, "adopt", adopt),
            compose.engine(place.config()) as engine,
        ):
            look(engine)

    assert place.run(inside) == 0


def test_a_second_engine_on_the_same_roots_is_refused(place: Place) -> None:
    def inside() -> None:
        with compose.engine(place.config()) as first:
            first.containers.create("box", sleeper(), platform=None)
            first.containers.start("box")
            for config in (
                place.config(),
                place.config(data_root=place.root / "other"),
                place.config(exec_root=place.root / "other"),
            ):
                with pytest.raises(ConflictError, match="another pyd daemon uses"):
                    compose.engine(config).__enter__()
            _state(first, Running)
            _usable_after_stop(first)

    assert place.run(inside) == 0
    for folder in (place.root / "other").iterdir():
        folder.unlink()
    (place.root / "other").rmdir()


def _usable_after_stop(engine: compose.Engine) -> None:
    engine.containers.kill("box", None)
    _usable(engine)


def test_two_engines_live_side_by_side() -> None:
    with own_engine.place() as place:  # of its own: bridges and their rules outlive an engine
        assert place.run(functools.partial(_side_by_side, place)) == 0


def _side_by_side(place: Place) -> None:
    with (
        compose.engine(place.config()) as one,
        compose.engine(place.config("two", bip=own_engine.bridge_address(2))) as two,
    ):
        for engine in (one, two):
            engine.containers.create("box", sleeper(), platform=None)
            engine.containers.start("box")
        one.containers.remove("box", force=True, volumes=False, link=False)
        state = _state(two, Running)
        assert isinstance(state, Running)
        assert is_alive(state.process)
        _usable_after_stop(two)
