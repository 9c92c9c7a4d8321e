"""The fields of a create request, in the order and with the zero values that dockerd shows.

Fields: Engine API 1.50, ContainerConfig, HostConfig and its Resources. ``omit_empty`` follows what
``GET /containers/{id}/json`` leaves out.
"""

from pyd_guest.engine import wire
from pyd_guest.engine.wire import Field

_pointer_bool = wire.optional(wire.boolean)
_pointer_int64 = wire.optional(wire.int64)

HEALTHCHECK = (
    Field("Test", wire.strings, omit_empty=True),
    Field("Interval", wire.int64, 0, omit_empty=True),
    Field("Timeout", wire.int64, 0, omit_empty=True),
    Field("StartPeriod", wire.int64, 0, omit_empty=True),
    Field("StartInterval", wire.int64, 0, omit_empty=True),
    Field("Retries", wire.go_int, 0, omit_empty=True),
)
_PORT_BINDING = wire.struct(
    (Field("HostIp", wire.string, ""), Field("HostPort", wire.string, "")), "nat.PortBinding"
)
_RESTART_POLICY = wire.struct(
    (Field("Name", wire.string, ""), Field("MaximumRetryCount", wire.go_int, 0)),
    "container.RestartPolicy",
)
_LOG_CONFIG = wire.struct(
    (Field("Type", wire.string, ""), Field("Config", wire.string_map, {})), "container.LogConfig"
)
_WEIGHT_DEVICE = wire.struct(
    (Field("Path", wire.string, ""), Field("Weight", wire.uint16, 0)), "blkiodev.WeightDevice"
)
_THROTTLE_DEVICE = wire.struct(
    (Field("Path", wire.string, ""), Field("Rate", wire.uint64, 0)), "blkiodev.ThrottleDevice"
)
_DEVICE = wire.struct(
    (
        Field("PathOnHost", wire.string, ""),
        Field("PathInContainer", wire.string, ""),
        Field("CgroupPermissions", wire.string, ""),
    ),
    "container.DeviceMapping",
)
_DEVICE_REQUEST = wire.struct(
    (
        Field("Driver", wire.string, ""),
        Field("Count", wire.go_int, 0),
        Field("DeviceIDs", wire.strings),
        Field("Capabilities", wire.array(wire.strings, "[][]string")),
        Field("Options", wire.string_map),
    ),
    "container.DeviceRequest",
)
_ULIMIT = wire.struct(
    (
        Field("Name", wire.string, ""),
        Field("Hard", wire.int64, 0),
        Field("Soft", wire.int64, 0),
    ),
    "*container.Ulimit",
)
_TMPFS_OPTIONS = wire.struct(
    (
        Field("SizeBytes", wire.int64, 0, omit_empty=True),
        Field("Mode", wire.integer("uint32", 0, (1 << 32) - 1), 0, omit_empty=True),
        Field("Options", wire.array(wire.strings, "[][]string"), omit_empty=True),
    ),
    "mount.TmpfsOptions",
)


def _any_object(value: object, path: str) -> dict[str, object]:
    """Keep the options of a mount type that is refused later."""
    if not isinstance(value, dict):
        raise wire.mismatch(value, path, "struct")
    return dict(value)


_MOUNT = wire.struct(
    (
        Field("Type", wire.string, "", omit_empty=True),
        Field("Source", wire.string, "", omit_empty=True),
        Field("Target", wire.string, "", omit_empty=True),
        Field("ReadOnly", wire.boolean, zero=False, omit_empty=True),
        Field("Consistency", wire.string, "", omit_empty=True),
        Field("BindOptions", wire.optional(_any_object), omit_empty=True),
        Field("VolumeOptions", wire.optional(_any_object), omit_empty=True),
        Field("ImageOptions", wire.optional(_any_object), omit_empty=True),
        Field("TmpfsOptions", wire.optional(_TMPFS_OPTIONS)),
        Field("ClusterOptions", wire.optional(_any_object), omit_empty=True),
    ),
    "mount.Mount",
)


def _mount(value: object, path: str) -> object:
    """Read a mount; absent tmpfs options are left out, empty ones are not."""
    read = _MOUNT(value, path)
    if isinstance(read, dict) and read.get("TmpfsOptions") is None:
        read.pop("TmpfsOptions", None)
    return read


def console_size(value: object, path: str) -> list[object]:
    """Read a Go array of two: short input is filled up, long input is cut."""
    given = wire.array(wire.uint, "[2]uint")(value, path)
    numbers = given if isinstance(given, list) else []
    return [*numbers, 0, 0][:2]


CONFIG = (
    Field("Hostname", wire.string, ""),
    Field("Domainname", wire.string, ""),
    Field("User", wire.string, ""),
    Field("AttachStdin", wire.boolean, zero=False),
    Field("AttachStdout", wire.boolean, zero=False),
    Field("AttachStderr", wire.boolean, zero=False),
    Field("ExposedPorts", wire.string_set, omit_empty=True),
    Field("Tty", wire.boolean, zero=False),
    Field("OpenStdin", wire.boolean, zero=False),
    Field("StdinOnce", wire.boolean, zero=False),
    Field("Env", wire.strings),
    Field("Cmd", wire.string_or_strings),
    Field("Healthcheck", wire.optional(wire.struct(HEALTHCHECK, "container.HealthConfig"))),
    Field("ArgsEscaped", wire.boolean, zero=False, omit_empty=True),
    Field("Image", wire.string, ""),
    Field("Volumes", wire.string_set),
    Field("WorkingDir", wire.string, ""),
    Field("Entrypoint", wire.string_or_strings),
    Field("NetworkDisabled", wire.boolean, zero=False, omit_empty=True),
    Field("MacAddress", wire.string, "", omit_empty=True),
    Field("OnBuild", wire.strings),
    Field("Labels", wire.string_map, {}),
    Field("StopSignal", wire.string, "", omit_empty=True),
    Field("StopTimeout", wire.optional(wire.go_int)),
    Field("Shell", wire.string_or_strings, omit_empty=True),
)

HOST_CONFIG = (
    Field("Binds", wire.strings),
    Field("ContainerIDFile", wire.string, ""),
    Field("LogConfig", _LOG_CONFIG),
    Field("NetworkMode", wire.string, ""),
    Field(
        "PortBindings",
        wire.mapping(
            wire.array(_PORT_BINDING, "[]nat.PortBinding"), "map[nat.Port][]nat.PortBinding"
        ),
    ),
    Field("RestartPolicy", _RESTART_POLICY),
    Field("AutoRemove", wire.boolean, zero=False),
    Field("VolumeDriver", wire.string, ""),
    Field("VolumesFrom", wire.strings),
    Field("ConsoleSize", console_size, [0, 0]),
    Field("Annotations", wire.string_map, omit_empty=True),
    Field("CapAdd", wire.string_or_strings),
    Field("CapDrop", wire.string_or_strings),
    Field("CgroupnsMode", wire.string, ""),
    Field("Dns", wire.strings),
    Field("DnsOptions", wire.strings),
    Field("DnsSearch", wire.strings),
    Field("ExtraHosts", wire.strings),
    Field("GroupAdd", wire.strings),
    Field("IpcMode", wire.string, ""),
    Field("Cgroup", wire.string, ""),
    Field("Links", wire.strings),
    Field("OomScoreAdj", wire.go_int, 0),
    Field("PidMode", wire.string, ""),
    Field("Privileged", wire.boolean, zero=False),
    Field("PublishAllPorts", wire.boolean, zero=False),
    Field("ReadonlyRootfs", wire.boolean, zero=False),
    Field("SecurityOpt", wire.strings),
    Field("StorageOpt", wire.string_map, omit_empty=True),
    Field("Tmpfs", wire.string_map, omit_empty=True),
    Field("UTSMode", wire.string, ""),
    Field("UsernsMode", wire.string, ""),
    Field("ShmSize", wire.int64, 0),
    Field("Sysctls", wire.string_map, omit_empty=True),
    Field("Runtime", wire.string, ""),
    Field("Isolation", wire.string, ""),
    Field("CpuShares", wire.int64, 0),
    Field("Memory", wire.int64, 0),
    Field("NanoCpus", wire.int64, 0),
    Field("CgroupParent", wire.string, ""),
    Field("BlkioWeight", wire.uint16, 0),
    Field("BlkioWeightDevice", wire.array(_WEIGHT_DEVICE, "[]*blkiodev.WeightDevice")),
    Field("BlkioDeviceReadBps", wire.array(_THROTTLE_DEVICE, "[]*blkiodev.ThrottleDevice")),
    Field("BlkioDeviceWriteBps", wire.array(_THROTTLE_DEVICE, "[]*blkiodev.ThrottleDevice")),
    Field("BlkioDeviceReadIOps", wire.array(_THROTTLE_DEVICE, "[]*blkiodev.ThrottleDevice")),
    Field("BlkioDeviceWriteIOps", wire.array(_THROTTLE_DEVICE, "[]*blkiodev.ThrottleDevice")),
    Field("CpuPeriod", wire.int64, 0),
    Field("CpuQuota", wire.int64, 0),
    Field("CpuRealtimePeriod", wire.int64, 0),
    Field("CpuRealtimeRuntime", wire.int64, 0),
    Field("CpusetCpus", wire.string, ""),
    Field("CpusetMems", wire.string, ""),
    Field("Devices", wire.array(_DEVICE, "[]container.DeviceMapping")),
    Field("DeviceCgroupRules", wire.strings),
    Field("DeviceRequests", wire.array(_DEVICE_REQUEST, "[]container.DeviceRequest")),
    Field("KernelMemoryTCP", wire.int64, 0, omit_empty=True),
    Field("MemoryReservation", wire.int64, 0),
    Field("MemorySwap", wire.int64, 0),
    Field("MemorySwappiness", _pointer_int64),
    Field("OomKillDisable", wire.boolean, zero=False),
    Field("PidsLimit", _pointer_int64),
    Field("Ulimits", wire.array(_ULIMIT, "[]*container.Ulimit")),
    Field("CpuCount", wire.int64, 0),
    Field("CpuPercent", wire.int64, 0),
    Field("IOMaximumIOps", wire.uint64, 0),
    Field("IOMaximumBandwidth", wire.uint64, 0),
    Field("Mounts", wire.array(_mount, "[]mount.Mount"), omit_empty=True),
    Field("MaskedPaths", wire.strings),
    Field("ReadonlyPaths", wire.strings),
    Field("Init", _pointer_bool),
)

# An absent pointer is left out of the answer, a zero one is not.
OMIT_NONE = frozenset({"Healthcheck", "StopTimeout", "Init"})
