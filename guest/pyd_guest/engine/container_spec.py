"""What a container is to be, as values that hold nothing invalid.

Made by `engine.create_request.parse` from Config and HostConfig; everything below the engine works
from this and never from the wire shapes.
"""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pyd_guest.network.endpoint import PortRequest
from pyd_guest.runtime.devices import DeviceMapping, DeviceRule
from pyd_guest.runtime.mounts import SHM_SIZE_BYTES, Tmpfs
from pyd_guest.runtime.resources import Resources

NamespaceMode: TypeAlias = Literal["private", "shareable", "none", "host"]
LogDriver: TypeAlias = Literal["json-file", "none"]


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """How the container is connected and what its name files say."""

    mode: str = "bridge"  # bridge, none, host or container:<name or id>
    ports: tuple[PortRequest, ...] = ()
    exposed: tuple[str, ...] = ()  # "80/tcp", image and request together
    publish_all: bool = False
    mac_address: str | None = None
    dns: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    extra_hosts: tuple[tuple[str, str], ...] = ()  # name, address or "host-gateway"

    @property
    def all_ports(self) -> tuple[PortRequest, ...]:
        """The ports asked for and, with ``publish_all``, every exposed one that is not."""
        if not self.publish_all:
            return self.ports
        bound = {(port.container_port, port.protocol) for port in self.ports}
        exposed = (PortRequest.parse(port) for port in self.exposed)
        return self.ports + tuple(
            port for port in exposed if (port.container_port, port.protocol) not in bound
        )

    @property
    def container(self) -> str | None:
        """The name or id of the container whose network is shared."""
        kind, _, name = self.mode.partition(":")
        return name if kind == "container" else None


@dataclass(frozen=True, slots=True)
class SecuritySpec:
    """Rights of the process inside."""

    privileged: bool = False
    cap_add: tuple[str, ...] = ()  # normalised: CAP_X or ALL
    cap_drop: tuple[str, ...] = ()
    seccomp: str | None = None  # None: default; "unconfined"; else a profile as JSON text
    apparmor: str | None = None  # None: default where the kernel has AppArmor
    no_new_privileges: bool = False
    writable_cgroups: bool = False
    readonly_rootfs: bool = False
    masked_paths: tuple[str, ...] | None = None  # None: default list
    readonly_paths: tuple[str, ...] | None = None
    sysctls: tuple[tuple[str, str], ...] = ()
    devices: tuple[DeviceMapping, ...] = ()
    device_rules: tuple[DeviceRule, ...] = ()


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """One container, valid once built."""

    image: str
    argv: tuple[str, ...]
    env: tuple[str, ...] = ()
    user: str = ""
    group_add: tuple[str, ...] = ()
    cwd: str = "/"
    tty: bool = False
    console_size: tuple[int, int] | None = None  # height, width
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    hostname: str = ""
    domainname: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    stop_signal: int = 15
    stop_timeout_s: int = 10  # negative: wait for ever
    auto_remove: bool = False
    restart_policy: Literal["no"] = "no"
    log_driver: LogDriver = "json-file"
    runtime: str = ""
    init: bool = False
    ipc_mode: NamespaceMode = "private"
    pid_mode: Literal["private", "host"] = "private"
    uts_mode: Literal["private", "host"] = "private"
    cgroupns_mode: Literal["private", "host"] = "private"
    cgroup_parent: str = ""
    oom_score_adj: int = 0
    shm_size: int = SHM_SIZE_BYTES
    tmpfs: tuple[Tmpfs, ...] = ()
    volume_paths: tuple[str, ...] = ()  # VOLUME of the image: directories of the writable layer
    network: NetworkSpec = field(default_factory=NetworkSpec)
    security: SecuritySpec = field(default_factory=SecuritySpec)
    resources: Resources = field(default_factory=Resources)
    warnings: tuple[str, ...] = ()

    @property
    def ends_with_its_client(self) -> bool:
        """Whether stdin ends with the first client's; a terminal outlives every client."""
        return self.stdin_once and not self.tty
