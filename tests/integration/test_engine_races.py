"""Many clients want different things of one container at the same moment."""

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from pyd_api.errors import ConflictError, NotFoundError, PydError
from pyd_guest.daemon import compose
from pyd_guest.engine.model import Exited, Running
from support import own_engine
from support.own_engine import Place, body, known, sleeper

pytestmark = [pytest.mark.needs("root", "conmon")]


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with own_engine.place() as made:
        yield made


def _in_engine(place: Place, act: Callable[[compose.Engine], None]) -> None:
    """Run an engine in a process of its own; it leaves nothing on the machine."""
    before = place.look()

    def inside() -> None:
        with compose.engine(place.config()) as engine:
            try:
                act(engine)
            finally:
                for container in engine.parts.index.all():
                    _remove(engine, container.id)

    assert place.run(inside) == 0
    place.assert_clean(before)


def _remove(engine: compose.Engine, ref: str) -> None:
    engine.containers.remove(ref, force=True, volumes=False, link=False)


def test_d16_ten_clients_start_stop_rename_and_remove_one_container(place: Place) -> None:
    def act(engine: compose.Engine) -> None:
        calls = engine.containers
        engine.containers.create("box", sleeper(), platform=None)
        own = known(engine, "box").id
        verbs: list[Callable[[], object]] = [
            lambda: calls.start(own),
            lambda: calls.stop(own, signal="KILL", timeout_s=1),
            lambda: calls.restart(own, signal="KILL", timeout_s=1),
            lambda: calls.kill(own, None),
            lambda: calls.rename(own, f"box{random.randrange(5)}"),
            lambda: calls.inspect(own, size=True),
            lambda: calls.list(all=True, limit=None, size=True, filters={}),
            lambda: calls.wait(own, "not-running").result(20),
        ]
        unexpected: list[BaseException] = []

        def client(seed: int) -> None:
            chance = random.Random(seed)
            for _ in range(8):
                try:
                    chance.choice(verbs)()
                except PydError as error:
                    if error.status == 500:
                        unexpected.append(error)
                except BaseException as error:  # noqa: BLE001 - asserted below
                    unexpected.append(error)

        clients = [threading.Thread(target=client, args=(number,)) for number in range(10)]
        for thread in clients:
            thread.start()
        threading.Event().wait(0.5)  # in the midst of it
        _remove(engine, own)
        for thread in clients:
            thread.join(60)
            assert not thread.is_alive()
        assert not unexpected
        assert engine.parts.index.all() == []
        for name in ("box", *(f"box{number}" for number in range(5))):
            assert engine.parts.index.is_free(name)

    _in_engine(place, act)


def test_two_hundred_waits_end_together(place: Place) -> None:
    def act(engine: compose.Engine) -> None:
        engine.containers.create("box", sleeper(), platform=None)
        waits = [engine.containers.wait("box", "next-exit") for _ in range(100)]
        removals = [engine.containers.wait("box", "removed") for _ in range(20)]
        engine.containers.start("box")
        waits += [engine.containers.wait("box", "not-running") for _ in range(100)]
        engine.containers.kill("box", None)
        assert {wait.result(10).status_code for wait in waits} == {137}
        assert not any(wait.done() for wait in removals)
        _remove(engine, "box")
        assert {wait.result(10).status_code for wait in removals} == {137}

    _in_engine(place, act)


def test_a_container_that_removes_itself_is_removed_by_force_at_once(place: Place) -> None:
    def act(engine: compose.Engine) -> None:
        for _ in range(5):
            engine.containers.create("box", sleeper(AutoRemove=True), platform=None)
            container = known(engine, "box")
            engine.containers.start("box")
            removed = engine.containers.wait("box", "removed")
            state = container.state
            assert isinstance(state, Running)
            os.kill(state.process.pid, 9)
            with suppress(NotFoundError, ConflictError):
                _remove(engine, container.id)
            assert removed.result(10).status_code == 137
            assert engine.parts.index.is_free("box")

    _in_engine(place, act)


def test_many_restarts_at_once_do_not_stand_still(place: Place) -> None:
    """Ends, starts and what follows an end in the background wait for each other in one order."""

    def act(engine: compose.Engine) -> None:
        names = [f"box{number}" for number in range(10)]
        for name in names:
            engine.containers.create(name, sleeper(), platform=None)
            engine.containers.start(name)

        def restart(name: str) -> None:
            engine.containers.restart(name, signal="KILL", timeout_s=5)

        with ThreadPoolExecutor(len(names)) as clients:
            for future in [clients.submit(restart, name) for name in names * 2]:
                with suppress(ConflictError):  # another client of the same name was first
                    future.result(60)
        states = [known(engine, name).state for name in names]
        assert all(isinstance(state, Running) for state in states)

    _in_engine(place, act)


def test_restart_keeps_a_container_that_removes_itself(place: Place) -> None:
    def act(engine: compose.Engine) -> None:
        engine.containers.create("box", sleeper(AutoRemove=True), platform=None)
        own = known(engine, "box").id
        engine.containers.start("box")
        engine.containers.restart("box", signal="KILL", timeout_s=5)
        assert known(engine, "box").id == own
        assert isinstance(known(engine, "box").state, Running)
        removed = engine.containers.wait("box", "removed")
        engine.containers.kill("box", None)
        assert removed.result(10).status_code == 137

    _in_engine(place, act)


def test_a_name_is_not_kept_by_a_container_that_is_gone(place: Place) -> None:
    def act(engine: compose.Engine) -> None:
        for _ in range(10):
            engine.containers.create("box", body("true"), platform=None)
            own = known(engine, "box").id
            with ThreadPoolExecutor(2) as clients:
                removal = clients.submit(_remove, engine, own)
                renaming = clients.submit(engine.containers.rename, own, "other")
                for future in (removal, renaming):
                    with suppress(NotFoundError, ConflictError):
                        future.result(10)
            assert engine.parts.index.is_free("box")
            assert engine.parts.index.is_free("other")

    _in_engine(place, act)


def test_execs_end_with_their_container_and_are_forgotten(place: Place) -> None:
    def act(engine: compose.Engine) -> None:
        def once() -> None:
            engine.containers.create("box", sleeper(AutoRemove=True), platform=None)
            engine.containers.start("box")
            sessions = []
            for detach in (True, False):
                request = {"Cmd": ["sleep", "60"], "AttachStdout": not detach}
                exec_id = engine.execs.create("box", request)
                attached = engine.execs.start(exec_id, detach=detach, tty=False, size=None)
                sessions.append(engine.execs._sessions[exec_id])
                if attached:
                    attached.console.result().close()
            prepared = engine.execs.create("box", {"Cmd": ["true"]})
            removed = engine.containers.wait("box", "removed")
            engine.containers.kill("box", None)
            removed.result(10)
            assert {session.ended.result(10) for session in sessions} == {137}
            with pytest.raises(NotFoundError):
                engine.execs.inspect(prepared)
            assert not engine.execs._sessions

        once()
        before = len(list(Path("/proc/self/fd").iterdir()))
        threads = threading.active_count()
        for _ in range(6):
            once()
        # What is closed in the background may take a moment, and a namespace made ahead holds some.
        deadline = time.monotonic() + 5
        while len(list(Path("/proc/self/fd").iterdir())) > before + 3:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert threading.active_count() <= threads + 8  # pools grow up to their size

    _in_engine(place, act)


def test_an_exec_whose_monitor_cannot_start_has_ended(place: Place) -> None:
    def act(engine: compose.Engine) -> None:
        engine.containers.create("box", sleeper(), platform=None)
        engine.containers.start("box")
        broken = own_engine.swapped(
            engine.parts, "monitors", "exec", lambda _: own_engine.raising(OSError(24, "no more"))
        )
        _, execs = own_engine.over(broken)
        exec_id = execs.create("box", {"Cmd": ["true"]})
        with pytest.raises(PydError):
            execs.start(exec_id, detach=True, tty=False, size=None)
        with pytest.raises(ConflictError, match="has already run"):
            execs.start(exec_id, detach=True, tty=False, size=None)
        assert execs.inspect(exec_id)["Running"] is False

    _in_engine(place, act)


def test_an_end_while_an_exec_starts_leaves_a_container_that_can_start(place: Place) -> None:
    def act(engine: compose.Engine) -> None:
        engine.containers.create("box", sleeper(), platform=None)
        for _ in range(5):
            engine.containers.start("box")
            ids = [engine.execs.create("box", {"Cmd": ["sleep", "9"]}) for _ in range(4)]

            def run(exec_id: str) -> None:
                engine.execs.start(exec_id, detach=True, tty=False, size=None)

            with ThreadPoolExecutor(5) as clients:
                futures = [clients.submit(run, exec_id) for exec_id in ids]
                engine.containers.kill("box", None)
                for future in futures:
                    with suppress(PydError):
                        future.result(30)
            assert isinstance(known(engine, "box").state, Exited)

    _in_engine(place, act)
