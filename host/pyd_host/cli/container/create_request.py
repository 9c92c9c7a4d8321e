"""The body of ``POST /containers/create`` from the flags of ``create`` and ``run``.

Every field that Docker's client sends is sent, at its default too: the engine tells "not given"
from "given" by the same values.
"""

from collections.abc import Sequence

from pyd_host.cli.container.environment import mapping, read_environment, read_labels
from pyd_host.cli.container.host_flags import (
    SecurityOptions,
    is_cdi_device,
    parse_capability,
    parse_device,
    parse_dns,
    parse_extra_host,
    parse_gpus,
    parse_rate,
    parse_restart,
    parse_sysctls,
    parse_ulimit,
    parse_weight,
)
from pyd_host.cli.container.mount_flags import parse_mount, parse_tmpfs, parse_volumes
from pyd_host.cli.container.network_flags import NetworkOptions
from pyd_host.cli.container.option_errors import bad_argument
from pyd_host.cli.container.port_flags import parse_ports
from pyd_host.cli.errors import CommandError
from pyd_host.cli.flags import Values

_STATUS = 125
_STREAMS = frozenset({"stdin", "stdout", "stderr"})
_HEALTH_FLAGS = (
    "health-cmd", "health-interval", "health-retries", "health-timeout", "health-start-period",
    "health-start-interval",
)  # fmt: skip

Body = dict[str, object]


class Streams:
    """Which of the three streams the client wants."""

    __slots__ = ("stderr", "stdin", "stdout")

    def __init__(self, values: Values) -> None:
        named = set()
        for word in values.texts("attach"):
            if word.lower() not in _STREAMS:
                reason = "valid streams are STDIN, STDOUT and STDERR"
                raise bad_argument("-a, --attach", word, reason)
            named.add(word.lower())
        interactive = values.flag("interactive")
        self.stdin = "stdin" in named or interactive
        self.stdout = "stdout" in named or not named
        self.stderr = "stderr" in named or not named


def build_body(
    values: Values, image: str, command: Sequence[str], console: tuple[int, int]
) -> Body:
    """Return the request's body. ``console`` is height and width, 0 when not a terminal."""
    streams = Streams(values)
    interactive = values.flag("interactive")
    exposed, bindings = parse_ports(values.texts("publish"), values.texts("expose"))
    binds, unnamed = parse_volumes(values.texts("volume"))
    network = NetworkOptions(values)
    entrypoint = [values.text("entrypoint")] if values.given("entrypoint") else None
    body: Body = {
        "Hostname": values.text("hostname"),
        "Domainname": values.text("domainname"),
        "User": values.text("user"),
        "AttachStdin": streams.stdin,
        "AttachStdout": streams.stdout,
        "AttachStderr": streams.stderr,
        "Tty": values.flag("tty"),
        "OpenStdin": interactive,
        "StdinOnce": interactive and streams.stdin,
        "Env": read_environment(values.texts("env-file"), values.texts("env")),
        "Cmd": list(command) or None,
        "Image": image,
        "Volumes": unnamed,
        "WorkingDir": values.text("workdir"),
        "Entrypoint": entrypoint,
        "OnBuild": None,
        "Labels": read_labels(values.texts("label-file"), values.texts("label")),
    }
    if exposed:
        body["ExposedPorts"] = exposed
    if values.text("stop-signal"):
        body["StopSignal"] = values.text("stop-signal")
    if values.given("stop-timeout"):
        body["StopTimeout"] = values.number("stop-timeout")
    if health := _health(values):
        body["Healthcheck"] = health
    body["HostConfig"] = _host_config(values, binds, bindings, network.mode, console)
    body["NetworkingConfig"] = {"EndpointsConfig": network.endpoints}
    return body


def _health(values: Values) -> Body | None:
    given = any(values.given(name) for name in _HEALTH_FLAGS)
    if values.flag("no-healthcheck"):
        if given:
            raise CommandError("--no-healthcheck conflicts with --health-* options", status=_STATUS)
        return {"Test": ["NONE"]}
    if not given:
        return None
    for name in _HEALTH_FLAGS[1:]:
        if values.number(name) < 0:
            raise CommandError(f"--{name} cannot be negative", status=_STATUS)
    health: Body = {}
    if command := values.text("health-cmd"):
        health["Test"] = ["CMD-SHELL", command]
    for name, field in (
        ("health-interval", "Interval"),
        ("health-timeout", "Timeout"),
        ("health-start-period", "StartPeriod"),
        ("health-start-interval", "StartInterval"),
        ("health-retries", "Retries"),
    ):
        if values.number(name):
            health[field] = values.number(name)
    return health


def _host_config(
    values: Values,
    binds: list[str],
    bindings: dict[str, list[dict[str, str]]],
    network_mode: str,
    console: tuple[int, int],
) -> Body:
    restart = parse_restart(values.text("restart"))
    if values.flag("rm") and restart["Name"] not in {"no", ""}:
        message = "conflicting options: cannot specify both --restart and --rm"
        raise CommandError(message, status=_STATUS)
    security = SecurityOptions(values.texts("security-opt"))
    config: Body = {
        "Binds": binds or None,
        "ContainerIDFile": values.text("cidfile"),
        "LogConfig": _log_config(values),
        "NetworkMode": network_mode,
        "PortBindings": bindings,
        "RestartPolicy": restart,
        "AutoRemove": values.flag("rm"),
        "VolumeDriver": values.text("volume-driver"),
        "VolumesFrom": values.texts("volumes-from") or None,
        "ConsoleSize": list(console),
        "CapAdd": [parse_capability(w) for w in values.texts("cap-add")] or None,
        "CapDrop": [parse_capability(w) for w in values.texts("cap-drop")] or None,
        "CgroupnsMode": _cgroupns(values.text("cgroupns")),
        "Dns": [parse_dns(word) for word in values.texts("dns")],
        "DnsOptions": values.texts("dns-option") + values.texts("dns-opt"),
        "DnsSearch": values.texts("dns-search"),
        "ExtraHosts": [parse_extra_host(word) for word in values.texts("add-host")] or None,
        "GroupAdd": values.texts("group-add") or None,
        "IpcMode": values.text("ipc"),
        "Cgroup": "",
        "Links": values.texts("link") or None,
        "OomScoreAdj": values.number("oom-score-adj"),
        "PidMode": _mode(values, "pid", "PID"),
        "Privileged": values.flag("privileged"),
        "PublishAllPorts": values.flag("publish-all"),
        "ReadonlyRootfs": values.flag("read-only"),
        "SecurityOpt": security.options,
        "UTSMode": _mode(values, "uts", "UTS"),
        "UsernsMode": _mode(values, "userns", "USER"),
        "ShmSize": values.number("shm-size"),
        "Isolation": values.text("isolation"),
        "MaskedPaths": [] if security.unmask else None,
        "ReadonlyPaths": [] if security.unmask else None,
        **_resources(values),
    }
    optional: Body = {
        "Annotations": mapping(values.texts("annotation")),
        "Mounts": [parse_mount(word) for word in values.texts("mount")],
        "Runtime": values.text("runtime"),
        "StorageOpt": _storage_options(values.texts("storage-opt")),
        "Sysctls": parse_sysctls(values.texts("sysctl")),
        "Tmpfs": parse_tmpfs(values.texts("tmpfs")),
    }
    config.update((name, value) for name, value in optional.items() if value)
    if values.given("init"):
        config["Init"] = values.flag("init")
    return config


def _resources(values: Values) -> Body:
    swappiness = values.number("memory-swappiness")
    if swappiness != -1 and not 0 <= swappiness <= 100:
        message = f"invalid value: {swappiness}. Valid memory swappiness range is 0-100"
        raise CommandError(message, status=_STATUS)
    devices = values.texts("device")
    requests: list[object] = [
        {"Driver": "cdi", "Count": 0, "DeviceIDs": [word], "Capabilities": None, "Options": None}
        for word in devices
        if is_cdi_device(word)
    ]
    requests.extend(parse_gpus(word) for word in values.texts("gpus"))
    return {
        "CpuShares": values.number("cpu-shares"),
        "Memory": values.number("memory"),
        "NanoCpus": values.number("cpus"),
        "CgroupParent": values.text("cgroup-parent"),
        "BlkioWeight": values.number("blkio-weight"),
        "BlkioWeightDevice": [parse_weight(w) for w in values.texts("blkio-weight-device")],
        "BlkioDeviceReadBps": _rates(values, "device-read-bps", in_bytes=True),
        "BlkioDeviceWriteBps": _rates(values, "device-write-bps", in_bytes=True),
        "BlkioDeviceReadIOps": _rates(values, "device-read-iops", in_bytes=False),
        "BlkioDeviceWriteIOps": _rates(values, "device-write-iops", in_bytes=False),
        "CpuPeriod": values.number("cpu-period"),
        "CpuQuota": values.number("cpu-quota"),
        "CpuRealtimePeriod": values.number("cpu-rt-period"),
        "CpuRealtimeRuntime": values.number("cpu-rt-runtime"),
        "CpusetCpus": values.text("cpuset-cpus"),
        "CpusetMems": values.text("cpuset-mems"),
        "Devices": [parse_device(word) for word in devices if not is_cdi_device(word)],
        "DeviceCgroupRules": values.texts("device-cgroup-rule") or None,
        "DeviceRequests": requests or None,
        "MemoryReservation": values.number("memory-reservation"),
        "MemorySwap": values.number("memory-swap"),
        "MemorySwappiness": swappiness,
        "OomKillDisable": values.flag("oom-kill-disable"),
        "PidsLimit": values.number("pids-limit"),
        "Ulimits": [parse_ulimit(word) for word in values.texts("ulimit")],
        "CpuCount": values.number("cpu-count"),
        "CpuPercent": values.number("cpu-percent"),
        "IOMaximumIOps": values.number("io-maxiops"),
        "IOMaximumBandwidth": values.number("io-maxbandwidth"),
    }


def _rates(values: Values, name: str, *, in_bytes: bool) -> list[dict[str, object]]:
    return [parse_rate(f"--{name}", word, in_bytes=in_bytes) for word in values.texts(name)]


def _log_config(values: Values) -> Body:
    driver, options = values.text("log-driver"), mapping(values.texts("log-opt"))
    if driver == "none" and options:
        raise CommandError("invalid logging opts for driver none", status=_STATUS)
    return {"Type": driver, "Config": options}


def _storage_options(words: Sequence[str]) -> dict[str, str]:
    if any("=" not in word for word in words):
        raise CommandError("invalid storage option", status=_STATUS)
    return mapping(words)


def _mode(values: Values, flag: str, shown: str) -> str:
    mode = values.text(flag)
    joins = flag == "pid" and mode.startswith("container:") and mode != "container:"
    if mode not in {"", "host"} and not joins:
        raise CommandError(f"--{flag}: invalid {shown} mode", status=_STATUS)
    return mode


def _cgroupns(mode: str) -> str:
    if mode not in {"", "host", "private"}:
        raise CommandError("--cgroupns: invalid CGROUP mode", status=_STATUS)
    return mode
