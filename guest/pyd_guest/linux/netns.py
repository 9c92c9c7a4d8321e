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


def call_in_new(act: Callable[[], _T]) -> _T:
    """Make a namespace and return what ``act`` did inside it.

    The namespace lives as long as something that ``act`` opened there, or until ``keep``.
    """

    def enter() -> None:
        check(_unshare(CLONE_NEWNET))

    return _Inside(enter, act).result()


def call_in(path: Path, act: Callable[[], _T]) -> _T:
    """Return what ``act`` did inside the namespace at ``path``."""

    def enter() -> None:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            check(_setns(fd, CLONE_NEWNET), path)
        finally:
            os.close(fd)

    return _Inside(enter, act).result()


def open_own() -> int:
    """Return a descriptor of the calling thread's namespace."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def keep(fd: int, path: Path) -> None:
    """Have the namespace of ``fd`` live at ``path``. Raises FileExistsError; leaves no file then.

    It stays until ``drop``.
    """
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDONLY | os.O_CLOEXEC, 0o444))
    with ExitStack() as undo:
        undo.callback(path.unlink)
        mount.bind(f"/proc/self/fd/{fd}", path)
        undo.pop_all()


def drop(path: Path) -> None:
    """Let go of the namespace at ``path``; the kernel ends it when its last user is gone.

    Idempotent. Its links end with it, some tens of milliseconds later.
    """
    with suppress(FileNotFoundError):
        with suppress(OSError):  # EINVAL: a file that nothing is mounted on
            mount.unmount(path, detach=True)
        path.unlink()
