"""The containers of this daemon: each call of the API finds its container and runs one verb.

A verb that changes the state runs under the container's lock; those that wait (`stop`, `kill`,
`removal`) take it themselves for moments.
"""

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from pyd_api.errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    NotModifiedError,
    UnsupportedError,
)
from pyd_api.ids import ContainerId, ImageId
from pyd_guest.engine import console, ending, removal
from pyd_guest.engine import create as creating
from pyd_guest.engine import inspect as inspecting
from pyd_guest.engine import start as starting
from pyd_guest.engine import stop as stopping
from pyd_guest.engine.announce import announce
from pyd_guest.engine.console import Attachment
from pyd_guest.engine.create import CreateResult
from pyd_guest.engine.index import parse_name
from pyd_guest.engine.listing import listing
from pyd_guest.engine.logs import LogSource
from pyd_guest.engine.model import Container, Exited, Running
from pyd_guest.engine.parts import Parts
from pyd_guest.engine.waiting import WaitResult
from pyd_guest.runtime.conmon import resize_terminal


def _new_name(name: str) -> str:
    try:
        return parse_name(f"/{name.removeprefix('/')}")
    except InvalidRequestError as error:
        raise InvalidRequestError(f"Error when allocating new name: {error}") from error


class Containers:
    """All containers; every method is synchronous and thread-safe."""

    def __init__(self, parts: Parts) -> None:
        """Act on ``parts``."""
        self._parts = parts

    def create(
        self, name: str | None, body: Mapping[str, object], *, platform: str | None
    ) -> CreateResult:
        """Make a container."""
        return creating.create(self._parts, name, body, platform=platform)

    def using(self, image_id: ImageId) -> list[tuple[ContainerId, bool]]:
        """Return the containers made from an image, and whether each runs."""
        return [
            (container.id, isinstance(container.state, Running))
            for container in self._parts.index.all()
            if container.image_id == image_id
        ]

    def list(
        self,
        *,
        all: bool,  # noqa: A002 - the API's word
        limit: int | None,
        size: bool,
        filters: Mapping[str, list[str]],
    ) -> list[dict[str, Any]]:
        """Return the rows of the list."""
        return listing(self._parts, everything=all, limit=limit, size=size, filters=filters)

    def inspect(self, ref: str, *, size: bool) -> dict[str, Any]:
        """Return everything about one container."""
        container = self._parts.index.get(ref)
        with container.lock:
            return inspecting.inspect(self._parts, container, size=size)

    def start(self, ref: str) -> None:
        """Start it; NotModifiedError when it runs."""
        container = self._parts.index.get(ref)
        with container.lock:
            starting.start(self._parts, container)

    def stop(self, ref: str, *, signal: str | None, timeout_s: int | None) -> None:
        """Stop it; NotModifiedError when it does not run."""
        container = self._parts.index.get(ref)
        stopping.stop(self._parts, container, signal_name=signal, timeout_s=timeout_s)

    def restart(self, ref: str, *, signal: str | None, timeout_s: int | None) -> None:
        """Stop it if it runs, and start it; a container that removes itself stays."""
        container = self._parts.index.get(ref)
        with container.lock:
            if container.removing:
                raise ConflictError(f"container {container.id} is marked for removal")
            container.removing = container.spec.auto_remove
        try:
            self._stop_if_running(container, signal, timeout_s)
        finally:
            container.removing = False
        with container.lock:
            starting.start(self._parts, container)
        announce(self._parts, container, "restart")

    def _stop_if_running(
        self, container: Container, signal: str | None, timeout_s: int | None
    ) -> None:
        try:
            stopping.stop(self._parts, container, signal_name=signal, timeout_s=timeout_s)
        except NotModifiedError:
            return

    def kill(self, ref: str, signal: str | None) -> None:
        """Send a signal."""
        try:
            container = self._parts.index.get(ref)
        except NotFoundError as error:
            raise NotFoundError(f"cannot kill container: {ref[:256]}: {error}") from error
        stopping.kill(self._parts, container, signal, called=ref)

    def remove(self, ref: str, *, force: bool, volumes: bool, link: bool) -> None:
        """Remove it; ``volumes`` is met by there being none."""
        del volumes
        if link:
            raise UnsupportedError("removing links is not supported: pyd has no legacy links")
        container = self._parts.index.get(ref)
        removal.remove(self._parts, container, force=force)

    def rename(self, ref: str, name: str) -> None:
        """Give it another name."""
        if not name:
            raise InvalidRequestError("Neither old nor new names may be empty")
        container = self._parts.index.get(ref)
        new = _new_name(name)
        with container.lock:
            if container.removing or container.removed:
                raise ConflictError(f"container {container.id} is marked for removal")
            old = container.name
            if new == old:
                raise InvalidRequestError(
                    "Renaming a container with the same name as its current name"
                )
            try:
                self._parts.index.reserve(new, container.id)
            except ConflictError as error:
                raise ConflictError(f"Error when allocating new name: {error}") from error
            try:
                self._parts.store.rename(container.id, new)
            except BaseException:
                self._parts.index.release(new)
                raise
            container.name = new
            self._parts.index.release(old)
        announce(self._parts, container, "rename", oldName=f"/{old}")

    def resize(self, ref: str, *, height: int, width: int) -> None:
        """Set the size of its terminal; without a terminal nothing happens, as with dockerd."""
        container = self._parts.index.get(ref)
        if not isinstance(container.state, Running):
            raise ConflictError(f"container {container.id} is not running")
        if container.spec.tty:
            try:
                bundle = self._parts.paths.bundle(container.id)
                resize_terminal(bundle, height=height, width=width)
            except OSError as error:  # it has ended just now
                raise ConflictError(f"container {container.id} is not running") from error
            announce(self._parts, container, "resize", height=str(height), width=str(width))

    def wait(self, ref: str, condition: str) -> Future[WaitResult]:
        """Return a future of the exit."""
        container = self._parts.index.get(ref)
        with container.lock:
            if isinstance(container.state, Running) or (
                condition != "not-running" and not container.removed  # since it was looked up
            ):
                waits = container.waits
                return waits.removal() if condition == "removed" else waits.next_exit()
            done: Future[WaitResult] = Future()
            done.set_result(WaitResult(container.state.exit_code, container.state.error or None))
            return done

    def attach(self, ref: str) -> Attachment:
        """Return how to reach its console."""
        container = self._parts.index.get(ref)
        attachment = console.attach(container, self._parts.paths.bundle(container.id))
        announce(self._parts, container, "attach")
        return attachment

    def log_source(self, ref: str) -> LogSource:
        """Return where its output is kept; refused where it is not kept."""
        container = self._parts.index.get(ref)
        if container.spec.log_driver == "none":
            raise UnsupportedError("configured logging driver does not support reading")
        with container.lock:
            ended: Future[None]
            if isinstance(container.state, Exited) or container.removed:
                ended = Future()
                ended.set_result(None)
            else:
                ended = container.waits.ended()
        return LogSource(self._parts.paths.log(container.id), container.spec.tty, ended)

    def exited(self, container_id: ContainerId) -> None:
        """Handle an exit file that appeared."""
        container = self._parts.index.find(container_id)
        if container is not None:
            ending.ended(self._parts, container)
