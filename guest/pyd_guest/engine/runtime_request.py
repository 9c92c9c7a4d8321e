"""From a ContainerSpec to what the runtime layer takes: names become numbers and paths.

The one place where the two meet; nothing here touches a mount, a namespace or a process.
"""

from dataclasses import dataclass

from pyd_guest.engine.container_spec import ContainerSpec
from pyd_guest.runtime import capabilities, devices, oci_spec, sysctls
from pyd_guest.runtime.host import HostFacts
from pyd_guest.runtime.mounts import Bind
from pyd_guest.runtime.oci_spec import HOST, Namespaces, Process, RuntimeInput, Seccomp
from pyd_guest.runtime.users import User

_DEFAULT_CGROUP_PARENT = "/pyd"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where this start of the container happens."""

    container_id: str
    rootfs: str
    user: User
    netns: str | None = None  # path of the sandbox; unused with the host's network
    hosts: str | None = None  # files to bind; None leaves the image's in place
    hostname: str | None = None
    resolv_conf: str | None = None
    init_binary: str | None = None  # needed when the spec asks for init
    seccomp: Seccomp | None = None
    cgroup_parent: str = _DEFAULT_CGROUP_PARENT


def granted(spec: ContainerSpec, facts: HostFacts) -> tuple[str, ...]:
    """Return the capabilities of the container's process."""
    security = spec.security
    return capabilities.grant(
        security.cap_add,
        security.cap_drop,
        privileged=security.privileged,
        within=facts.capabilities,
    )


def runtime_input(spec: ContainerSpec, place: Placement, facts: HostFacts) -> RuntimeInput:
    """Describe the container for `oci_spec.build`.

    Raises InvalidRequestError when a device that was named is not on the host.
    """
    security = spec.security
    process = Process(
        argv=spec.argv,
        env=oci_spec.environment(
            spec.env, hostname=spec.hostname, terminal=spec.tty, user=place.user
        ),
        cwd=spec.cwd,
        user=place.user,
        capabilities=granted(spec, facts),
        terminal=spec.tty,
        console_size=spec.console_size,
        no_new_privileges=security.no_new_privileges,
        oom_score_adj=spec.oom_score_adj,
        apparmor_profile=apparmor_profile(spec, facts),
    )
    return RuntimeInput(
        rootfs=place.rootfs,
        process=process,
        hostname=spec.hostname,
        domainname=spec.domainname,
        cgroups_path=cgroups_path(spec, place.cgroup_parent, place.container_id),
        cgroup_version=facts.cgroup_version,
        namespaces=_namespaces(spec, place),
        resources=spec.resources,
        devices=devices.collect(
            security.devices, security.device_rules, privileged=security.privileged
        ),
        block_devices=devices.block_numbers(throttle.path for throttle in spec.resources.throttles),
        readonly_rootfs=security.readonly_rootfs,
        privileged=security.privileged,
        cgroup_writable=security.writable_cgroups,
        binds=_binds(spec, place),
        tmpfs=spec.tmpfs,
        shm_size=spec.shm_size,
        mount_shm=spec.ipc_mode in ("private", "shareable"),
        init_binary=place.init_binary if spec.init else None,
        seccomp=place.seccomp,
        sysctls=sysctls.check(
            dict(security.sysctls),
            sysctls.OwnNamespaces(
                network=spec.network.mode != "host",
                ipc=spec.ipc_mode != "host",
                uts=spec.uts_mode != "host",
            ),
        ),
        annotations=dict(spec.annotations),
        masked_paths=security.masked_paths,
        readonly_paths=security.readonly_paths,
    )


def apparmor_profile(spec: ContainerSpec, facts: HostFacts) -> str:
    """Name a profile only where the kernel has AppArmor; elsewhere dockerd drops it too."""
    if not facts.apparmor:
        return ""
    if spec.security.apparmor:
        return spec.security.apparmor
    return "unconfined" if spec.security.privileged else ""


def _namespaces(spec: ContainerSpec, place: Placement) -> Namespaces:
    return Namespaces(
        network=HOST if spec.network.mode == "host" else place.netns,
        ipc=HOST if spec.ipc_mode == "host" else None,
        uts=HOST if spec.uts_mode == "host" else None,
        pid=HOST if spec.pid_mode == "host" else None,
        cgroup=HOST if spec.cgroupns_mode == "host" else None,
    )


def _binds(spec: ContainerSpec, place: Placement) -> tuple[Bind, ...]:
    files = (
        (place.resolv_conf, "/etc/resolv.conf"),
        (place.hostname, "/etc/hostname"),
        (place.hosts, "/etc/hosts"),
    )
    binds = [Bind(source, target) for source, target in files if source]
    if spec.ipc_mode == "host":
        binds.append(Bind("/dev/shm", "/dev/shm"))  # noqa: S108 - the host's, as asked
    return tuple(binds)


def cgroups_path(spec: ContainerSpec, default_parent: str, container_id: str) -> str:
    """Return the container's place below every cgroup hierarchy."""
    return f"/{(spec.cgroup_parent or default_parent).strip('/')}/{container_id}"
