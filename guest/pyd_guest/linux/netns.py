"""Network namespaces kept alive by a bind mount (namespaces(7), ip-netns(8)).

A namespace is entered only by a thread that is made for it and ends in it: a pooled thread that
went in would do its next job in the wrong network.
"""

import ctypes
import errno
import os
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Generic, TypeVar

from pyd_guest.linux import mount
from pyd_guest.linux.libc import LIBC, check

CLONE_NEWNET = 0x40000000

_unshare = LIBC.unshare
_unshare.argtypes = [ctypes.c_int]
_setns = LIBC.setns
_setns.argtypes = [ctypes.c_int, ctypes.c_int]

_T = TypeVar("_T")


class _Inside(threading.Thread, Generic[_T]):
    """A thread that enters a namespace, does one thing there and ends."""

    def __init__(self, enter: Callable[[], None], act: Callable[[], _T]) -> None:
        super().__init__(name="netns", daemon=True)
        self._enter = enter
        self._act = act
        self._results: list[_T] = []
        self._failure: BaseException | None = None

    def run(self) -> None:
        try:
            self._enter()
            self._results.append(self._act())
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self._failure = error

    def result(self) -> _T:
        try:
            self.start()
        except RuntimeError as error:  # "can't start new thread"
            raise OSError(errno.EAGAIN, str(error)) from error
        self.join()
        if self._failure is not None:
            raise self._failure
        return self._results[0]


def create(path: Path, act: Callable[[], _T]) -> _T:
    """Make a namespace that lives at ``path`` and return what ``act`` did inside it.

    On failure neither namespace nor file is left. What ``act`` opened stays tied to the
    namespace, which cannot end before it is closed.
    """

    def enter() -> None:
        check(_unshare(CLONE_NEWNET), path)
        mount.bind(f"/proc/self/task/{threading.get_native_id()}/ns/net", path)

    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDONLY | os.O_CLOEXEC, 0o444))
    with ExitStack() as undo:
        undo.callback(drop, path)
        result = _Inside(enter, act).result()
        undo.pop_all()
    return result


def call_in(path: Path, act: Callable[[], _T]) -> _T:
    """Return what ``act`` did inside the namespace at ``path``."""

    def enter() -> None:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            check(_setns(fd, CLONE_NEWNET), path)
        finally:
            os.close(fd)

    return _Inside(enter, act).result()


def drop(path: Path) -> None:
    """Let go of the namespace at ``path``; the kernel ends it when its last user is gone.

    Idempotent. Its links end with it, some tens of milliseconds later.
    """
    with suppress(FileNotFoundError):
        with suppress(OSError):  # EINVAL: a file that nothing is mounted on
            mount.unmount(path, detach=True)
        path.unlink()
