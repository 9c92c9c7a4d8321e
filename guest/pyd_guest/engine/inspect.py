"""A container in the API's words: ``/containers/{id}/json`` and the rows of ``/containers/json``.

Shapes: Engine API 1.50, ContainerInspectResponse and ContainerSummary, with dockerd's values where
the description leaves them open.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pyd_api.errors import NotFoundError
from pyd_guest.engine.model import Container, Created, Exited, Running, State
from pyd_guest.engine.parts import Parts
from pyd_guest.engine.times import NEVER, now_ns, rfc3339
from pyd_guest.network.endpoint import Endpoint

Json = dict[str, Any]

_UNITS: Final = (
    (60, 1, "second"),
    (60 * 60, 60, "minute"),
    (48 * 3600, 3600, "hour"),
    (14 * 86400, 86400, "day"),
    (60 * 86400, 7 * 86400, "week"),
    (730 * 86400, 30 * 86400, "month"),
)


def inspect(parts: Parts, container: Container, *, size: bool) -> Json:
    """Return everything about one container."""
    spec = container.spec
    kept = parts.paths.kept(container.id)
    upper, work = parts.snapshots.directories(container.id)
    document: Json = {
        "Id": container.id,
        "Created": rfc3339(container.created_ns),
        "Path": spec.argv[0],
        "Args": list(spec.argv[1:]),
        "State": _state(container.state),
        "Image": container.image_id,
        "ResolvConfPath": str(kept / "resolv.conf"),
        "HostnamePath": str(kept / "hostname"),
        "HostsPath": str(kept / "hosts"),
        "LogPath": str(parts.paths.log(container.id)) if spec.log_driver != "none" else "",
        "Name": f"/{container.name}",
        "RestartCount": 0,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": list(container.exec_ids) or None,
        "HostConfig": container.host_config,
        "GraphDriver": {
            "Data": {
                "ID": container.id,
                "UpperDir": str(upper),
                "WorkDir": str(work),
                "MergedDir": str(parts.paths.rootfs(container.id)),
            },
            "Name": "overlay2",
        },
        "Mounts": _mounts(container),
        "Config": container.config,
        "NetworkSettings": _network_settings(parts, container),
    }
    if size:
        written = parts.snapshots.diff_size(container.id)
        document |= {"SizeRw": written, "SizeRootFs": written + _image_size(parts, container)}
    return document


def summary(parts: Parts, container: Container, *, size: bool) -> Json:
    """Return one row of the list."""
    spec = container.spec
    endpoint = _endpoint(container.state)
    row: Json = {
        "Id": container.id,
        "Names": [f"/{container.name}"],
        "Image": container.image_name,
        "ImageID": container.image_id,
        "Command": " ".join(f"'{word}'" if " " in word else word for word in spec.argv),
        "Created": container.created_ns // 10**9,
        "Ports": _port_rows(container, endpoint),
        "Labels": dict(container.labels),
        "State": status_of(container),
        "Status": _status_text(container),
        "HostConfig": {"NetworkMode": container.host_config.get("NetworkMode", "default")},
        "NetworkSettings": {"Networks": _networks(parts, container, endpoint)},
        "Mounts": _mounts(container),
    }
    if size:
        written = parts.snapshots.diff_size(container.id)
        row |= {"SizeRw": written} if written else {}  # a list leaves a zero out
        row["SizeRootFs"] = written + _image_size(parts, container)
    return row


def status_of(container: Container) -> str:
    """Return the one word that lists and filters use."""
    if container.removing:
        return "removing"
    match container.state:
        case Created():
            return "created"
        case Running():
            return "running"
        case Exited():
            return "exited"


def _image_size(parts: Parts, container: Container) -> int:
    try:
        return parts.images.get(container.image_id).size
    except NotFoundError:  # removed by force while the container stayed
        return 0


def _state(state: State) -> Json:
    running = isinstance(state, Running)
    status, pid, code, error = "created", 0, 0, ""
    oom, started, finished = False, NEVER, NEVER
    match state:
        case Created(code, error):
            pass
        case Running():
            status, pid, started = "running", state.process.pid, rfc3339(state.started_ns)
            finished = rfc3339(state.last_finished_ns) if state.last_finished_ns else NEVER
        case Exited(code, started_ns, finished_ns, oom, error):
            status, started, finished = "exited", rfc3339(started_ns), rfc3339(finished_ns)
    return {
        "Status": status,
        "Running": running,
        "Paused": False,
        "Restarting": False,
        "OOMKilled": oom,
        "Dead": False,
        "Pid": pid,
        "ExitCode": code,
        "Error": error,
        "StartedAt": started,
        "FinishedAt": finished,
    }


def _endpoint(state: State) -> Endpoint | None:
    return state.endpoint if isinstance(state, Running) else None


def _network_settings(parts: Parts, container: Container) -> Json:
    endpoint = _endpoint(container.state)
    address = endpoint.address if endpoint else None
    has_sandbox = endpoint is not None and container.spec.network.mode != "host"
    sandbox_key = parts.paths.sandboxes / container.id
    return {
        "Bridge": "",
        "SandboxID": container.id if endpoint else "",
        "SandboxKey": str(sandbox_key) if has_sandbox else "",
        "Ports": _port_map(container, endpoint),
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "EndpointID": endpoint.endpoint_id if endpoint and address else "",
        "Gateway": str(endpoint.gateway) if endpoint and endpoint.gateway else "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "IPAddress": str(address.ip) if address else "",
        "IPPrefixLen": address.network.prefixlen if address else 0,
        "IPv6Gateway": "",
        "MacAddress": endpoint.mac if endpoint else "",
        "Networks": _networks(parts, container, endpoint),
    }


def _mounts(container: Container) -> list[Json]:
    """Return the mount points: tmpfs of ``Mounts``; those of ``Tmpfs`` are none to dockerd."""
    mounts = container.host_config.get("Mounts")
    return [
        {
            "Type": mount["Type"],
            "Source": "",
            "Destination": mount["Target"],
            "Mode": "",
            "RW": not mount.get("ReadOnly"),
            "Propagation": "",
        }
        for mount in (mounts if isinstance(mounts, list) else ())
    ]


def _networks(parts: Parts, container: Container, endpoint: Endpoint | None) -> Json:
    name = container.spec.network.mode
    if container.spec.network.container is not None:
        return {}
    address = endpoint.address if endpoint else None
    known = {network.name: network.network_id for network in parts.network.networks}
    return {
        name: {
            "IPAMConfig": None,
            "Links": None,
            "Aliases": None,
            "MacAddress": endpoint.mac if endpoint else "",
            "DriverOpts": None,
            "GwPriority": 0,
            "NetworkID": known.get(name, "") if not isinstance(container.state, Created) else "",
            "EndpointID": endpoint.endpoint_id if endpoint else "",
            "Gateway": str(endpoint.gateway) if endpoint and endpoint.gateway else "",
            "IPAddress": str(address.ip) if address else "",
            "IPPrefixLen": address.network.prefixlen if address else 0,
            "IPv6Gateway": "",
            "GlobalIPv6Address": "",
            "GlobalIPv6PrefixLen": 0,
            "DNSNames": None,
        }
    }


def _port_map(container: Container, endpoint: Endpoint | None) -> Json:
    if endpoint is None:
        return {}
    ports: dict[str, list[Mapping[str, str]] | None] = dict.fromkeys(container.spec.network.exposed)
    for port in endpoint.ports:
        key = f"{port.container_port}/{port.protocol}"
        binding = {"HostIp": str(port.host_ip), "HostPort": str(port.host_port)}
        ports[key] = [*(ports.get(key) or []), binding]
    return dict(sorted(ports.items()))


def _port_rows(container: Container, endpoint: Endpoint | None) -> Sequence[Json]:
    if endpoint is None:
        return []
    rows: list[Json] = []
    for key, bindings in _port_map(container, endpoint).items():
        number, _, protocol = key.partition("/")
        private = {"PrivatePort": int(number), "Type": protocol}
        if not bindings:
            rows.append(private)
        for binding in bindings or ():
            public = {"IP": binding["HostIp"], "PublicPort": int(binding["HostPort"])}
            rows.append(private | public)
    return rows


def _status_text(container: Container) -> str:
    if container.removing:
        return "Removal In Progress"
    match container.state:
        case Created():
            return "Created"
        case Running(started_ns=started_ns):
            return f"Up {_human(now_ns() - started_ns)}"
        case Exited(exit_code, finished_ns=finished_ns):
            return f"Exited ({exit_code}) {_human(now_ns() - finished_ns)} ago"


def _human(duration_ns: int) -> str:
    """Return a duration as go-units prints it: the largest unit that is not one of it."""
    seconds = duration_ns // 10**9
    if seconds < 1:
        return "Less than a second"
    if 60 <= seconds < 120:
        return "About a minute"
    if 3600 <= seconds < 5400:
        return "About an hour"
    for limit, unit, word in _UNITS:
        if seconds < limit:
            count = (seconds + unit // 2) // unit if word == "hour" else seconds // unit
            return f"{count} {word}{'s' if count != 1 else ''}"
    return f"{seconds // (365 * 86400)} years"
