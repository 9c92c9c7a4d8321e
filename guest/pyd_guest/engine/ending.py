"""The end of a container's process: from conmon's exit file to everybody who waits.

::

    exit file or dead monitor ─▶ network released ─▶ row says exited ─▶ event ─▶ waiting clients
                                                                        └▶ removal, if asked for
    in the background: the runtime's state and cgroups, the mount, the bundle, the exit file

The exit file goes last: while the row says "running" and the file is there, a daemon that starts
again learns of the end as this one did.
"""

import os
import select
import signal
from contextlib import suppress

from pyd_api.ids import ContainerId
from pyd_guest.engine import console, removal
from pyd_guest.engine.announce import announce, announce_network
from pyd_guest.engine.model import Container, Exited, Running
from pyd_guest.engine.parts import Parts
from pyd_guest.engine.runtime_request import cgroups_path
from pyd_guest.engine.stages import stage
from pyd_guest.engine.times import now_ns
from pyd_guest.engine.waiting import WaitResult
from pyd_guest.linux import cgroup
from pyd_guest.linux.mount import unmount
from pyd_guest.linux.pidfd import identify, is_alive, open_process, send_signal
from pyd_guest.linux.trees import remove_tree

_KILLED = 128 + signal.SIGKILL
_MONITOR_TIMEOUT_MS = 5000


def ended(parts: Parts, container: Container, run: Running | None = None) -> None:
    """Handle the end of ``run``, the present one if None; harmless when that is not so.

    Called in a worker thread for the exit file and again when the monitor is gone.
    """
    with container.lock:
        state = container.state
        if not isinstance(state, Running) or (run is not None and run is not state):
            return
        exited = _read_exit(parts, container, state)
        if exited is None:
            return
        _settle(parts, container, state, exited)


def _read_exit(parts: Parts, container: Container, state: Running) -> Exited | None:
    """Return how the process ended, None while it runs under its monitor."""
    path = parts.paths.exit_file(container.id)
    try:
        text = path.read_text(encoding="ascii")
        finished_ns = path.stat().st_mtime_ns
    except FileNotFoundError:
        if is_alive(state.monitor):
            return None
        # Without its monitor the process has no output and no exit status: end it.
        with suppress(ProcessLookupError):
            send_signal(state.process, signal.SIGKILL)
        reason = "the monitor of the container ended before it"
        return Exited(_KILLED, state.started_ns, now_ns(), error=reason)
    oom = (parts.paths.bundle(container.id) / "oom").exists()
    return Exited(int(text), state.started_ns, finished_ns, oom_killed=oom)


def _settle(parts: Parts, container: Container, was: Running, exited: Exited) -> None:
    with stage(container.id, "release"):
        parts.network.release(container.id)
    container.state = exited
    console.end(container)
    removes_itself = container.spec.auto_remove and not container.removing
    if not removes_itself:  # otherwise the row goes in a moment
        parts.store.save_state(container.id, exited)
    if was.endpoint is not None:
        announce_network(parts, container, was.endpoint, "disconnect")
    seconds = (exited.finished_ns - exited.started_ns) // 10**9
    announce(
        parts, container, "die", exitCode=str(exited.exit_code), execDuration=str(max(seconds, 0))
    )
    if removes_itself:
        with stage(container.id, "unmount"):
            _unmount(parts, container.id)
    container.cleanup = parts.background.submit(clean, parts, container)
    container.waits.exited(WaitResult(exited.exit_code))
    if removes_itself:
        with stage(container.id, "remove"):
            removal.remove_ended(parts, container)


def clean(parts: Parts, container: Container) -> None:
    """Remove what only a running container needs; idempotent, takes no lock."""
    delete_process(parts, container)
    _unmount(parts, container.id)
    remove_tree(parts.paths.bundle(container.id))
    parts.paths.exit_file(container.id).unlink(missing_ok=True)


def delete_process(parts: Parts, container: Container) -> None:
    """Remove what the runtime knows of a container, and its cgroups if it never got so far."""
    parts.runtime(container.spec.runtime).delete(container.id)
    cgroup.remove(cgroups_path(container.spec, parts.cgroup_parent, container.id))


def _unmount(parts: Parts, container_id: ContainerId) -> None:
    with suppress(FileNotFoundError, OSError):  # EINVAL: not mounted
        unmount(parts.paths.rootfs(container_id), detach=True)


def forget_exit(parts: Parts, container_id: ContainerId) -> None:
    """Wait for the monitor of a start that failed, so that its exit file fits no later start."""
    with suppress(OSError, ValueError):
        text = (parts.paths.bundle(container_id) / "conmon.pid").read_text(encoding="ascii")
        monitor = open_process(identify(int(text)))
        try:
            gone = select.poll()
            gone.register(monitor, select.POLLIN)
            gone.poll(_MONITOR_TIMEOUT_MS)
        finally:
            os.close(monitor)
    parts.paths.exit_file(container_id).unlink(missing_ok=True)
