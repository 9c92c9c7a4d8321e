"""At the daemon's start: make rows and the machine agree. What is true wins over what is written.

::

    row says     the machine says                      then
    created      nothing, or remains of a start        remains go
    running      exit file                             its end is handled, with code and time
    running      process waits for its start           it is let go
    running      process and monitor alive             adopted
    running      neither (a reboot)                    exited with 255
    exited       remains                               remains go
    no row       anything                              it goes
"""

import logging
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress

from pyd_api.errors import PydError
from pyd_api.ids import ID_PATTERN, ContainerId
from pyd_guest.engine import cleanup, ending, removal
from pyd_guest.engine.model import Container, Exited, Running
from pyd_guest.engine.parts import Parts
from pyd_guest.engine.store import SpecParser
from pyd_guest.engine.times import now_ns
from pyd_guest.linux.mount import mount_points, unmount
from pyd_guest.linux.pidfd import is_alive, send_signal
from pyd_guest.linux.trees import remove_tree
from pyd_guest.network.endpoint import Endpoint
from pyd_guest.runtime.conmon import end_monitors

_log = logging.getLogger(__name__)
_UNKNOWN_EXIT = 255  # dockerd's, for a process that ended with nobody looking


def load(parts: Parts, parse: SpecParser) -> dict[ContainerId, Endpoint]:
    """Fill the index from the rows, settle what a reboot ended, and remove all remains.

    Returns the endpoints of containers that run, for the network to keep.
    """
    end_monitors(parts.paths.exec_root)
    for container in parts.store.load(parse):
        parts.index.add(container)
    live: dict[ContainerId, Endpoint] = {}
    for container in parts.index.all():
        state = container.state
        if not isinstance(state, Running):
            continue
        if _is_there(parts, container, state):
            if state.endpoint is not None:
                live[container.id] = state.endpoint
        else:
            _log.warning("container %s ended while nobody was looking", container.id)
            container.state = Exited(
                _UNKNOWN_EXIT, state.started_ns, now_ns(), error="the machine was restarted"
            )
            parts.store.save_state(container.id, container.state)
    _remove_remains(parts)
    return live


def restore_layers(parts: Parts) -> None:
    """Make the writable layers anew that a power cut took after their containers' rows were safe.

    For after the snapshot store has dropped what was half-made.
    """
    present = parts.snapshots.keys()
    for container in parts.index.all():
        if container.id not in present:
            _log.warning("the writable layer of container %s is lost; made anew", container.id)
            try:
                parts.snapshots.prepare(container.id, parts.images.get(container.image_id).top)
            except PydError as error:
                _log.warning("container %s has no writable layer: %s", container.id, error)


def adopt(parts: Parts) -> None:
    """Take over what runs, and handle the ends that came meanwhile; the watcher is running."""
    for container in parts.index.all():
        state = container.state
        if isinstance(state, Running):
            ending.ended(parts, container, state)
            if container.state is state:
                _let_go(parts, container, state)
                parts.watcher.watch_monitor(state.monitor, _ender(parts, container, state))
        elif container.spec.auto_remove and isinstance(state, Exited):
            with container.lock:
                removal.remove_ended(parts, container)


def _let_go(parts: Parts, container: Container, state: Running) -> None:
    """Start a process that still waits; one that cannot be is killed, and its end handled."""
    runtime = parts.runtime(container.spec.runtime)
    if not runtime.is_waiting(container.id):
        return
    try:
        runtime.start(container.id)
    except (PydError, OSError) as error:
        _log.warning("container %s cannot be started: %s", container.id, error)
        with suppress(ProcessLookupError):
            send_signal(state.process, signal.SIGKILL)


def _ender(parts: Parts, container: Container, state: Running) -> Callable[[], None]:
    return lambda: ending.ended(parts, container, state)


def _is_there(parts: Parts, container: Container, state: Running) -> bool:
    return parts.paths.exit_file(container.id).exists() or is_alive(state.monitor)


def _remove_remains(parts: Parts) -> None:
    """Remove whatever belongs to no container that runs."""
    known = {container.id: container for container in parts.index.all()}
    running = {own for own, it in known.items() if isinstance(it.state, Running)}
    for runtime in parts.runtimes.values():
        for own in runtime.known() - running:
            runtime.delete(own)
    for own in _ids(entry.name for entry in parts.paths.bundles.iterdir()):
        if own not in running:
            if own in known:
                cleanup.delete_process(parts, known[own])
            cleanup.forget_exit(parts, own)  # by a monitor that has yet to write it
            for point in mount_points(parts.paths.bundle(own)):
                with suppress(OSError):
                    unmount(point, detach=True)
            remove_tree(parts.paths.bundle(own))
    for own in _ids(entry.name for entry in parts.paths.exits.iterdir()):
        if own not in running:
            parts.paths.exit_file(own).unlink(missing_ok=True)
    for own in _ids(entry.name for entry in parts.paths.containers.iterdir()):
        if own not in known:
            remove_tree(parts.paths.kept(own))
    for key in parts.snapshots.keys() - known.keys():
        parts.snapshots.remove(key)


def _ids(names: Iterable[str]) -> list[ContainerId]:
    return [ContainerId(name) for name in names if ID_PATTERN.fullmatch(name)]
