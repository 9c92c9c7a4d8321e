"""The command as a process: its terminal is restored, closed streams and locales do no harm."""

import os
import pty
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping
from contextlib import suppress

import pytest

from unit.host.scripted import ScriptedEngine, answer

MAIN = "import sys; from pyd_host.cli.app import main; sys.exit(main())"


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    master, slave = pty.openpty()
    yield master, slave
    for descriptor in (master, slave):
        with suppress(OSError):
            os.close(descriptor)


@pytest.mark.parametrize(
    "ending",
    ["pass", "raise ValueError", "raise KeyboardInterrupt", "raise SystemExit(3)",
     "os.kill(os.getpid(), signal.SIGTERM)", "os.kill(os.getpid(), signal.SIGHUP)"],
)  # fmt: skip
def test_raw_mode_ends_with_the_block(terminal: tuple[int, int], ending: str) -> None:
    master, slave = terminal
    before = termios.tcgetattr(master)
    code = (
        "import os, signal, sys, termios\n"
        "from pyd_host.cli.terminal import raw_mode\n"
        "before = termios.tcgetattr(0)\n"
        "with raw_mode():\n"
        "    assert termios.tcgetattr(0) != before\n"
        f"    {ending}\n"
    )
    subprocess.run([sys.executable, "-c", code], stdin=slave, capture_output=True, check=False)
    assert termios.tcgetattr(master) == before


def run(
    scripted: ScriptedEngine, shell: str, more: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[bytes]":
    inherited = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
    environment = {**inherited, "DOCKER_HOST": f"unix://{scripted.path}", **(more or {})}
    return subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" {shell}', sys.executable, MAIN],
        env=environment, capture_output=True, timeout=30, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_no_harm(scripted: ScriptedEngine, closed: str) -> None:
    scripted.on("GET", "/containers/json", answer(200, []))
    done = run(scripted, f"ps {closed}")
    assert done.returncode == 0
    assert done.stderr == b""
    assert done.stdout.startswith(b"" if ">&- " in f"{closed} " else b"CONTAINER ID")


@pytest.mark.parametrize("locale", ["C", "en_US.ISO-8859-1", "C.UTF-8"])
def test_output_is_utf_8_in_every_locale(scripted: ScriptedEngine, locale: str) -> None:
    scripted.on("GET", "/containers/a/json", answer(200, {"Name": "é…\ud83d\ude00"}))
    done = run(scripted, "inspect -f '{{.Name}}' a", {"LC_ALL": locale, "PYTHONUTF8": "0"})
    assert done.stdout == "é…😀\n".encode()


def test_bytes_that_are_no_text_come_back_as_they_were(scripted: ScriptedEngine) -> None:
    scripted.on("POST", "/containers/%FF/stop", answer(204))
    done = run(scripted, r'stop "$(printf "\377")"')
    assert (done.returncode, done.stdout, done.stderr) == (0, b"\xff\n", b"")


def test_a_full_disk_is_an_error(scripted: ScriptedEngine) -> None:
    scripted.on("GET", "/containers/json", answer(200, []))
    done = run(scripted, "ps > /dev/full")
    assert done.returncode == 1
    assert b"No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_reader_that_has_left_is_none(scripted: ScriptedEngine) -> None:
    scripted.on("GET", "/containers/json", answer(200, []))
    done = run(scripted, "ps | true")
    assert done.stderr == b""
