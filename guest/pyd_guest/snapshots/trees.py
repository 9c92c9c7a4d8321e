"""Remove and measure directory trees that somebody else filled: any depth, no link followed.

The walk holds at most `_DEPTH` descriptors; a directory that lies deeper is first moved up beside
the tree's root, so that neither recursion nor path length limits what can be removed.
"""

import os
import secrets
import stat

from pyd_guest.linux.openat2 import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, open_in_root

_DEPTH = 32
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(parent_fd: int, name: str | bytes) -> None:
    """Remove ``name`` in ``parent_fd`` and all below it; nothing there is no error."""
    name = os.fsencode(name)
    try:
        os.unlink(name, dir_fd=parent_fd)
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):
        pending = [name]
        while pending:
            _empty(parent_fd, pending[-1], pending)
            if not _is_filled(parent_fd, pending[-1]):
                os.rmdir(pending.pop(), dir_fd=parent_fd)


def _is_filled(parent_fd: int, name: bytes) -> bool:
    fd = os.open(name, _FLAGS, dir_fd=parent_fd)
    try:
        with os.scandir(fd) as entries:
            return next(entries, None) is not None
    finally:
        os.close(fd)


def _empty(top_fd: int, name: bytes, pending: list[bytes]) -> None:
    """Remove what is in ``name``; move directories that lie too deep into ``pending``."""
    stack = [(os.open(name, _FLAGS, dir_fd=top_fd), b"")]
    todo = [_children(stack[0][0])]
    try:
        while stack:
            fd = stack[-1][0]
            if not todo[-1]:
                todo.pop()
                done, child = stack.pop()
                os.close(done)
                if stack:
                    os.rmdir(child, dir_fd=stack[-1][0])
                continue
            child, is_directory = todo[-1].pop()
            if not is_directory:
                os.unlink(child, dir_fd=fd)
            elif len(stack) < _DEPTH:
                stack.append((os.open(child, _FLAGS, dir_fd=fd), child))
                todo.append(_children(stack[-1][0]))
            else:
                aside = b".removing-" + secrets.token_hex(8).encode()
                os.rename(child, aside, src_dir_fd=fd, dst_dir_fd=top_fd)
                pending.append(aside)
    finally:
        for fd, _ in stack:
            os.close(fd)


def _children(fd: int) -> list[tuple[bytes, bool]]:
    with os.scandir(fd) as entries:
        return [(os.fsencode(e.name), e.is_dir(follow_symlinks=False)) for e in entries]


def disk_usage(root_fd: int) -> int:
    """Sum the sizes of the regular files below ``root_fd``, hard links once.

    What lies deeper than a path can name is left out; what goes meanwhile too.
    """
    total = 0
    seen: set[int] = set()
    pending = [b"."]
    while pending:
        path = pending.pop()
        try:
            fd = open_in_root(root_fd, path, _FLAGS, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
        except OSError:
            continue
        try:
            with os.scandir(fd) as entries:
                for entry in entries:
                    state = os.stat(entry.name, dir_fd=fd, follow_symlinks=False)
                    if stat.S_ISDIR(state.st_mode):
                        pending.append(path + b"/" + os.fsencode(entry.name))
                    elif stat.S_ISREG(state.st_mode) and state.st_ino not in seen:
                        if state.st_nlink > 1:
                            seen.add(state.st_ino)
                        total += state.st_size
        except FileNotFoundError:
            continue
        finally:
            os.close(fd)
    return total
