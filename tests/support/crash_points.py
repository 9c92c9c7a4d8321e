"""Stop a piece of work at its N-th change of the file system: killed, or told that the disk fails.

Runs in a fork of the test, since audit hooks stay for good.
Python announces each such call before it makes it (PEP 578): the hook counts them.
"""

import os
import signal
import sys
from collections.abc import Callable

_CHANGES = {
    "os.rename",
    "os.mkdir",
    "os.remove",
    "os.rmdir",
    "os.link",
    "os.truncate",
    "os.setxattr",
    "os.chmod",
    "os.chown",
    "sqlite3.connect",
}
SURVIVED = 3


def changes(event: str, arguments: tuple[object, ...]) -> bool:
    if event == "open":
        flags = arguments[2]
        return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    return event in _CHANGES


def arm(count: int, act: Callable[[], None]) -> None:
    """Call ``act`` at the ``count``-th change from now on, once."""
    left = [count]

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if left[0] > 0 and changes(event, arguments):
            left[0] -= 1
            if left[0] == 0:
                act()

    sys.addaudithook(hook)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail() -> None:
    raise OSError(28, os.strerror(28))


def run(work: Callable[[], int]) -> int:
    """Run ``work`` in a fork of this process; return its status, negative for a signal.

    The test that calls this has no other threads.
    """
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = work()
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert isinstance(status, int)
    return status
