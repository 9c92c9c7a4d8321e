"""Kill a daemon at a chosen system call, by strace's fault injection."""

import contextlib
import os
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

ATTACH_TIMEOUT_S = 20.0


@contextlib.contextmanager
def killed_at(pid: int, calls: str, number: int) -> Iterator[None]:
    """Let the threads of ``pid`` die of SIGKILL at the ``number``-th of ``calls`` that one makes.

    The daemon's threads are named one by one: its children, which are followed otherwise, go free.
    A call is counted when it is entered, and the process dies before the call is carried out.
    """
    threads = sorted(int(path.name) for path in Path(f"/proc/{pid}/task").iterdir())
    targets = [word for thread in threads for word in ("-p", str(thread))]
    inject = f"inject={calls}:signal=SIGKILL:when={number}"
    tracer = subprocess.Popen(
        ["strace", "-e", f"trace={calls}", "-e", inject, "-o", "/dev/null", *targets],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        _wait_until_attached(tracer, len(threads))
        yield
    finally:
        tracer.terminate()  # lets go of what still lives
        tracer.communicate(timeout=20)


def _wait_until_attached(tracer: "subprocess.Popen[bytes]", count: int) -> None:
    assert tracer.stderr is not None
    deadline = time.monotonic() + ATTACH_TIMEOUT_S
    seen = b""
    while seen.count(b" attached") < count:
        left = max(0.0, deadline - time.monotonic())
        ready, _, _ = select.select([tracer.stderr], [], [], left)
        data = os.read(tracer.stderr.fileno(), 65536) if ready else b""
        if not data:
            raise AssertionError(f"strace did not attach to {count} threads: {seen!r}")
        seen += data
