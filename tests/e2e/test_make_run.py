"""`make run` and `make stop`, as a new user types them, with the default places to themselves."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.needs import REPOSITORY
from support.sandbox import Sandbox, opened, scratch_base

pytestmark = [pytest.mark.needs("root", "conmon", "docker", "make"), pytest.mark.timeout(300)]
_PLACES = ("/run/pyd", "/var/lib/pyd", "/var/log")


@pytest.fixture
def machine() -> Iterator[Sandbox]:
    """Lend a sandbox in which the default roots and the log folder are its own."""
    with contextlib.ExitStack() as undo:
        folder = Path(tempfile.mkdtemp(prefix="pyd-", dir=scratch_base()))
        undo.callback(shutil.rmtree, folder)
        sandbox = undo.enter_context(opened())
        for place in map(Path, _PLACES):
            if not place.exists():
                place.mkdir()
                undo.callback(place.rmdir)
            own = folder / str(place).replace("/", "-")
            own.mkdir()
            sandbox.look("mount", "--bind", str(own), str(place))
        yield sandbox


def _type(sandbox: Sandbox, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DOCKER_HOST": "unix:///run/pyd/pyd.sock", "MAKEFLAGS": ""}
    return subprocess.run(
        sandbox.command("env", "-C", REPOSITORY, *words),
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_run_twice_and_stop_twice(machine: Sandbox) -> None:
    first = _type(machine, "make", "run")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "Hello from a container run by pyd" in first.stdout
    assert "export DOCKER_HOST=unix:///run/pyd/pyd.sock" in first.stdout
    assert "make stop" in first.stdout
    assert _type(machine, "docker", "run", "-d", "--name", "kept", "pyd.local/base", "sleep", "600")
    second = _type(machine, "make", "run")
    assert second.returncode == 0, second.stdout + second.stderr
    assert "running already" in second.stdout
    assert "Hello from a container run by pyd" in second.stdout
    stopped = _type(machine, "make", "stop")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    assert "not running" in _type(machine, "make", "stop").stdout
    third = _type(machine, "make", "run")
    assert third.returncode == 0, third.stdout + third.stderr
    listed = _type(machine, "docker", "ps", "--format", "{{.Names}} {{.State}}")
    assert listed.stdout == "kept running\n"
    assert _type(machine, "docker", "rm", "-f", "kept").returncode == 0
    assert _type(machine, "make", "stop").returncode == 0
