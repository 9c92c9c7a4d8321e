"""Sandboxes: network namespaces, one per container (Container Network Model).

::

    netns_dir/<container id>    the namespace, bind-mounted; the daemon holds no descriptor of it

A namespace takes one or two milliseconds to make, most of it in the kernel; ``prefetch`` makes the
next one when there is time. A new sandbox has loopback up and nothing else. IPv6 starts out
disabled on links made in it, so that a neighbour's router advertisements configure nothing
(CVE-2020-13401).
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Protocol

from pyd_api.errors import ConflictError
from pyd_api.ids import ID_PATTERN, ContainerId


class Inside(Protocol):
    """What can be done in a namespace from outside, by descriptors opened within."""

    @property
    def fd(self) -> int:
        """A descriptor of the namespace."""

    def set_address(self, name: str, address: IPv4Interface, gateway: IPv4Address | None) -> None:
        """Bring a link up with its address and the default route."""

    def close(self) -> None:
        """Let go of the namespace; twice is harmless."""


class Namespaces(Protocol):
    """The namespaces of the kernel; `network.namespaces` has the real ones."""

    def make(self) -> Inside:
        """Make one, loopback up."""

    def keep(self, inside: Inside, path: Path) -> None:
        """Have it live at ``path``; FileExistsError when that is taken."""

    def enter(self, path: Path) -> Inside:
        """Open the one that lives at ``path``."""

    def drop(self, path: Path) -> None:
        """Let it go; idempotent."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A container's network namespace; ``path`` is None for the host's own."""

    container_id: ContainerId
    path: Path | None


class Sandboxes:
    """Makes and drops sandboxes, and keeps a fresh one open until it is connected."""

    def __init__(self, directory: Path, namespaces: Namespaces) -> None:
        self._directory = directory
        self._namespaces = namespaces
        self._lock = threading.Lock()
        self._fresh: dict[ContainerId, Inside] = {}
        self._spare: list[Inside] = []  # one at most

    def prepare(self) -> None:
        """Make the directory."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def prefetch(self) -> None:
        """Make a namespace for the next sandbox, unless there is one."""
        if self._spare:
            return
        made = self._namespaces.make()
        with self._lock:
            if not self._spare:
                self._spare.append(made)
                return
        made.close()  # somebody else was as quick

    def create(self, container_id: ContainerId) -> Sandbox:
        """Give the container a namespace. Raises ConflictError when it has one."""
        path = self.path_of(container_id)
        with self._lock:
            inside = self._spare.pop() if self._spare else None
        if inside is None:
            inside = self._namespaces.make()
        with ExitStack() as undo:
            undo.callback(inside.close)
            try:
                self._namespaces.keep(inside, path)
            except FileExistsError:
                raise ConflictError(
                    f"container {container_id} has a network sandbox already"
                ) from None
            undo.pop_all()
        with self._lock:
            self._fresh[container_id] = inside
        return Sandbox(container_id, path)

    @contextmanager
    def inside(self, sandbox: Sandbox) -> Iterator[Inside]:
        """Give access to a sandbox."""
        if sandbox.path is None:
            raise ConflictError("the host's own network cannot be changed")
        with self._lock:
            inside = self._fresh.pop(sandbox.container_id, None)
        if inside is None:
            inside = self._namespaces.enter(sandbox.path)
        try:
            yield inside
        finally:
            inside.close()

    def shut_down(self) -> None:
        """Let go of what is open; the sandboxes stay."""
        with self._lock:
            held = [*self._fresh.values(), *self._spare]
            self._fresh.clear()
            self._spare.clear()
        for inside in held:
            inside.close()

    def close(self, container_id: ContainerId) -> None:
        """Close what a fresh sandbox holds open; the sandbox stays."""
        with self._lock:
            inside = self._fresh.pop(container_id, None)
        if inside is not None:
            inside.close()

    def drop(self, container_id: ContainerId) -> None:
        """Let go of the namespace; idempotent."""
        self.close(container_id)
        self._namespaces.drop(self.path_of(container_id))

    def present(self) -> set[ContainerId]:
        """Return the containers that have a namespace file, whole or not."""
        return {
            ContainerId(entry.name)
            for entry in self._directory.iterdir()
            if ID_PATTERN.fullmatch(entry.name)
        }

    def path_of(self, container_id: ContainerId) -> Path:
        """Return where a container's namespace lives."""
        return self._directory / container_id
