"""Monitors over scripts that stand in for conmon and follow its start-up protocol, or do not."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyd_api.errors import InternalError
from pyd_api.ids import ContainerId, ExecId
from pyd_guest.linux.spawner import Spawner
from pyd_guest.runtime.conmon import (
    Monitors,
    RuntimeFailedError,
    Stdio,
    connect_console,
    resize_terminal,
)
from pyd_guest.runtime.oci_runtime import Executable, OciRuntime, last_message

STDIO = Stdio(terminal=False, stdin=False, leave_stdin_open=True)
OWN = ContainerId("a" * 64)
SAYS_PID = """\
printf '%s\\n' "$@" > arguments
echo $$ > conmon.pid
(sleep 60 & echo $! > sleeper) </dev/null >/dev/null 2>&1
echo "{\\"data\\": $$}" > /proc/self/fd/$_OCI_SYNCPIPE
"""


@pytest.fixture
def spawner() -> Iterator[Spawner]:
    made = Spawner()
    yield made
    made.close()


class Fake:
    """A script in place of conmon, and the bundle that it is started in."""

    def __init__(self, folder: Path, spawner: Spawner) -> None:
        self.bundle = folder / "bundle"
        self.bundle.mkdir()
        self.program = folder / "conmon"
        self.monitors = Monitors(self.program, folder / "exits", spawner)
        executable = Executable("crun", Path("/bin/crun"), "1", "")
        self.runtime = OciRuntime(executable, folder / "state", spawner)

    def script(self, text: str) -> None:
        self.program.write_text(f"#!/bin/sh\n{text}")
        self.program.chmod(0o755)

    def create(self) -> object:
        return self.monitors.create(self.runtime, OWN, self.bundle, log=None, stdio=STDIO)


@pytest.fixture
def fake(tmp_path: Path, spawner: Spawner) -> Iterator[Fake]:
    before = len(list(Path("/proc/self/fd").iterdir()))
    yield Fake(tmp_path, spawner)
    assert len(list(Path("/proc/self/fd").iterdir())) == before  # no pipe was left open


def test_the_runtimes_words_are_told(fake: Fake) -> None:
    fake.script(
        'echo \'{"msg":"no such program","level":"error"}\' > oci-log\n'
        'echo \'{"data": -1, "message": "conmon says"}\' > /proc/self/fd/$_OCI_SYNCPIPE\n'
    )
    with pytest.raises(RuntimeFailedError, match="no such program"):
        fake.create()


def test_conmons_words_are_told_when_the_runtime_has_none(fake: Fake) -> None:
    fake.script('echo \'{"data": -1, "message": "conmon says"}\' > /proc/self/fd/$_OCI_SYNCPIPE')
    with pytest.raises(RuntimeFailedError, match="conmon says"):
        fake.create()


@pytest.mark.parametrize("said", ["", "no JSON", "[1]", "{}", '{"data": "x"}'])
def test_an_answer_that_is_none_is_a_failure(fake: Fake, said: str) -> None:
    fake.script(f"echo '{said}' > /proc/self/fd/$_OCI_SYNCPIPE")
    with pytest.raises(RuntimeFailedError):
        fake.create()


def test_a_monitor_that_fails_at_once(fake: Fake) -> None:
    fake.script("exit 3")
    with pytest.raises(InternalError, match="status 3"):
        fake.create()


def test_no_monitor_at_all(fake: Fake) -> None:
    with pytest.raises(FileNotFoundError):
        fake.create()


def test_a_monitor_that_is_gone_after_its_report(fake: Fake) -> None:
    fake.script(SAYS_PID)
    with pytest.raises(ProcessLookupError):
        fake.create()
    words = (fake.bundle / "arguments").read_text().split("\n")
    assert f"--cid={OWN}" in words
    assert "--log-path=none" in words
    assert f"--bundle={fake.bundle}" in words
    os.kill(int((fake.bundle / "sleeper").read_text()), 9)


def test_an_exec_reports_its_end_behind_its_start(fake: Fake) -> None:
    fake.script('printf \'{"data": 1}\\n{"data": 7}\\n\' > /proc/self/fd/$_OCI_SYNCPIPE')
    monitor, console = fake.monitors.exec(
        fake.runtime, OWN, ExecId("e"), fake.bundle, stdio=STDIO, attach=False
    )
    assert console is None
    assert monitor.process.pid == 1
    assert monitor.read_status() == 7


def test_an_exec_whose_monitor_dies_has_ended_with_255(fake: Fake) -> None:
    fake.script("printf '{\"data\": 1}\\n' > /proc/self/fd/$_OCI_SYNCPIPE")
    monitor, _ = fake.monitors.exec(
        fake.runtime, OWN, ExecId("e"), fake.bundle, stdio=STDIO, attach=False
    )
    assert monitor.read_status() == 255


def test_an_exec_that_cannot_be_attached_leaves_nothing(fake: Fake) -> None:
    fake.script("printf '{\"data\": 0}\\n' > /proc/self/fd/$_OCI_ATTACHPIPE")
    with pytest.raises(FileNotFoundError):
        fake.monitors.exec(fake.runtime, OWN, ExecId("e"), fake.bundle, stdio=STDIO, attach=True)


def test_a_console_is_reached_at_the_end_of_a_long_path(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        folder = os.open(deep, os.O_PATH)
        server.bind(f"/proc/self/fd/{folder}/attach")
        os.close(folder)
        server.listen()
        with connect_console(deep) as console:
            assert not console.getblocking()
    with pytest.raises(OSError, match="refused"):
        connect_console(deep)


def test_a_terminal_that_is_gone_cannot_be_resized(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        resize_terminal(tmp_path, height=1, width=2)
    os.mkfifo(tmp_path / "ctl")
    with pytest.raises(OSError, match="No such device"):  # nobody reads it
        resize_terminal(tmp_path, height=1, width=2)
    reader = os.open(tmp_path / "ctl", os.O_RDONLY | os.O_NONBLOCK)
    resize_terminal(tmp_path, height=3, width=4)
    assert os.read(reader, 100) == b"1 3 4\n"
    os.close(reader)


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("", "no reason given"),
        ('{"msg":"one"}\n{"msg":"two"}\n', "two"),
        ('{"msg":"one"}\n{"level":"x"}\n', "one"),
        ("plain words\n", "plain words"),
    ],
)
def test_what_a_runtime_said_last(text: str, last: str) -> None:
    assert last_message(text) == last
