"""``DELETE /containers/{id}``: the row goes first, then what it stood for.

The name and the id are free once the row is deleted. What follows (writable layer, log, the
runtime's state) is done in the background; after a crash the next start finds it without a row
and removes it, so no journal is needed.
"""

from pyd_api.errors import ConflictError
from pyd_guest.engine import cleanup, console, stop
from pyd_guest.engine.announce import announce
from pyd_guest.engine.model import Container, Created, Exited, Running
from pyd_guest.engine.parts import Parts
from pyd_guest.engine.waiting import WaitResult
from pyd_guest.linux.trees import remove_tree


def remove(parts: Parts, container: Container, *, force: bool) -> None:
    """Remove a container; a running one only by force. Takes the lock itself."""
    with container.lock:
        if container.removing or container.removed:
            raise ConflictError(f"removal of container {container.name} is already in progress")
        if isinstance(container.state, Running) and not force:
            raise ConflictError(
                f'cannot remove container "{container.name}": container is running: '
                "stop the container before removing or force remove"
            )
        container.removing = True
    try:
        stop.end_by_force(parts, container)
        with container.lock:
            remove_ended(parts, container)
    finally:
        container.removing = False


def remove_ended(parts: Parts, container: Container) -> None:
    """Remove a container that does not run; the lock is held."""
    match container.state:
        case Exited(exit_code) | Created(exit_code):
            code = exit_code
        case Running():
            raise ConflictError(f"container {container.id} is running")
    parts.store.delete(container.id)
    container.removed = True
    parts.index.drop(container)
    announce(parts, container, "destroy")
    console.end(container, ConflictError(f"container {container.id} is removed"))
    container.waits.removed(WaitResult(code))
    for tell in container.on_removal:
        tell()
    parts.background.submit(_sweep, parts, container)


def _sweep(parts: Parts, container: Container) -> None:
    cleanup.finish(parts, container)
    parts.snapshots.remove(container.id)
    remove_tree(parts.paths.kept(container.id))
