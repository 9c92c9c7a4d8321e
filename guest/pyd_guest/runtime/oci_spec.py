"""config.json of a container, and the process document of an exec (OCI runtime-spec 1.0).

``build`` is a pure function of its input: nothing is looked up here, so one description always
gives one document, and nothing is shared between two documents (checklist I4).
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyd_guest.runtime import mounts, paths, sysctls
from pyd_guest.runtime.devices import DeviceSet
from pyd_guest.runtime.mounts import Bind, Tmpfs
from pyd_guest.runtime.resources import Resources
from pyd_guest.runtime.users import User

Json = dict[str, object]

OCI_VERSION = "1.0.2"
INIT_TARGET = "/sbin/docker-init"
DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Process:
    """What is executed, as whom, and with which rights."""

    argv: tuple[str, ...]
    env: tuple[str, ...]
    cwd: str
    user: User
    capabilities: tuple[str, ...]
    terminal: bool = False
    console_size: tuple[int, int] | None = None  # height, width
    no_new_privileges: bool = False
    oom_score_adj: int | None = None
    apparmor_profile: str = ""


@dataclass(frozen=True, slots=True)
class Namespaces:
    """A path joins an existing namespace; None makes a new one; ``HOST`` keeps the daemon's."""

    network: str | None = None
    ipc: str | None = None
    uts: str | None = None
    pid: str | None = None
    cgroup: str | None = "host"


HOST = "host"


@dataclass(frozen=True, slots=True)
class Seccomp:
    """A filter in the form the runtime takes: JSON for any, BPF (base64) for crun."""

    json: Mapping[str, object] | None = None
    bpf: str | None = None


@dataclass(frozen=True, slots=True)
class RuntimeInput:
    """Everything config.json says, already resolved to numbers and host paths."""

    rootfs: str
    process: Process
    hostname: str
    cgroups_path: str
    cgroup_version: int
    namespaces: Namespaces
    resources: Resources
    devices: DeviceSet
    block_devices: Mapping[str, tuple[int, int]] | None = None  # of the throttles
    domainname: str = ""
    readonly_rootfs: bool = False
    privileged: bool = False
    cgroup_writable: bool = False
    binds: tuple[Bind, ...] = ()
    tmpfs: tuple[Tmpfs, ...] = ()
    shm_size: int = mounts.SHM_SIZE_BYTES
    mount_shm: bool = True
    init_binary: str | None = None
    seccomp: Seccomp | None = None
    sysctls: Mapping[str, str] | None = None
    annotations: Mapping[str, str] | None = None
    masked_paths: tuple[str, ...] | None = None  # None: Docker's list
    readonly_paths: tuple[str, ...] | None = None


def build(spec: RuntimeInput) -> Json:
    """Return config.json as a fresh tree of dicts and lists."""
    document: Json = {
        "ociVersion": OCI_VERSION,
        "process": build_process(
            spec.process,
            rlimits=spec.resources,
            argv_prefix=(INIT_TARGET, "--") if spec.init_binary else (),
        ),
        "root": {"path": spec.rootfs, "readonly": spec.readonly_rootfs},
        "mounts": _mounts(spec),
        "linux": _linux(spec),
    }
    if spec.namespaces.uts != HOST:
        document["hostname"] = spec.hostname
    annotations = dict(spec.annotations or {})
    if spec.seccomp and spec.seccomp.bpf:
        annotations["run.oci.seccomp_bpf_data"] = spec.seccomp.bpf
    if annotations:
        document["annotations"] = annotations
    return document


def build_process(
    process: Process, *, rlimits: Resources | None = None, argv_prefix: Sequence[str] = ()
) -> Json:
    """Return the ``process`` object, which is also the document that ``exec`` takes."""
    names = list(process.capabilities)
    document: Json = {
        "terminal": process.terminal,
        "user": {
            "uid": process.user.uid,
            "gid": process.user.gid,
            "additionalGids": list(process.user.additional_gids),
        },
        "args": [*argv_prefix, *process.argv],
        "env": list(process.env),
        "cwd": process.cwd,
        # inheritable and ambient stay empty: what a setuid-less exec may gain is nothing (D7)
        "capabilities": {"bounding": names, "effective": list(names), "permitted": list(names)},
        "noNewPrivileges": process.no_new_privileges,
    }
    if process.terminal and process.console_size and any(process.console_size):
        height, width = process.console_size
        document["consoleSize"] = {"height": height, "width": width}
    if process.oom_score_adj is not None:
        document["oomScoreAdj"] = process.oom_score_adj
    if process.apparmor_profile:
        document["apparmorProfile"] = process.apparmor_profile
    if rlimits is not None and rlimits.rlimits:
        document["rlimits"] = [limit.to_oci() for limit in rlimits.rlimits]
    return document


def environment(
    env: Sequence[str], *, hostname: str, terminal: bool, user: User
) -> tuple[str, ...]:
    """Return Docker's defaults (PATH, HOSTNAME, TERM, HOME) overlaid with ``env``.

    An entry without ``=`` removes a default. HOME is settled here from the account that was read
    before, so that no runtime has to look inside the image for it.
    """
    defaults = [DEFAULT_PATH, f"HOSTNAME={hostname}"] + (["TERM=xterm"] if terminal else [])
    result = {entry.partition("=")[0]: entry for entry in defaults}
    repeated = []
    given: set[str] = set()
    for entry in env:
        name, equals, _ = entry.partition("=")
        if not equals:
            result.pop(name, None)
        elif name in given:
            repeated.append(entry)  # the last one wins in most programs, as with Docker
        else:
            result[name] = entry
            given.add(name)
    result.setdefault("HOME", f"HOME={user.home}")
    return (*result.values(), *repeated)


def _mounts(spec: RuntimeInput) -> list[Json]:
    writable = spec.privileged
    table = mounts.standard(cgroup_writable=writable or spec.cgroup_writable, sys_writable=writable)
    if spec.mount_shm:
        table.append(mounts.shm(spec.shm_size))
    asked = [*(bind.to_oci() for bind in spec.binds), *(tmpfs.to_oci() for tmpfs in spec.tmpfs)]
    if spec.init_binary:
        asked.append(Bind(spec.init_binary, INIT_TARGET, read_only=True).to_oci())
    covered = {str(mount["destination"]) for mount in asked}
    kept = [mount for mount in table if not _is_covered(str(mount["destination"]), covered)]
    # parents before children, whatever the order of asking
    return kept + sorted(asked, key=lambda mount: str(mount["destination"]).count("/"))


def _is_covered(target: str, covered: set[str]) -> bool:
    """Whether a mount that was asked for takes the place of a standard one."""
    return target in covered or ("/dev" in covered and target.startswith("/dev/"))


def _linux(spec: RuntimeInput) -> Json:
    linux: Json = {
        "resources": spec.resources.to_oci(
            spec.devices.rules,
            cgroup_version=spec.cgroup_version,
            block_devices=spec.block_devices or {},
        ),
        "cgroupsPath": spec.cgroups_path,
        "namespaces": _namespaces(spec.namespaces),
    }
    if spec.devices.nodes:
        linux["devices"] = [dict(node) for node in spec.devices.nodes]
    if parameters := _sysctls(spec):
        linux["sysctl"] = parameters
    if not spec.privileged:
        masked = paths.masked() if spec.masked_paths is None else spec.masked_paths
        readonly = paths.READONLY if spec.readonly_paths is None else spec.readonly_paths
        if masked:
            linux["maskedPaths"] = list(masked)
        if readonly:
            linux["readonlyPaths"] = list(readonly)
    if spec.seccomp and spec.seccomp.json and not spec.seccomp.bpf:
        linux["seccomp"] = copy.deepcopy(spec.seccomp.json)
    return linux


def _sysctls(spec: RuntimeInput) -> dict[str, str]:
    parameters: dict[str, str] = {}
    if spec.namespaces.network != HOST:
        parameters.update(sysctls.OWN_NETWORK)
    if spec.domainname and spec.namespaces.uts != HOST:
        parameters["kernel.domainname"] = spec.domainname
    parameters.update(spec.sysctls or {})
    return parameters


def _namespaces(namespaces: Namespaces) -> list[Json]:
    result: list[Json] = [{"type": "mount"}]
    for kind in ("network", "uts", "pid", "ipc", "cgroup"):
        where: str | None = getattr(namespaces, kind)
        if where == HOST:
            continue
        result.append({"type": kind} if where is None else {"type": kind, "path": where})
    return result
