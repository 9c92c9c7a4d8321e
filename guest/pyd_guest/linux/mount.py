"""Mounts by mount(2) and umount2(2); flags keep their kernel names."""

import ctypes
import os
from pathlib import Path

from pyd_guest.linux.libc import LIBC, check

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MS_SLAVE = 0x80000
MS_SHARED = 0x100000

MNT_DETACH = 0x2
UMOUNT_NOFOLLOW = 0x8

_mount = LIBC.mount
_mount.argtypes = [ctypes.c_char_p] * 3 + [ctypes.c_ulong, ctypes.c_char_p]
_umount2 = LIBC.umount2
_umount2.argtypes = [ctypes.c_char_p, ctypes.c_int]


def mount(source: str | Path, target: Path, fstype: str, flags: int = 0, options: str = "") -> None:
    """Mount ``source`` of type ``fstype`` on ``target``."""
    check(
        _mount(os.fsencode(source), os.fsencode(target), fstype.encode(), flags, options.encode()),
        source,
        target,
    )


def bind(source: str | Path, target: Path, *, recursive: bool = False) -> None:
    """Show ``source`` at ``target`` as well."""
    flags = MS_BIND | (MS_REC if recursive else 0)
    check(_mount(os.fsencode(source), os.fsencode(target), None, flags, None), source, target)


def set_propagation(target: Path, flag: int) -> None:
    """Make the mount at ``target`` MS_SHARED, MS_PRIVATE or MS_SLAVE, with MS_REC if wanted."""
    check(_mount(None, os.fsencode(target), None, flag, None), target)


def unmount(target: Path, *, detach: bool = False) -> None:
    """Unmount what is mounted on ``target``; ``detach`` lets busy mounts go once they are idle."""
    flags = UMOUNT_NOFOLLOW | (MNT_DETACH if detach else 0)
    check(_umount2(os.fsencode(target), flags), target)


def mount_points(below: Path) -> list[Path]:
    """List mount points at or below ``below``, innermost first (proc(5), mountinfo)."""
    root = os.path.realpath(below)
    points = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        for line in table:
            point = line.split(" ", 5)[4]
            if "\\" in point:  # space, tab, newline and backslash are octal escapes
                raw = point.encode("utf-8", "surrogateescape").decode("unicode_escape")
                point = os.fsdecode(raw.encode("latin-1"))
            if point == root or point.startswith(root.rstrip("/") + "/"):
                points.append(Path(point))
    return points[::-1]
