"""Values of single flags in the wire's form: limits, devices, hosts, security, GPUs."""

import json
from collections.abc import Sequence
from ipaddress import ip_address

from pyd_host.cli.container.option_errors import bad_argument
from pyd_host.cli.errors import CommandError
from pyd_host.cli.flags import parse_bytes

_STATUS = 125
_SYSCTLS = frozenset(
    {
        "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall",
        "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced",
    }
)  # fmt: skip
_ULIMITS = frozenset(
    {
        "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc",
        "rss", "rtprio", "rttime", "sigpending", "stack",
    }
)  # fmt: skip


def parse_ulimit(word: str) -> dict[str, object]:
    """Read NAME=SOFT[:HARD]."""
    name, equals, value = word.partition("=")
    if not equals or not value:
        raise bad_argument("--ulimit", word, f"invalid ulimit argument: {word}")
    if name not in _ULIMITS:
        raise bad_argument("--ulimit", word, f"invalid ulimit type: {name}")
    limits = []
    for text in value.split(":", 1):
        try:
            limits.append(int(text))
        except ValueError:
            reason = f'strconv.ParseInt: parsing "{text}": invalid syntax'
            raise bad_argument("--ulimit", word, reason) from None
    soft, hard = limits[0], limits[-1]
    if hard != -1 and (soft == -1 or soft > hard):
        reason = f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
        raise bad_argument("--ulimit", word, reason)
    return {"Name": name, "Hard": hard, "Soft": soft}


def parse_sysctls(words: Sequence[str]) -> dict[str, str]:
    """Read NAME=VALUE; only parameters of a namespace can be set."""
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not (name in _SYSCTLS or name.startswith(("net.", "fs.mqueue."))):
            raise bad_argument("--sysctl", word, f"sysctl '{word}' is not allowed")
        found[name] = value
    return found


def parse_extra_host(word: str) -> str:
    """Read HOST:IP or HOST=IP and return the former."""
    name, equals, address = word.partition("=")
    if not equals:
        name, _, address = word.partition(":")
    if not name or not address:
        raise bad_argument("--add-host", word, f'bad format for add-host: "{word}"')
    address = address.removeprefix("[").removesuffix("]")
    if address != "host-gateway" and not _is_address(address):
        reason = f'invalid IP address in add-host: "{address}"'
        raise bad_argument("--add-host", word, reason)
    return f"{name}:{address}"


def parse_dns(word: str) -> str:
    """Check a name server's address."""
    if not _is_address(word.strip()):
        raise bad_argument("--dns", word, f"IP address is not correctly formatted: {word}")
    return word.strip()


def _is_address(text: str) -> bool:
    try:
        ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True


def parse_device(word: str) -> dict[str, object]:
    """Read PATH[:PATH][:rwm]."""
    source, _, rest = word.partition(":")
    target, _, mode = rest.partition(":")
    if target and not mode and set(target) <= set("rwm"):
        target, mode = "", target
    if not source or ":" in mode or not set(mode) <= set("rwm"):
        raise CommandError(f"invalid device specification: {word}", status=_STATUS)
    return {
        "PathOnHost": source,
        "PathInContainer": target or source,
        "CgroupPermissions": mode or "rwm",
    }


def is_cdi_device(word: str) -> bool:
    """Tell ``vendor/class=name`` from a path."""
    return not word.startswith("/") and "=" in word and "/" in word.partition("=")[0]


def parse_rate(flag: str, word: str, *, in_bytes: bool) -> dict[str, object]:
    """Read PATH:RATE."""
    path, colon, value = word.rpartition(":")
    if not colon or not path:
        raise bad_argument(flag, word, f"bad format: {word}")
    if not path.startswith("/dev/"):
        reason = f"bad format for device path: {word}"
        raise bad_argument(flag, word, reason)
    try:
        rate = parse_bytes(value) if in_bytes else int(value)
    except ValueError:
        reason = f"invalid rate for device: {word}"
        raise bad_argument(flag, word, reason) from None
    return {"Path": path, "Rate": rate}


def parse_weight(word: str) -> dict[str, object]:
    """Read PATH:WEIGHT."""
    read = parse_rate("--blkio-weight-device", word, in_bytes=False)
    weight = read["Rate"]
    if isinstance(weight, int) and weight and not 10 <= weight <= 1000:
        reason = f"invalid weight for device: {word}"
        raise bad_argument("--blkio-weight-device", word, reason)
    return {"Path": read["Path"], "Weight": weight}


def parse_restart(word: str) -> dict[str, object]:
    """Read NAME[:MAXIMUM]."""
    name, colon, count = word.partition(":")
    if colon and not count.removeprefix("-").isdigit():
        raise CommandError(
            "invalid restart policy format: maximum retry count must be an integer",
            status=_STATUS,
        )
    return {"Name": name, "MaximumRetryCount": int(count) if colon else 0}


def parse_capability(word: str) -> str:
    """Return ``CAP_NAME``, or ``ALL``."""
    name = word.strip().upper()
    return name if name in {"", "ALL"} or name.startswith("CAP_") else f"CAP_{name}"


class SecurityOptions:
    """``--security-opt``: what is passed on, and the paths that are unmasked."""

    __slots__ = ("options", "unmask")

    def __init__(self, words: Sequence[str]) -> None:
        self.unmask = False
        self.options: list[str] | None = [] if words else None
        for word in words:
            name, equals, value = word.partition("=")
            if not equals and ":" in word:
                name, equals, value = word.partition(":")
            if not equals and name != "no-new-privileges":
                raise CommandError(f'Invalid --security-opt: "{word}"', status=_STATUS)
            if word == "systempaths=unconfined":
                self.unmask = True
                continue
            if name == "seccomp" and value not in {"unconfined", "builtin"}:
                word = f"seccomp={_seccomp_profile(value)}"
            if self.options is not None:
                self.options.append(word)


def _seccomp_profile(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return json.dumps(json.load(file), separators=(",", ":"))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        message = f"opening seccomp profile ({path}) failed: open {path}: {reason}"
        raise CommandError(message, status=_STATUS) from error
    except ValueError as error:
        message = f"compacting json for seccomp profile ({path}) failed: {error}"
        raise CommandError(message, status=_STATUS) from error


def parse_gpus(word: str) -> dict[str, object]:
    """Read ``all``, a count, or ``key=value,…``."""
    request: dict[str, object] = {
        "Driver": "", "Count": 0, "DeviceIDs": None, "Capabilities": [["gpu"]], "Options": {},
    }  # fmt: skip
    for item in word.split(","):
        key, equals, value = item.partition("=")
        if not equals or key == "count":
            request["Count"] = _gpu_count(word, value if equals else item)
        elif key == "device":
            request["DeviceIDs"] = value.split(",")
        elif key == "driver":
            request["Driver"] = value
        elif key == "capabilities":
            request["Capabilities"] = [[*value.split(","), "gpu"]]
        else:
            raise bad_argument("--gpus", word, f"unexpected key '{key}' in '{item}'")
    return request


def _gpu_count(word: str, text: str) -> int:
    if text == "all":
        return -1
    if text.isdigit():
        return int(text)
    reason = f'invalid count ({text}): value must be either "all" or an integer: invalid syntax'
    raise bad_argument("--gpus", word, reason)
