"""The daemon's two directory trees, and the lock that makes them one daemon's.

DATA-ROOT lasts; EXEC-ROOT is gone after a reboot. EXEC-ROOT is a mount of its own, shared, so that
what is mounted below it later (root file systems, network namespaces) also appears in the mount
namespace that runtimes are started in, see `linux.spawner`.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyd_api.errors import ConflictError
from pyd_guest.engine.parts import Paths
from pyd_guest.linux.mount import MS_SHARED, bind, mount_points, set_propagation, unmount

_LOCK = "lock"


@contextmanager
def claimed(paths: Paths) -> Iterator[None]:
    """Make both trees and hold them; ConflictError when another daemon does."""
    paths.data_root.mkdir(mode=0o710, parents=True, exist_ok=True)
    paths.exec_root.mkdir(mode=0o711, parents=True, exist_ok=True)
    with _locked(paths.data_root), _locked(paths.exec_root), _shared_mount(paths.exec_root):
        paths.containers.mkdir(mode=0o710, exist_ok=True)
        for directory in (paths.bundles, paths.exits, paths.runtimes):
            directory.mkdir(mode=0o700, exist_ok=True)
        yield


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Hold an flock below ``root``; the kernel lets go of it when the daemon dies."""
    descriptor = os.open(root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConflictError(
                f"another pyd daemon uses {root}",
                hint="stop it, or give this one its own --data-root, --exec-root, --bridge and -H",
            ) from error
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _shared_mount(root: Path) -> Iterator[None]:
    """Keep ``root`` a shared mount, until nothing lies on it any more."""
    real = Path(os.path.realpath(root))
    if real not in mount_points(real):
        bind(real, real)
    set_propagation(real, MS_SHARED)
    try:
        yield
    finally:
        # While containers run, mounts lie on it, and the next daemon finds it as it is. Detached,
        # since the monitor of a container that has just ended may still be on its way out.
        if mount_points(real) == [real]:
            unmount(real, detach=True)
