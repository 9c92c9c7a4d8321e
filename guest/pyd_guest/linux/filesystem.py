"""Whole file systems: syncfs(2) and the space that statfs(2) reports."""

import ctypes
import os

from pyd_guest.linux.libc import LIBC, check

_syncfs = LIBC.syncfs
_syncfs.argtypes = [ctypes.c_int]


def syncfs(fd: int) -> None:
    """Write everything that the file system of ``fd`` still holds in memory."""
    check(_syncfs(fd), f"/proc/self/fd/{fd}")


def free_bytes(fd: int) -> int:
    """Return what an unprivileged writer could still store, so that root's reserve stays."""
    state = os.fstatvfs(fd)
    return state.f_bavail * state.f_frsize
