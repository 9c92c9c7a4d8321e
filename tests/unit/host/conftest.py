"""A scripted engine on a unix socket, and the command line run in process against it."""

import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyd_host.cli import app
from unit.host.scripted import Done, ScriptedEngine


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedEngine]:
    folder = tempfile.mkdtemp(prefix="pyd-cli-")  # short: a socket's path has 107 bytes
    engine = ScriptedEngine(Path(folder) / "s")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(engine.path))
    listener.listen()
    for name in list(os.environ):
        if name.startswith("DOCKER_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{engine.path}")
    thread = threading.Thread(target=engine.serve, args=(listener,), daemon=True)
    thread.start()
    yield engine
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)
    engine.end()
    shutil.rmtree(folder)


@pytest.fixture
def pyd(capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    def run(*words: str) -> Done:
        status = app.run(list(words))
        out, err = capfd.readouterr()
        return Done(status, out, err)

    return run
