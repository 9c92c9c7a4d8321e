"""A runtime by its command line; a script stands in for it and writes down what it is asked."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyd_api.errors import InternalError
from pyd_api.ids import ContainerId
from pyd_guest.linux.spawner import Spawner
from pyd_guest.runtime.oci_runtime import Executable, OciRuntime

OWN = ContainerId("a" * 64)


@pytest.fixture
def spawner() -> Iterator[Spawner]:
    made = Spawner()
    yield made
    made.close()


@pytest.fixture
def runtime(tmp_path: Path, spawner: Spawner) -> OciRuntime:
    (tmp_path / "state").mkdir()
    return OciRuntime(Executable("crun", tmp_path / "crun", "1", ""), tmp_path / "state", spawner)


def _script(runtime: OciRuntime, text: str) -> Path:
    asked = runtime.executable.path.with_name("asked")
    runtime.executable.path.write_text(f'#!/bin/sh\necho "$@" >> {asked}\n{text}\n')
    runtime.executable.path.chmod(0o755)
    return asked


def test_a_waiting_container_is_let_go_without_a_process(runtime: OciRuntime) -> None:
    (runtime.root / OWN).mkdir()
    fifo = runtime.root / OWN / "exec.fifo"
    os.mkfifo(fifo)
    waiting = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    assert runtime.is_waiting(OWN)
    runtime.start(OWN)
    assert os.read(waiting, 10) == b"1"
    assert not runtime.is_waiting(OWN)
    os.close(waiting)


def test_nobody_waits_and_the_runtime_is_asked(runtime: OciRuntime) -> None:
    asked = _script(runtime, "echo container is stopped >&2; exit 1")
    (runtime.root / OWN).mkdir()
    os.mkfifo(runtime.root / OWN / "exec.fifo")
    with pytest.raises(InternalError, match="OCI runtime start failed: container is stopped"):
        runtime.start(OWN)
    assert asked.read_text().split() == [f"--root={runtime.root}", "start", OWN]


def test_what_is_not_known_needs_no_deletion(runtime: OciRuntime) -> None:
    asked = _script(runtime, "")
    runtime.delete(OWN)
    assert not asked.exists()


def test_state_that_the_runtime_cannot_read_goes_all_the_same(runtime: OciRuntime) -> None:
    asked = _script(runtime, "exit 1")
    (runtime.root / OWN).mkdir()
    (runtime.root / OWN / "status").write_text("{")
    assert runtime.known() == {OWN}
    runtime.delete(OWN)
    assert runtime.known() == set()
    assert "delete --force" in asked.read_text()
