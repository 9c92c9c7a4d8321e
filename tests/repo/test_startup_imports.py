"""What a command may import before it has done its work: the start of `pyd ps` is a budget."""

import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

# each costs milliseconds, and pyd ps has a few tens of them in all
HEAVY = frozenset(
    {
        "argparse", "asyncio", "contextlib", "ctypes", "dataclasses", "datetime", "email", "http",
        "importlib.metadata", "inspect", "logging", "pathlib", "pkgutil", "platformdirs",
        "shutil", "ssl", "subprocess", "tempfile", "threading", "typing", "urllib", "uuid",
        "fastapi", "paramiko", "pydantic", "starlette", "uvicorn", "pyd_guest", "pyd_vm",
    }
)  # fmt: skip
# run has streams to carry; what it may not do is load the machinery of others
HEAVY_FOR_RUN = HEAVY - {"contextlib", "typing"}
MODULES_MAX = 75


@pytest.fixture
def engine() -> Iterator[str]:
    """Answer every request with an empty list."""
    folder = tempfile.mkdtemp(prefix="pyd-i-")
    path = f"{folder}/s"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                client.recv(65536)
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"unix://{path}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)
    Path(path).unlink()
    Path(folder).rmdir()


def imported(code: str, host: str) -> set[str]:
    """Return the modules that ``code`` adds to a bare interpreter with the same path."""
    script = f"import sys; before = set(sys.modules)\n{code}\n"
    script += "print('\\n'.join(set(sys.modules) - before), file=sys.stderr)"
    environment = {**os.environ, "DOCKER_HOST": host}
    environment.pop("PYD_DEBUG", None)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True
    )
    return set(done.stderr.split())


def heavy(modules: set[str], banned: frozenset[str]) -> set[str]:
    return {name for name in modules if name in banned or name.partition(".")[0] in banned}


@pytest.mark.parametrize("words", [["ps"], ["ps", "-aq"], ["images"]])
def test_a_listing_imports_next_to_nothing(engine: str, words: list[str]) -> None:
    modules = imported(f"from pyd_host.cli.app import run; run({words})", engine)
    assert not heavy(modules, HEAVY)
    assert "pyd_host.cli.template" not in modules
    assert len(modules) <= MODULES_MAX, sorted(modules)


def test_version_imports_no_metadata_reader(engine: str) -> None:
    modules = imported("from pyd_host.cli.app import run; run(['--version'])", engine)
    assert not heavy(modules, HEAVY)


@pytest.mark.parametrize("command", ["container.run", "container.exec", "container.logs"])
def test_a_session_imports_no_more_than_it_needs(command: str) -> None:
    modules = imported(f"import pyd_host.cli.app, pyd_host.cli.{command}", "unix:///nope")
    assert not heavy(modules, HEAVY_FOR_RUN)


def test_the_host_side_never_loads_the_engine() -> None:
    code = "from pyd_host.cli.commands import COMMON, NOUNS, OTHERS, load\n"
    code += "for table in (COMMON, OTHERS, *(verbs for _, verbs in NOUNS.values())):\n"
    code += "    for entry in table.values(): load(entry)"
    assert not heavy(imported(code, "unix:///nope"), frozenset({"pyd_guest", "fastapi", "asyncio"}))
