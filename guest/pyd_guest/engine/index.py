"""Which containers exist, and which one a client means.

A reference is an id, the beginning of one that fits no other, or a name with or without the slash
that the API writes before names. A whole id wins over a name, a name over a beginning.
"""

import re
from collections.abc import Iterable
from threading import RLock
from typing import Final

from pyd_api.errors import ConflictError, InvalidRequestError, NotFoundError
from pyd_api.ids import ContainerId
from pyd_guest.engine.model import Container

NAME_PATTERN: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


def parse_name(text: str) -> str:
    """Return a container's name without its slash; InvalidRequestError in dockerd's words."""
    name = text.removeprefix("/")
    if not NAME_PATTERN.fullmatch(name):
        raise InvalidRequestError(
            f"Invalid container name ({text[:200]}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        )
    return name


class Index:
    """All containers by id and name; thread-safe."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._by_id: dict[ContainerId, Container] = {}
        self._names: dict[str, ContainerId] = {}

    def reserve(self, name: str, container_id: ContainerId) -> None:
        """Take a name, before the container exists. Raises ConflictError when it is taken."""
        with self._lock:
            owner = self._names.setdefault(name, container_id)
            if owner != container_id:
                raise ConflictError(
                    f'Conflict. The container name "/{name}" is already in use by container '
                    f'"{owner}". You have to remove (or rename) that container to be able to '
                    "reuse that name."
                )

    def release(self, name: str) -> None:
        """Give a name back; idempotent."""
        with self._lock:
            self._names.pop(name, None)

    def is_free(self, name: str) -> bool:
        """Tell whether nobody has the name."""
        with self._lock:
            return name not in self._names

    def add(self, container: Container) -> None:
        """Make a container known; its name is reserved already or free."""
        with self._lock:
            self.reserve(container.name, container.id)
            self._by_id[container.id] = container

    def drop(self, container: Container) -> None:
        """Forget a container and free its name."""
        with self._lock:
            if self._by_id.pop(container.id, None) is not None:
                self._names.pop(container.name, None)

    def all(self) -> list[Container]:
        """Return every container, the newest first."""
        with self._lock:
            known = list(self._by_id.values())
        return sorted(known, key=lambda container: container.created_ns, reverse=True)

    def find(self, container_id: ContainerId) -> Container | None:
        """Return the container with exactly that id."""
        return self._by_id.get(container_id)

    def get(self, reference: str) -> Container:
        """Return the container that is meant; NotFoundError or, if several fit, a 400."""
        with self._lock:
            whole = self._by_id.get(ContainerId(reference))
            if whole is None and (owner := self._names.get(reference.removeprefix("/"))):
                whole = self._by_id.get(owner)
            if whole is not None:
                return whole
            fitting = list(_beginning(reference, self._by_id)) if reference else []
            if len(fitting) > 1:
                raise InvalidRequestError(
                    f"Multiple IDs found with provided prefix: {reference[:64]}"
                )
            if not fitting:
                raise NotFoundError(f"No such container: {reference[:256]}")
            return self._by_id[fitting[0]]


def _beginning(reference: str, ids: Iterable[ContainerId]) -> Iterable[ContainerId]:
    return (known for known in ids if known.startswith(reference))
