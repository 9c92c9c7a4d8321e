"""Kill a daemon at a chosen system call, by strace's fault injection."""

import contextlib
import os
import select
import subprocess
from collections.abc import Iterator

ATTACH_TIMEOUT_S = 20.0


@contextlib.contextmanager
def killed_at(pid: int, calls: str, number: int) -> Iterator[None]:
    """Let ``pid`` die of SIGKILL when one of its threads makes its ``number``-th of ``calls``.

    strace counts for each thread on its own. New threads are followed, and new processes only
    until they execute a program: what the daemon starts goes free. The process dies before the
    call is carried out.
    """
    inject = f"inject={calls}:signal=SIGKILL:when={number}"
    follow = ["-f", "--detach-on=execve", "-p", str(pid)]
    tracer = subprocess.Popen(
        ["strace", "-e", f"trace={calls}", "-e", inject, "-o", "/dev/null", *follow],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        _wait_until_attached(tracer)
        yield
    finally:
        tracer.terminate()  # lets go of what still lives
        tracer.communicate(timeout=20)


def _wait_until_attached(tracer: "subprocess.Popen[bytes]") -> None:
    assert tracer.stderr is not None
    ready, _, _ = select.select([tracer.stderr], [], [], ATTACH_TIMEOUT_S)
    said = os.read(tracer.stderr.fileno(), 65536) if ready else b""
    if b" attached" not in said:  # one line for all threads
        raise AssertionError(f"strace did not attach: {said!r}")
