"""The working directory of a process: there before the runtime looks, and inside the root.

Docker makes a missing one. Each step is resolved by the kernel below the root (checklist C9), so a
link in the image leads to where the container itself would end up.
"""

import os
from pathlib import Path, PurePosixPath

from pyd_api.errors import InvalidRequestError
from pyd_guest.linux.openat2 import open_in_root

_DIRECTORY = os.O_PATH | os.O_DIRECTORY


def ensure(rootfs: Path, cwd: str) -> None:
    """Make ``cwd`` and its missing parents in a mounted root.

    Raises InvalidRequestError when something that is no directory is in the way, or when links of
    the image lead below /proc, where the container would find descriptors of the runtime.
    """
    if cwd in ("", "/"):
        return
    root = os.open(rootfs, _DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            found = open_in_root(root, cwd, _DIRECTORY)
        except FileNotFoundError:
            found = _make(root, PurePosixPath(cwd))
        try:
            _refuse_below_proc(root, found, cwd)
        finally:
            os.close(found)
    except (NotADirectoryError, FileExistsError) as error:
        raise InvalidRequestError(f"Cannot mkdir: {cwd} is not a directory") from error
    except OSError as error:
        raise InvalidRequestError(f"Cannot mkdir: {cwd}: {error.strerror}") from error
    finally:
        os.close(root)


def _refuse_below_proc(root: int, found: int, cwd: str) -> None:
    top, where = (Path(f"/proc/self/fd/{number}").readlink() for number in (root, found))
    if where.is_relative_to(top / "proc"):
        raise InvalidRequestError(f"invalid working directory: {cwd} leads into /proc")


def _make(root: int, cwd: PurePosixPath) -> int:
    parent = open_in_root(root, "/", _DIRECTORY)
    try:
        for depth, name in enumerate(cwd.parts[1:], start=2):
            path = str(PurePosixPath(*cwd.parts[:depth]))
            try:
                child = open_in_root(root, path, _DIRECTORY)
            except FileNotFoundError:
                # mkdirat follows no link in its last part; a dangling one is FileExistsError.
                os.mkdir(name, 0o755, dir_fd=parent)
                child = open_in_root(root, path, _DIRECTORY)
            os.close(parent)
            parent = child
    except BaseException:
        os.close(parent)
        raise
    return parent
