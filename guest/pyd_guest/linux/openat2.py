"""Path walks that the kernel confines to a root descriptor: openat2(2), Linux 5.6 and later.

``struct open_how`` is three 64-bit words: flags, mode, resolve.
"""

import ctypes
import os
import struct

from pyd_guest.linux.libc import LIBC, check

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

_SYS_OPENAT2 = 437  # the same number on every architecture
_HOW = struct.Struct("=QQQ")

_syscall = ctypes.CFUNCTYPE(
    ctypes.c_long,
    ctypes.c_long,
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_size_t,
    use_errno=True,
)(("syscall", LIBC))


def open_in_root(
    root_fd: int,
    path: str | bytes,
    flags: int,
    *,
    mode: int = 0,
    resolve: int = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
) -> int:
    """Open ``path`` as a process would whose root directory is ``root_fd``; the caller closes it.

    Links are followed inside the root, ``..`` stops there, and ``/proc``-style links are refused.
    """
    name = os.fsencode(path)
    if b"\0" in name:
        raise ValueError("embedded null byte")
    how = _HOW.pack(flags | os.O_CLOEXEC, mode, resolve)
    return check(_syscall(_SYS_OPENAT2, root_fd, name, how, _HOW.size), os.fsdecode(name))
