"""The rights a create request asks for: capabilities, security options, devices, sysctls, masks.

A broken profile is an error and never a container without one (checklist D8).
"""

from collections.abc import Mapping

from pyd_api.errors import InvalidRequestError, UnsupportedError
from pyd_guest.engine.container_spec import SecuritySpec
from pyd_guest.engine.parse_process import Modes, pairs, strings, text
from pyd_guest.runtime import capabilities, seccomp, sysctls
from pyd_guest.runtime.devices import DeviceMapping, DeviceRule
from pyd_guest.runtime.host import HostFacts

_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})


def parse(host: Mapping[str, object], facts: HostFacts) -> SecuritySpec:
    """Check and return the security part."""
    within = facts.capabilities
    options = _options(strings(host["SecurityOpt"]))
    if host["DeviceRequests"]:
        raise UnsupportedError("device drivers are not supported: HostConfig.DeviceRequests")
    return SecuritySpec(
        privileged=bool(host["Privileged"]),
        cap_add=capabilities.normalise(strings(host["CapAdd"]), "CapAdd", within),
        cap_drop=capabilities.normalise(strings(host["CapDrop"]), "CapDrop", within),
        seccomp=options.get("seccomp"),
        apparmor=options.get("apparmor"),
        no_new_privileges=options.get("no-new-privileges") == "true",
        writable_cgroups=options.get("writable-cgroups") == "true",
        readonly_rootfs=bool(host["ReadonlyRootfs"]),
        masked_paths=_paths(host["MaskedPaths"], "MaskedPaths"),
        readonly_paths=_paths(host["ReadonlyPaths"], "ReadonlyPaths"),
        sysctls=pairs(host.get("Sysctls"), "Sysctls"),
        devices=tuple(_device(entry) for entry in _list(host["Devices"])),
        device_rules=tuple(map(DeviceRule.parse, strings(host["DeviceCgroupRules"]))),
    )


def check_sysctls(spec: SecuritySpec, network_mode: str, modes: Modes) -> None:
    """Refuse kernel parameters of a namespace that is not the container's own."""
    own = sysctls.OwnNamespaces(
        network=network_mode != "host", ipc=modes.ipc != "host", uts=modes.uts != "host"
    )
    sysctls.check(dict(spec.sysctls), own)


def _options(given: tuple[str, ...]) -> dict[str, str]:
    """Read SecurityOpt; the last of each kind counts, as in dockerd."""
    result: dict[str, str] = {}
    for option in given:
        if option in ("no-new-privileges", "disable"):
            result[option] = "true"
            continue
        # ``:`` is the old separator; it stands first where both occur in a profile
        mark = "=" if "=" in option else ":"
        name, separator, value = option.partition(mark)
        if not separator:
            raise InvalidRequestError(f'invalid --security-opt 1: "{option[:200]}"')
        match name:
            case "label":
                pass  # SELinux: without it dockerd ignores labels too
            case "apparmor":
                result[name] = text(value, "AppArmor profile")
            case "seccomp":
                result[name] = _seccomp(value)
            case "no-new-privileges" | "writable-cgroups":
                result[name] = _boolean(value, option)
            case _:
                raise InvalidRequestError(f'invalid --security-opt 2: "{option[:200]}"')
    return result


def _seccomp(value: str) -> str:
    if value in ("", "builtin", "default"):
        return "builtin"
    if value != "unconfined":
        seccomp.check_profile(seccomp.decode(value))
    return value


def _boolean(value: str, option: str) -> str:
    if value in _TRUE:
        return "true"
    if value in _FALSE:
        return "false"
    raise InvalidRequestError(f'invalid --security-opt 2: "{option[:200]}"')


def _paths(value: object, what: str) -> tuple[str, ...] | None:
    """Return the list, which replaces the default even when it is empty (checklist D13)."""
    if value is None:
        return None
    for path in strings(value):
        if not text(path, what).startswith("/") or ".." in path.split("/"):
            raise InvalidRequestError(f"invalid {what}: {path[:100]!r} is not an absolute path")
    return strings(value)


def _device(entry: object) -> DeviceMapping:
    device = entry if isinstance(entry, dict) else {}
    on_host, inside = str(device["PathOnHost"]), str(device["PathInContainer"])
    access = str(device["CgroupPermissions"]) or "rwm"
    for path in (on_host, inside or on_host):
        if not text(path, "device path").startswith("/") or ".." in path.split("/"):
            raise InvalidRequestError(f"invalid device path: {path[:100]!r}")
    if set(access) - set("rwm") or len(access) > len(set(access)):
        raise InvalidRequestError(f"invalid device permissions: {access[:20]}")
    return DeviceMapping(on_host, inside or on_host, access)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
