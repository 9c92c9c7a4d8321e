"""The console of a container: the monitor's attach socket, as soon as there is a monitor.

``docker run`` attaches before it starts. Such a client is given a future, which the start resolves
between "the monitor is up" and "the process goes", so that no byte of output is missed.
"""

import socket
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from pyd_api.errors import ConflictError, PydError
from pyd_guest.engine.model import Container, Running
from pyd_guest.runtime.conmon import connect_console


@dataclass(frozen=True, slots=True)
class Attachment:
    """What a client that attaches needs to know; ``key`` names the container or exec."""

    key: str
    tty: bool
    stdin_open: bool
    stdin_once: bool
    console: Future[socket.socket]
    """Fails, or is cancelled, when there will be no console."""


def attach(container: Container, bundle: Path) -> Attachment:
    """Return the way to the console of this run, or of the next one if it does not run.

    Every client of a run is given the same future. conmon ends the process's input as soon as any
    one connection goes away, so there must be only one.
    """
    with container.lock:
        if container.removed:
            raise ConflictError(f"container {container.id} is removed")
        console = container.console
        if console is None or _is_over(console):
            console = container.console = Future()
            if isinstance(container.state, Running):
                connect(container, bundle)
    return Attachment(
        container.id,
        container.spec.tty,
        container.spec.open_stdin,
        container.spec.ends_with_its_client,
        console,
    )


def connect(container: Container, bundle: Path) -> None:
    """Give those who wait for the console of this run its socket; the lock is held."""
    console = container.console
    if console is None or console.done():
        return
    try:
        console.set_result(connect_console(bundle))
    except OSError as error:  # the process is ending just now
        console.set_exception(error)


def end(container: Container, error: PydError | None = None) -> None:
    """Forget the console of a run that is over or never came to be; the lock is held."""
    console, container.console = container.console, None
    if console is not None and not console.done():
        console.set_exception(error or ConflictError(f"container {container.id} has ended"))


def _is_over(console: Future[socket.socket]) -> bool:
    """Tell whether whoever reads the console has closed it, or it could not be connected."""
    if not console.done():
        return False
    return console.exception() is not None or console.result().fileno() < 0
