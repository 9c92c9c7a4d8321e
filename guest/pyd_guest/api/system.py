"""``/_ping``, ``/version`` and ``/info``.

Docker Engine API 1.50, "System". The ping is what every client asks first, so it is a constant.
"""

from collections.abc import Callable
from typing import Final, Protocol, TypedDict

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pyd_guest.api.crossing import Workers

_PING_HEADERS: Final = {
    "Builder-Version": "1",  # the classic builder; BuildKit would be 2
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
    "Swarm": "inactive",
}


class Component(TypedDict):
    """A program that takes part: the engine, conmon, the runtime."""

    Name: str
    Version: str
    Details: dict[str, str]


class Platform(TypedDict):
    """The product."""

    Name: str


class VersionInfo(TypedDict):
    """The answer of ``/version``."""

    Platform: Platform
    Components: list[Component]
    Version: str
    ApiVersion: str
    MinAPIVersion: str
    GitCommit: str
    GoVersion: str
    Os: str
    Arch: str
    KernelVersion: str
    BuildTime: str


class Plugins(TypedDict):
    """The drivers by kind."""

    Volume: list[str]
    Network: list[str]
    Authorization: list[str] | None
    Log: list[str]


class Commit(TypedDict):
    """The version of a program that the engine runs."""

    ID: str


class Runtime(TypedDict):
    """One OCI runtime."""

    path: str


class SwarmInfo(TypedDict):
    """Always inactive."""

    NodeID: str
    NodeAddr: str
    LocalNodeState: str
    ControlAvailable: bool
    Error: str
    RemoteManagers: list[object] | None


class IndexConfig(TypedDict):
    """One registry."""

    Name: str
    Mirrors: list[str]
    Secure: bool
    Official: bool


class RegistryConfig(TypedDict):
    """How registries are reached."""

    IndexConfigs: dict[str, IndexConfig]
    InsecureRegistryCIDRs: list[str]
    Mirrors: list[str] | None


class SystemInfo(TypedDict):
    """The answer of ``/info``, with every key that dockerd 28.5 sends."""

    ID: str
    Containers: int
    ContainersRunning: int
    ContainersPaused: int
    ContainersStopped: int
    Images: int
    Driver: str
    DriverStatus: list[list[str]]
    Plugins: Plugins
    MemoryLimit: bool
    SwapLimit: bool
    KernelMemoryTCP: bool
    CpuCfsPeriod: bool
    CpuCfsQuota: bool
    CPUShares: bool
    CPUSet: bool
    PidsLimit: bool
    IPv4Forwarding: bool
    Debug: bool
    NFd: int
    OomKillDisable: bool
    NGoroutines: int
    SystemTime: str
    LoggingDriver: str
    CgroupDriver: str
    CgroupVersion: str
    NEventsListener: int
    KernelVersion: str
    OperatingSystem: str
    OSVersion: str
    OSType: str
    Architecture: str
    IndexServerAddress: str
    RegistryConfig: RegistryConfig
    NCPU: int
    MemTotal: int
    GenericResources: list[object] | None
    DockerRootDir: str
    HttpProxy: str
    HttpsProxy: str
    NoProxy: str
    Name: str
    Labels: list[str]
    ExperimentalBuild: bool
    ServerVersion: str
    Runtimes: dict[str, Runtime]
    DefaultRuntime: str
    Swarm: SwarmInfo
    LiveRestoreEnabled: bool
    Isolation: str
    InitBinary: str
    ContainerdCommit: Commit
    RuncCommit: Commit
    InitCommit: Commit
    SecurityOptions: list[str]
    CDISpecDirs: list[str]
    Warnings: list[str] | None


class System(Protocol):
    """The engine's calls behind this router."""

    def version(self) -> VersionInfo:
        """Return what runs here."""

    def info(self) -> SystemInfo:
        """Return the state and the abilities of this engine."""


def router(
    system: System, workers: Workers, *, greeted: Callable[[], None] = lambda: None
) -> APIRouter:
    """Return the routes over ``system``.

    ``greeted`` is called at each ping, with which a client's command begins; it must return at
    once.
    """

    async def ping(request: Request) -> Response:
        greeted()
        body = b"" if request.method == "HEAD" else b"OK"
        return Response(body, headers=_PING_HEADERS, media_type="text/plain")

    async def version(_request: Request) -> Response:
        return JSONResponse(await workers.quick(system.version))

    async def info(_request: Request) -> Response:
        return JSONResponse(await workers.quick(system.info))

    routes = APIRouter()
    routes.add_route("/_ping", ping, ["GET", "HEAD"])
    routes.add_route("/version", version, ["GET"])
    routes.add_route("/info", info, ["GET"])
    return routes
