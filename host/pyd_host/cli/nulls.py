"""Null in JSON where Go's types have a list, a map or a pointer: each prints differently.

A template sees ``[]`` and ``map[]`` for the first two, while ``{{json}}`` says null for all.
"""

from collections.abc import Mapping

_LISTS = frozenset(
    {
        "Aliases", "Binds", "CapAdd", "CapDrop", "Cmd", "DNSNames", "DeviceCgroupRules",
        "DeviceRequests", "Devices", "Dns", "DnsOptions", "DnsSearch", "Entrypoint", "Env",
        "ExecIDs", "ExtraHosts", "GroupAdd", "Links", "MaskedPaths", "OnBuild", "ReadonlyPaths",
        "RepoDigests", "RepoTags", "SecurityOpt", "Shell", "Ulimits", "VolumesFrom",
    }
)  # fmt: skip
_MAPS = frozenset({"DriverOpts", "ExposedPorts", "Labels", "PortBindings", "Sysctls", "Volumes"})


class NullList(list[object]):
    """A list that is null in JSON and empty elsewhere."""


class NullMap(dict[str, object]):
    """A map that is null in JSON and empty elsewhere."""


def with_types(value: object, key: str = "") -> object:
    """Return the value with typed nulls where Go's types have lists and maps."""
    if value is None and key in _LISTS:
        return NullList()
    if value is None and key in _MAPS:
        return NullMap()
    if isinstance(value, Mapping):
        return {name: with_types(item, str(name)) for name, item in value.items()}
    if isinstance(value, list):
        return [with_types(item) for item in value]
    return value


def without_types(value: object) -> object:
    """Return the value as it was on the wire."""
    if isinstance(value, NullList | NullMap):
        return None
    if isinstance(value, Mapping):
        return {name: without_types(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_types(item) for item in value]
    return value
