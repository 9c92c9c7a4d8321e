"""The working directory of a process: there before the runtime looks, and inside the root.

Docker makes a missing one. Each step is resolved by the kernel below the root (checklist C9), so a
link in the image leads to where the container itself would end up.
"""

import os
from pathlib import Path, PurePosixPath

from pyd_api.errors import InvalidRequestError
from pyd_guest.linux.openat2 import open_in_root
from pyd_guest.runtime.users import User

_DIRECTORY = os.O_PATH | os.O_DIRECTORY


def ensure(rootfs: Path, cwd: str, owner: User) -> None:
    """Make ``cwd`` and its missing parents in a mounted root; the last one belongs to ``owner``.

    Raises InvalidRequestError when something that is no directory is in the way.
    """
    if cwd in ("", "/"):
        return
    root = os.open(rootfs, _DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            os.close(open_in_root(root, cwd, _DIRECTORY))
        except FileNotFoundError:
            _make(root, PurePosixPath(cwd), owner)
    except (NotADirectoryError, FileExistsError) as error:
        raise InvalidRequestError(f"Cannot mkdir: {cwd} is not a directory") from error
    except OSError as error:
        raise InvalidRequestError(f"Cannot mkdir: {cwd}: {error.strerror}") from error
    finally:
        os.close(root)


def _make(root: int, cwd: PurePosixPath, owner: User) -> None:
    parent = open_in_root(root, "/", _DIRECTORY)
    made = False
    try:
        for depth, name in enumerate(cwd.parts[1:], start=2):
            path = str(PurePosixPath(*cwd.parts[:depth]))
            try:
                child = open_in_root(root, path, _DIRECTORY)
                made = False
            except FileNotFoundError:
                # mkdirat follows no link in its last part; a dangling one is FileExistsError.
                os.mkdir(name, 0o755, dir_fd=parent)
                made = True
                child = open_in_root(root, path, _DIRECTORY)
            os.close(parent)
            parent = child
        if made:
            os.chown(f"/proc/self/fd/{parent}", owner.uid, owner.gid)
    finally:
        os.close(parent)
