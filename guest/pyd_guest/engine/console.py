"""The console of a container: the monitor's attach socket, as soon as there is a monitor.

``docker run`` attaches before it starts. Such a client is given a future, which the start resolves
between "the monitor is up" and "the process goes", so that no byte of output is missed.
"""

import socket
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
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
    """Return the way to the console, now or at the next start.

    Raises ConflictError for a container that has run and ended: there is nothing to see.
    """
    console: Future[socket.socket] = Future()
    with container.lock:
        if container.removed:
            raise ConflictError(f"container {container.id} is removed")
        if isinstance(container.state, Running):
            try:
                console.set_result(connect_console(bundle))
            except OSError as error:  # it is ending just now
                console.set_exception(error)
        else:
            container.consoles.append(console)
    return Attachment(
        container.id,
        container.spec.tty,
        container.spec.open_stdin,
        container.spec.ends_with_its_client,
        console,
    )


def connect(container: Container, bundle: Path) -> None:
    """Give every waiting client its console; the container's lock is held."""
    waiting, container.consoles = container.consoles, []
    for console in waiting:
        if not console.set_running_or_notify_cancel():
            continue
        try:
            console.set_result(connect_console(bundle))
        except OSError as error:
            console.set_exception(error)


def refuse(container: Container, error: PydError) -> None:
    """Tell every waiting client that there will be no console; the lock is held."""
    waiting, container.consoles = container.consoles, []
    for console in waiting:
        with suppress(InvalidStateError):
            console.set_exception(error)
