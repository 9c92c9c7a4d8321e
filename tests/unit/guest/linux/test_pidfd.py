import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pyd_guest.linux.pidfd import identify, is_alive, open_process, send_signal


@pytest.fixture
def process() -> Iterator["subprocess.Popen[bytes]"]:
    started = subprocess.Popen(["sleep", "60"])
    yield started
    started.kill()
    started.wait()


def test_a_process_is_known_until_it_ends(process: "subprocess.Popen[bytes]") -> None:
    own = identify(process.pid)
    assert is_alive(own)
    os.close(open_process(own))
    send_signal(own, signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(own)  # dead, and not waited for
    process.wait()
    assert not is_alive(own)
    for act in (lambda: identify(own.pid), lambda: open_process(own), lambda: send_signal(own, 9)):
        with pytest.raises(ProcessLookupError):
            act()


def test_another_process_with_the_same_number_is_left_alone(
    process: "subprocess.Popen[bytes]",
) -> None:
    other = replace(identify(process.pid), start_ticks=1)
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert not is_alive(other)
    with pytest.raises(ProcessLookupError):
        send_signal(other, signal.SIGKILL)
    assert process.poll() is None
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_name_with_brackets_and_blanks_is_no_trap() -> None:
    script = 'printf ") R 1 (" > /proc/self/comm; echo ready; read wait'
    pipe = subprocess.PIPE
    with subprocess.Popen(["bash", "-c", script], stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        own = identify(process.pid)
        assert own.start_ticks > 1
        assert is_alive(own)
        process.kill()
