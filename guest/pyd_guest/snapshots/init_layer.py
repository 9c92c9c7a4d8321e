"""The engine-made layer between an image and a container's own layer.

It holds what the runtime mounts over: real directories and plain files where an image may have
links that lead the runtime astray (a link at /proc or /etc/hosts, say). The table is dockerd's.
"""

import os
import stat

_DIRECTORIES = ("dev/pts", "dev/shm", "proc", "sys")
_FILES = (".dockerenv", "etc/hosts", "etc/hostname", "etc/resolv.conf", "dev/console")
_LINKS = {"etc/mtab": "/proc/mounts"}
_WALK = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MODE = 0o755


def build(root_fd: int) -> None:
    """Create the layer's entries below ``root_fd``, the merged view of an image."""
    for path in _DIRECTORIES:
        os.close(_directory(root_fd, path))
    for path in _FILES:
        with _Parent(root_fd, path) as (parent, name):
            _clear(parent, name)
            os.close(os.open(name, _CREATE, _MODE, dir_fd=parent))
    for path, target in _LINKS.items():
        with _Parent(root_fd, path) as (parent, name):
            if not _is_link_to(parent, name, target):
                _clear(parent, name)
                os.symlink(target, name, dir_fd=parent)


class _Parent:
    """Context of (descriptor of the parent directory, last name)."""

    def __init__(self, root_fd: int, path: str) -> None:
        head, _, self._name = path.rpartition("/")
        self._fd = _directory(root_fd, head)

    def __enter__(self) -> tuple[int, str]:
        return self._fd, self._name

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def _directory(root_fd: int, path: str) -> int:
    """Open a real directory, made where something else or nothing is; the caller closes it."""
    fd = os.dup(root_fd)
    for name in filter(None, path.split("/")):
        try:
            try:
                below = os.open(name, _WALK, dir_fd=fd)
            except (FileNotFoundError, NotADirectoryError):
                _clear(fd, name)
                os.mkdir(name, _MODE, dir_fd=fd)
                below = os.open(name, _WALK, dir_fd=fd)
        finally:
            os.close(fd)
        fd = below
    return fd


def _clear(parent: int, name: str) -> None:
    """Remove a file, link or device; an image's directory in a file's place goes if it is empty."""
    try:
        mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        os.rmdir(name, dir_fd=parent)
    else:
        os.unlink(name, dir_fd=parent)


def _is_link_to(parent: int, name: str, target: str) -> bool:
    try:
        return os.readlink(name, dir_fd=parent) == target
    except OSError:
        return False
