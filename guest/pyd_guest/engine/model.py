"""A container as the engine knows it: what was asked for, and the state it is in.

States are plain values; the verbs (`start`, `stop`, `remove`, `ending`) replace them under the
container's lock and write them to the database in the same step::

    Created ──start──▶ Running ──its process ends──▶ Exited
       ▲ a start failed   ▲                             │
       └────── (stays)    └──────────start──────────────┘

`removing` and `removed` are no states: the row is there until the moment it is gone.
"""

import socket
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, TypeAlias

from pyd_api.ids import ContainerId, ImageId
from pyd_guest.engine.container_spec import ContainerSpec
from pyd_guest.engine.waiting import Waits
from pyd_guest.linux.pidfd import ProcessIdentity
from pyd_guest.network.endpoint import Endpoint

WireObject: TypeAlias = Mapping[str, Any]  # JSON in the shape of the API


@dataclass(frozen=True, slots=True)
class Created:
    """Made, never run; a start that failed leaves its exit code and words here."""

    exit_code: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Running:
    """The process is alive under a monitor, or its end has not been noticed yet."""

    process: ProcessIdentity
    monitor: ProcessIdentity
    started_ns: int
    endpoint: Endpoint | None
    last_finished_ns: int | None = None  # of the run before this one


@dataclass(frozen=True, slots=True)
class Exited:
    """The process has ended."""

    exit_code: int
    started_ns: int
    finished_ns: int
    oom_killed: bool = False
    error: str = ""


State: TypeAlias = Created | Running | Exited


@dataclass(slots=True, eq=False)
class Container:
    """One container; hold ``lock`` to change anything but the futures."""

    id: ContainerId
    name: str
    created_ns: int
    image_id: ImageId
    config: WireObject
    host_config: WireObject
    spec: ContainerSpec
    state: State = field(default_factory=Created)
    removing: bool = False
    removed: bool = False
    lock: RLock = field(default_factory=RLock)
    waits: Waits = field(default_factory=Waits)
    # The console of this run, or of the next one; one for all clients, see `console`.
    console: Future[socket.socket] | None = None
    # What follows an end in the background; the next start waits for it.
    cleanup: Future[bool] | None = None
    exec_ids: list[str] = field(default_factory=list)
    # To be told, with the lock held, that the container is gone.
    on_removal: list[Callable[[], None]] = field(default_factory=list)

    @property
    def image_name(self) -> str:
        """The image as the user named it."""
        return str(self.config.get("Image") or self.image_id)

    @property
    def labels(self) -> Mapping[str, str]:
        """The user's and the image's labels."""
        return self.config.get("Labels") or {}
