"""inotify(7): learn of changes to a file without looking again and again.

Only what tailing needs. An event record::

    struct inotify_event { int wd; uint32_t mask, cookie, len; char name[len]; }
"""

import ctypes
import os
from pathlib import Path
from typing import Final, Self

from pyd_guest.linux.libc import LIBC, check

IN_MODIFY: Final = 0x2
IN_ATTRIB: Final = 0x4
IN_CLOSE_WRITE: Final = 0x8
IN_MOVED_TO: Final = 0x80
IN_CREATE: Final = 0x100
IN_DELETE_SELF: Final = 0x400
IN_MOVE_SELF: Final = 0x800

_READ_BYTES: Final = 64 * 1024

_init = LIBC.inotify_init1
_init.argtypes = [ctypes.c_int]
_add = LIBC.inotify_add_watch
_add.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32]


class Inotify:
    """One inotify instance, non-blocking; close it, or use it in a ``with`` statement."""

    def __init__(self) -> None:
        self._fd = check(_init(os.O_NONBLOCK | os.O_CLOEXEC))

    def fileno(self) -> int:
        """Return the descriptor that becomes readable with each event."""
        return self._fd

    def watch(self, path: Path, mask: int) -> None:
        """Report the events of ``mask`` on ``path``; watching it again replaces the mask."""
        check(_add(self._fd, os.fsencode(path), mask), path)

    def drain(self) -> bytes:
        """Return the records that are there, ``b""`` for none."""
        try:
            return os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        """Give the descriptor back; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
