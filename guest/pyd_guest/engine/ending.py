"""The end of a container's process: from conmon's exit file to everybody who waits.

::

    exit file or dead monitor ─▶ network released ─▶ row says exited ─▶ event ─▶ waiting clients
                                                                        └▶ removal, if asked for
    in the background: the runtime's state and cgroups, the mount, the bundle, the exit file

The exit file goes last: while the row says "running" and the file is there, a daemon that starts
again learns of the end as this one did.
"""

import logging
import signal
from collections.abc import Callable
from contextlib import suppress

from pyd_api.errors import PydError
from pyd_guest.engine import cleanup, console, removal
from pyd_guest.engine.announce import announce, announce_network
from pyd_guest.engine.model import Container, Exited, Running
from pyd_guest.engine.parts import Parts
from pyd_guest.engine.stages import stage
from pyd_guest.engine.times import now_ns
from pyd_guest.engine.waiting import WaitResult
from pyd_guest.linux.pidfd import is_alive, send_signal

_log = logging.getLogger(__name__)
_KILLED = 128 + signal.SIGKILL
_UNKNOWN = 255


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
    alive = is_alive(state.monitor)  # looked at first: its last deed is to write the file
    try:
        text = path.read_text(encoding="ascii")
        # file times lag by a tick of the kernel; nothing ends before it has started
        finished_ns = max(path.stat().st_mtime_ns, state.started_ns)
    except FileNotFoundError:
        if alive:
            return None
        # Without its monitor the process has no output and no exit status: end it.
        with suppress(ProcessLookupError):
            send_signal(state.process, signal.SIGKILL)
        reason = "the monitor of the container ended before it"
        return Exited(_KILLED, state.started_ns, now_ns(), error=reason)
    oom = (parts.paths.bundle(container.id) / "oom").exists()
    code = int(text) if text.strip().isdecimal() else _UNKNOWN
    return Exited(code, state.started_ns, finished_ns, oom_killed=oom)


def _settle(parts: Parts, container: Container, was: Running, exited: Exited) -> None:
    with stage(container.id, "release"):
        _try(container, lambda: parts.network.release(container.id))
    container.state = exited
    console.end(container)
    removes_itself = container.spec.auto_remove and not container.removing
    if not removes_itself:  # otherwise the row goes in a moment
        _try(container, lambda: parts.store.save_state(container.id, exited))
    if was.endpoint is not None:
        announce_network(parts, container, was.endpoint, "disconnect")
    seconds = (exited.finished_ns - exited.started_ns) // 10**9
    announce(
        parts, container, "die", exitCode=str(exited.exit_code), execDuration=str(max(seconds, 0))
    )
    if removes_itself:
        with stage(container.id, "unmount"):
            _try(container, lambda: cleanup.unmount_rootfs(parts, container.id))
    cleanup.later(parts, container)
    container.waits.exited(WaitResult(exited.exit_code))
    if removes_itself:
        with stage(container.id, "remove"):
            removal.remove_ended(parts, container)


def _try(container: Container, step: Callable[[], None]) -> None:
    """Do a step of an end: the process is over whether or not it works, and clients wait."""
    try:
        step()
    except (PydError, OSError) as error:
        _log.error("at the end of container %s: %s", container.id, error)
