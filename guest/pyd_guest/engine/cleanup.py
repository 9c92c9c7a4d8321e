"""What goes once a container does not run: the runtime's state, cgroups, the mount, the bundle.

Everything here may be done twice, and takes no lock.
"""

import errno
import logging
import os
import select
import signal
from contextlib import suppress

from pyd_api.ids import ContainerId
from pyd_guest.engine.model import Container
from pyd_guest.engine.parts import Parts
from pyd_guest.engine.runtime_request import cgroups_path
from pyd_guest.linux import cgroup
from pyd_guest.linux.mount import unmount
from pyd_guest.linux.pidfd import ProcessIdentity, identify, open_process
from pyd_guest.linux.trees import remove_tree

_log = logging.getLogger(__name__)
_MONITOR_TIMEOUT_MS = 5000
_NOT_MOUNTED = (errno.EINVAL, errno.ENOENT)


def clean(parts: Parts, container: Container) -> None:
    """Remove what only a running container needs; the exit file goes last."""
    delete_process(parts, container)
    remove_bundle(parts, container.id)
    parts.paths.exit_file(container.id).unlink(missing_ok=True)


def later(parts: Parts, container: Container) -> None:
    """Have `clean` done in the background; `finish` waits for it."""
    container.cleanup = parts.background.submit(_guarded, parts, container)


def finish(parts: Parts, container: Container) -> None:
    """Return once `clean` has been done; one that failed is tried again."""
    cleanup = container.cleanup
    if cleanup is not None and not cleanup.result():
        clean(parts, container)
    container.cleanup = None


def _guarded(parts: Parts, container: Container) -> bool:
    try:
        clean(parts, container)
    except OSError as error:
        _log.warning("remains of container %s stay for now: %s", container.id, error)
        return False
    return True


def delete_process(parts: Parts, container: Container) -> None:
    """Remove what the runtime knows of a container, and its cgroups if it never got so far."""
    parts.runtime(container.spec.runtime).delete(container.id)
    cgroup.remove(cgroups_path(container.spec, parts.cgroup_parent, container.id))


def remove_bundle(parts: Parts, container_id: ContainerId) -> None:
    """Unmount the root file system, then remove the bundle; never the files of a mounted one."""
    unmount_rootfs(parts, container_id)
    remove_tree(parts.paths.bundle(container_id))


def unmount_rootfs(parts: Parts, container_id: ContainerId) -> None:
    """Unmount the root file system if it is mounted."""
    try:
        unmount(parts.paths.rootfs(container_id), detach=True)
    except OSError as error:
        if error.errno not in _NOT_MOUNTED:
            raise


def forget_exit(parts: Parts, container_id: ContainerId) -> None:
    """Wait for the monitor of a start that failed, so that its exit file fits no later start."""
    with suppress(OSError, ValueError):
        text = (parts.paths.bundle(container_id) / "conmon.pid").read_text(encoding="ascii")
        _end(identify(int(text)))
    parts.paths.exit_file(container_id).unlink(missing_ok=True)


def _end(monitor: ProcessIdentity) -> None:
    """Wait for a monitor whose container is gone; kill one that hangs."""
    descriptor = open_process(monitor)
    try:
        gone = select.poll()
        gone.register(descriptor, select.POLLIN)
        if not gone.poll(_MONITOR_TIMEOUT_MS):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            gone.poll(_MONITOR_TIMEOUT_MS)
    finally:
        os.close(descriptor)
