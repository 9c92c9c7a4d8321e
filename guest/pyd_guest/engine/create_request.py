"""A create request: filled up to what ``inspect`` shows (`merge`), then checked (`parse`).

::

    body ──wire.read──▶ Config, HostConfig ──image_defaults──▶ complete ──parse──▶ ContainerSpec
                        (typed, all fields)                    (stored, shown)

Wire shapes: Engine API 1.50. The words of refusals are dockerd's.
"""

import posixpath
from collections.abc import Mapping
from dataclasses import replace

from pyd_api.errors import InvalidRequestError, UnsupportedError
from pyd_guest.engine import (
    create_fields,
    image_defaults,
    parse_network,
    parse_process,
    parse_resources,
    parse_security,
    parse_storage,
    wire,
)
from pyd_guest.engine.container_spec import ContainerSpec
from pyd_guest.engine.image_defaults import ImageConfigLike
from pyd_guest.runtime import capabilities, paths
from pyd_guest.runtime.host import HostFacts, detect
from pyd_guest.runtime.mounts import SHM_SIZE_BYTES

Json = dict[str, object]

_EVERY_NUMBER = frozenset(range(parse_resources.CPUSET_MAX + 1))


def merge(
    body: Mapping[str, object],
    image_config: ImageConfigLike | None,
    *,
    container_id: str = "",
    facts: HostFacts | None = None,
) -> tuple[Json, Json]:
    """Return (Config, HostConfig) in full wire shape; nothing in them is shared.

    The host name is made from ``container_id`` when the request has none. Raises
    InvalidRequestError for a value of the wrong type, UnsupportedError for parts of the request
    that the merged result cannot tell from the image's (volumes, health checks).
    """
    facts = facts or detect()
    lowered = {key.lower(): value for key, value in body.items()}
    config = wire.read(body, create_fields.CONFIG)
    given = wire.struct(create_fields.HOST_CONFIG, "container.HostConfig")(
        lowered.get("hostconfig"), ".HostConfig"
    )
    host = given if isinstance(given, dict) else {}
    _refuse_storage(config, image_config)
    parse_process.check_healthcheck(config.get("Healthcheck"), asked=True)
    if image_config is not None:
        image_defaults.inherit(config, image_config)
    _complete_host(host, facts)
    mode = str(host["NetworkMode"])
    parse_network.check_hostname(config, host)
    mac = parse_network.endpoint_mac(lowered.get("networkingconfig"), mode)
    parse_network.choose_mac(config, mode, mac)
    _complete_config(config, host, container_id, facts)
    return config, host


def parse(
    config: Mapping[str, object],
    host_config: Mapping[str, object],
    facts: HostFacts | None = None,
) -> ContainerSpec:
    """Check a merged request and return it as values.

    Raises InvalidRequestError with dockerd's words, UnsupportedError naming a field that pyd does
    not implement yet.
    """
    facts = facts or detect()
    _refuse_elsewhere(host_config)
    process = parse_process.parse(config, host_config)
    network = parse_network.parse(config, host_config)
    security = parse_security.parse(host_config, facts)
    resources, warnings = parse_resources.parse(host_config, facts)
    storage = parse_storage.parse(config, host_config)
    modes = parse_process.namespaces(host_config)
    parse_security.check_sysctls(security, network.mode, modes)
    runtime = str(host_config["Runtime"] or facts.default_runtime)
    if runtime not in facts.runtimes:
        raise InvalidRequestError(f"unknown or invalid runtime name: {runtime}")
    return ContainerSpec(
        image=str(config["Image"]),
        argv=process.argv,
        env=process.env,
        user=process.user,
        group_add=process.group_add,
        cwd=process.cwd,
        tty=bool(config["Tty"]),
        console_size=process.console_size,
        attach_stdin=bool(config["AttachStdin"]),
        attach_stdout=bool(config["AttachStdout"]),
        attach_stderr=bool(config["AttachStderr"]),
        open_stdin=bool(config["OpenStdin"]),
        stdin_once=bool(config["StdinOnce"]),
        hostname=process.hostname,
        domainname=process.domainname,
        labels=process.labels,
        annotations=process.annotations,
        stop_signal=process.stop_signal,
        stop_timeout_s=process.stop_timeout_s,
        auto_remove=bool(host_config["AutoRemove"]),
        restart_policy=parse_process.restart_policy(host_config),
        log_driver=parse_process.log_driver(host_config),
        runtime=runtime,
        init=bool(host_config.get("Init")),
        ipc_mode=modes.ipc,
        pid_mode=modes.pid,
        uts_mode=modes.uts,
        cgroupns_mode=modes.cgroupns,
        cgroup_parent=parse_process.cgroup_parent(host_config),
        oom_score_adj=process.oom_score_adj,
        shm_size=storage.shm_size,
        tmpfs=storage.tmpfs,
        volume_paths=storage.volume_paths,
        network=network,
        security=security,
        resources=resources,
        warnings=(
            *warnings,
            *parse_network.warnings(host_config),
            *storage.warnings,
            *parse_process.warnings(config),
        ),
    )


def restore(
    config: Mapping[str, object], host_config: Mapping[str, object], facts: HostFacts
) -> ContainerSpec:
    """Read a container that was accepted before, on a machine that may have had more.

    A CPU, a capability or a runtime that is gone must not keep the daemon from starting; the
    container's next start will say what is missing.
    """
    anything = replace(
        facts,
        cpus=_EVERY_NUMBER,
        memory_nodes=_EVERY_NUMBER,
        capabilities=capabilities.KNOWN,
        runtimes=(*facts.runtimes, str(host_config["Runtime"])),
    )
    return parse(config, host_config, anything)


def _complete_host(host: Json, facts: HostFacts) -> None:
    """Put in the values that dockerd shows for what was not said."""
    if host["NetworkMode"] in ("", "default"):
        host["NetworkMode"] = "bridge"
    _default(host, "IpcMode", "private")
    _default(host, "CgroupnsMode", "private" if facts.cgroup_version > 1 else "host")
    _default(host, "Runtime", facts.default_runtime)
    _default(host, "ShmSize", SHM_SIZE_BYTES)
    for name, key, value in (("RestartPolicy", "Name", "no"), ("LogConfig", "Type", "json-file")):
        inner = host[name]
        if isinstance(inner, dict) and not inner[key]:
            inner[key] = value
    memory, swap = host["Memory"], host["MemorySwap"]
    if isinstance(memory, int) and memory > 0 and swap == 0:
        host["MemorySwap"] = 2 * memory
    if host["MemorySwappiness"] == -1:
        host["MemorySwappiness"] = None
    if isinstance(limit := host["PidsLimit"], int) and limit <= 0:
        host["PidsLimit"] = None
    labelled = host["Privileged"] or host["PidMode"] == "host" or host["IpcMode"] == "host"
    options = [option for option in _list(host["SecurityOpt"]) if isinstance(option, str)]
    if labelled and not any(option.startswith(("label=", "label:")) for option in options):
        host["SecurityOpt"] = [*options, "label=disable"]
    if not host["Privileged"]:
        if host["MaskedPaths"] is None:
            host["MaskedPaths"] = list(paths.masked())
        if host["ReadonlyPaths"] is None:
            host["ReadonlyPaths"] = list(paths.READONLY)
    if host.get("Init") is None:
        host.pop("Init", None)


def _complete_config(config: Json, host: Json, container_id: str, facts: HostFacts) -> None:
    if config["Entrypoint"] == [""]:
        config["Entrypoint"] = None
    config["Env"] = config["Env"] or None
    config["Volumes"] = config["Volumes"] or None
    if not config.get("ExposedPorts"):
        config.pop("ExposedPorts", None)
    for name in ("Healthcheck", "StopTimeout"):
        if config.get(name) is None:
            config.pop(name, None)
    directory = str(config["WorkingDir"])
    if directory.startswith("/"):
        config["WorkingDir"] = posixpath.normpath(directory).replace("//", "/")
    if not config["Hostname"]:
        shared = host["NetworkMode"] == "host"
        config["Hostname"] = facts.hostname if shared else container_id[:12]
    order = [field.name for field in create_fields.CONFIG]
    items = sorted(config.items(), key=lambda item: order.index(item[0]))
    config.clear()
    config.update(items)


def _refuse_storage(config: Json, image: ImageConfigLike | None) -> None:
    """Refuse anonymous volumes of the request; those of the image are told apart only here."""
    known = set((image.volumes if image else None) or ())
    for path in _dict(config["Volumes"]):
        if path not in known:
            raise UnsupportedError(f"volumes are not supported yet: Volumes {path!r}")


def _refuse_elsewhere(host: Mapping[str, object]) -> None:
    """Refuse what Linux, or a single machine, does not have."""
    if (isolation := host["Isolation"]) not in ("", "default"):
        raise InvalidRequestError(f"invalid isolation ({isolation}): linux only supports 'default'")
    for name, words in (
        ("IOMaximumIOps", "QoS maximum IOPs"),
        ("IOMaximumBandwidth", "QoS maximum bandwidth"),
    ):
        if host[name]:
            raise InvalidRequestError(
                f"invalid option: {words} configuration is not supported on linux"
            )
    if host["Cgroup"]:
        raise UnsupportedError("HostConfig.Cgroup is not supported")


def _default(host: Json, name: str, value: object) -> None:
    host[name] = host[name] or value


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _dict(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
