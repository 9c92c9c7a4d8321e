import os
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pyd_api.ids import ContainerId
from pyd_guest.engine.watcher import Watcher
from pyd_guest.linux.pidfd import ProcessIdentity, identify

TIMEOUT_S = 10


@pytest.fixture
def workers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture
def watcher(tmp_path: Path, workers: ThreadPoolExecutor) -> Iterator[Watcher]:
    made = Watcher(tmp_path, workers)
    yield made
    made.close()


def test_an_exit_file_is_told_when_it_is_whole(watcher: Watcher, tmp_path: Path) -> None:
    told: list[ContainerId] = []
    came = threading.Event()

    def on_exit(own: ContainerId) -> None:
        told.append(own)
        came.set()

    watcher.start(on_exit)
    own = "a" * 64
    (tmp_path / f"{own}.tmp").write_text("0")
    (tmp_path / "something").write_text("0")
    (tmp_path / "something").rename(tmp_path / "else")
    (tmp_path / f"{own}.tmp").rename(tmp_path / own)
    assert came.wait(TIMEOUT_S)
    assert told == [own]


def test_the_end_of_a_monitor_is_told_once(watcher: Watcher) -> None:
    watcher.start(lambda _: None)
    process = subprocess.Popen(["sleep", "60"])
    ended = threading.Event()
    watcher.watch_monitor(identify(process.pid), ended.set)
    assert not ended.wait(0.05)
    process.kill()
    assert ended.wait(TIMEOUT_S)
    process.wait()
    gone = threading.Event()
    watcher.watch_monitor(ProcessIdentity(process.pid, 1), gone.set)
    assert gone.wait(TIMEOUT_S)


def test_a_callback_that_fails_does_not_end_the_watch(watcher: Watcher) -> None:
    watcher.start(lambda _: None)

    def fails() -> None:
        raise OSError(5, "as asked")

    readers = []
    for call in (fails, threading.Event()):
        reader, writer = os.pipe()
        readers.append(reader)
        watcher.watch_readable(reader, call if callable(call) else call.set)
        os.close(writer)
        if isinstance(call, threading.Event):
            assert call.wait(TIMEOUT_S)
    for reader in readers:
        os.close(reader)


def test_closing_lets_go_of_every_descriptor(tmp_path: Path, workers: ThreadPoolExecutor) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    made = Watcher(tmp_path, workers)
    made.start(lambda _: None)
    made.watch_monitor(identify(os.getpid()), lambda: None)
    made.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
