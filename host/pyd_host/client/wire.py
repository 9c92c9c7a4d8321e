"""Shapes of the Engine API's answers that the command line reads, spelled as on the wire.

Imported for type checking only: nothing here costs a command anything.
"""

from typing import NotRequired, TypedDict


class Port(TypedDict):
    """One port of a container in a list."""

    PrivatePort: int
    Type: str
    PublicPort: NotRequired[int]
    IP: NotRequired[str]


class MountPoint(TypedDict):
    """One mount of a container."""

    Type: str
    Name: NotRequired[str]
    Source: str
    Destination: str
    Driver: NotRequired[str]


class NetworkSettings(TypedDict):
    """The networks of a container in a list."""

    Networks: dict[str, object] | None


class ContainerSummary(TypedDict):
    """GET /containers/json."""

    Id: str
    Names: list[str]
    Image: str
    ImageID: str
    Command: str
    Created: int
    Ports: list[Port] | None
    SizeRw: NotRequired[int]
    SizeRootFs: NotRequired[int]
    Labels: dict[str, str] | None
    State: str
    Status: str
    NetworkSettings: NotRequired[NetworkSettings]
    Mounts: list[MountPoint] | None


class ImageSummary(TypedDict):
    """GET /images/json."""

    Id: str
    ParentId: str
    RepoTags: list[str] | None
    RepoDigests: list[str] | None
    Created: int
    Size: int
    SharedSize: int
    Containers: int
    Labels: dict[str, str] | None


class ContainerState(TypedDict):
    """State in GET /containers/{id}/json."""

    Status: str
    Running: bool
    Paused: bool
    Restarting: bool
    Error: str
    ExitCode: int


class ContainerConfig(TypedDict):
    """Config in GET /containers/{id}/json, as far as attaching needs it."""

    Tty: bool
    OpenStdin: bool


class HostConfig(TypedDict):
    """HostConfig in GET /containers/{id}/json, as far as attaching needs it."""

    AutoRemove: bool


class Container(TypedDict):
    """GET /containers/{id}/json."""

    Id: str
    Name: str
    State: ContainerState
    Config: ContainerConfig
    HostConfig: HostConfig


class Created(TypedDict):
    """POST /containers/create."""

    Id: str
    Warnings: list[str] | None


class WaitError(TypedDict):
    """Why waiting failed."""

    Message: str


class Waited(TypedDict):
    """POST /containers/{id}/wait."""

    StatusCode: int
    Error: NotRequired[WaitError | None]


class ExecState(TypedDict):
    """GET /exec/{id}/json."""

    ExitCode: int | None
    Running: bool


class DeletedImage(TypedDict):
    """One line of DELETE /images/{name}."""

    Untagged: NotRequired[str]
    Deleted: NotRequired[str]


class Actor(TypedDict):
    """What an event happened to."""

    ID: str
    Attributes: dict[str, str] | None


class Event(TypedDict):
    """One message of GET /events."""

    Type: str
    Action: str
    Actor: Actor
    time: int
    timeNano: int


class VersionComponent(TypedDict):
    """One component in GET /version."""

    Name: str
    Version: str
    Details: dict[str, str] | None


class Version(TypedDict):
    """GET /version."""

    Platform: NotRequired[dict[str, str] | None]
    Components: NotRequired[list[VersionComponent] | None]
    Version: str
    ApiVersion: str
    MinAPIVersion: str
    GitCommit: str
    GoVersion: str
    Os: str
    Arch: str
    KernelVersion: str
    Experimental: NotRequired[bool]
    BuildTime: NotRequired[str]
