"""What the daemon is told: flags and a JSON file, with dockerd's names for both.

dockerd reference, "Daemon configuration file". A key that pyd does not have is refused by name; a
key that is also given as a flag is refused rather than guessed.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Final

from pyd_api.errors import InvalidRequestError

DEFAULT_FILE: Final = Path("/etc/pyd/daemon.json")
LOG_LEVELS: Final = ("debug", "info", "warn", "error", "fatal")
RUNTIMES: Final = ("crun", "runc")
_FILE_MAX_BYTES: Final = 1024 * 1024
_IFNAME_MAX: Final = 15

Value = str | bool | list[str]

# key of the file -> its type; the flag is the same word with two dashes, but for hosts and runtime
KEYS: Final[Mapping[str, type]] = {
    "hosts": list,
    "group": str,
    "data-root": str,
    "exec-root": str,
    "pidfile": str,
    "bridge": str,
    "bip": str,
    "default-runtime": str,
    "log-level": str,
    "debug": bool,
    "tls": bool,
    "tlsverify": bool,
    "tlscacert": str,
    "tlscert": str,
    "tlskey": str,
}
_GO_TYPES: Final = {list: "[]string", str: "string", bool: "bool"}


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that is decided before the daemon starts."""

    hosts: tuple[str, ...] = ()
    group: str | None = None
    data_root: Path = Path("/var/lib/pyd")
    exec_root: Path = Path("/run/pyd")
    pidfile: Path | None = None
    bridge: str = "pyd0"
    bip: IPv4Interface | None = None
    runtime: str | None = None
    log_level: str = "info"
    insecure_tcp: bool = False
    """Whether ``--tls=false`` was given: TCP without TLS beyond the loopback is wanted."""


def from_settings(flags: Mapping[str, Value], file: Path | None) -> Config:
    """Merge ``flags`` (by key of the file) with ``file`` and check every value.

    Without a ``file`` the default one is read if it is there. Raises InvalidRequestError.
    """
    settings = dict(flags)
    if file is not None or DEFAULT_FILE.exists():
        path = file or DEFAULT_FILE
        try:
            settings = _merge(flags, read_file(path))
        except InvalidRequestError as error:
            raise InvalidRequestError(
                f"unable to configure the pyd daemon with file {path}: {error.message}"
            ) from error
    return _build(settings)


def read_file(path: Path) -> dict[str, Value]:
    """Return the checked keys of a configuration file."""
    try:
        with path.open("rb") as source:
            raw = source.read(_FILE_MAX_BYTES + 1)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise InvalidRequestError(f"open {path}: {reason}") from error
    if len(raw) > _FILE_MAX_BYTES:
        raise InvalidRequestError(f"the file is larger than {_FILE_MAX_BYTES} bytes")
    if not raw.strip():
        return {}
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError(f"invalid JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidRequestError("invalid JSON: an object is needed")
    if unknown := sorted(set(value) - set(KEYS)):
        raise InvalidRequestError(
            "the following directives don't match any configuration option: " + ", ".join(unknown)
        )
    return {key: _typed(key, entry) for key, entry in value.items()}


def _typed(key: str, entry: object) -> Value:
    kind = KEYS[key]
    match entry:
        case bool() if kind is bool:
            return entry
        case str() if kind is str:
            return entry
        case list() if kind is list and all(isinstance(item, str) for item in entry):
            return entry
        case _:
            raise InvalidRequestError(f"invalid value for {key}: {_GO_TYPES[kind]} is needed")


def _merge(flags: Mapping[str, Value], file: Mapping[str, Value]) -> dict[str, Value]:
    if both := [key for key in KEYS if key in flags and key in file]:
        shown = ", ".join(
            f"{key}: (from flag: {_shown(flags[key])}, from file: {_shown(file[key])})"
            for key in both
        )
        raise InvalidRequestError(
            "the following directives are specified both as a flag and in the configuration "
            f"file: {shown}"
        )
    return {**file, **flags}


def _shown(value: Value) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case list():
            return f"[{' '.join(value)}]"
        case _:
            return value


def _build(settings: Mapping[str, Value]) -> Config:
    def text(key: str) -> str | None:
        value = settings.get(key)
        return value if isinstance(value, str) and value else None

    hosts = settings.get("hosts")
    defaults = Config()
    _check_tls(settings)
    exec_root = _absolute("exec-root", text("exec-root"), defaults.exec_root)
    debug = settings.get("debug") is True
    level = text("log-level") or ("debug" if debug else defaults.log_level)
    if level not in LOG_LEVELS:
        raise InvalidRequestError(f"invalid logging level: {level}")
    return Config(
        hosts=tuple(hosts) if isinstance(hosts, list) and hosts else (_default_host(exec_root),),
        group=text("group"),
        data_root=_absolute("data-root", text("data-root"), defaults.data_root),
        exec_root=exec_root,
        pidfile=_absolute("pidfile", text("pidfile"), exec_root / "pyd.pid"),
        bridge=_bridge(text("bridge") or defaults.bridge),
        bip=_bip(text("bip")),
        runtime=_runtime(text("default-runtime")),
        log_level=level,
        insecure_tcp=settings.get("tls") is False,
    )


def _default_host(exec_root: Path) -> str:
    return f"unix://{exec_root}/pyd.sock"


def _absolute(key: str, value: str | None, default: Path) -> Path:
    path = Path(value) if value is not None else default
    if not path.is_absolute() or ".." in path.parts:
        raise InvalidRequestError(f"invalid {key}: {path} is not an absolute path")
    return path


def _bridge(name: str) -> str:
    if len(name) > _IFNAME_MAX or "/" in name or name in (".", "..") or not name.isprintable():
        raise InvalidRequestError(f"invalid bridge name: {name[:40]!r}")
    if any(char.isspace() for char in name):
        raise InvalidRequestError(f"invalid bridge name: {name[:40]!r}")
    return name


def _bip(value: str | None) -> IPv4Interface | None:
    if value is None:
        return None
    try:
        interface = IPv4Interface(value)
    except ValueError as error:
        raise InvalidRequestError(f"invalid CIDR address: {value[:60]}") from error
    if "/" not in value or interface.ip == interface.network.network_address:
        raise InvalidRequestError(f"invalid bip {value}: an address with its prefix is needed")
    return interface


def _runtime(value: str | None) -> str | None:
    if value is not None and value not in RUNTIMES:
        raise InvalidRequestError(
            f"unknown runtime {value!r}: must be one of {', '.join(RUNTIMES)}"
        )
    return value


def _check_tls(settings: Mapping[str, Value]) -> None:
    """Refuse TLS: a TLS connection cannot end one direction, which attach and exec rely on."""
    for key in ("tls", "tlsverify", "tlscacert", "tlscert", "tlskey"):
        if settings.get(key):
            raise InvalidRequestError(
                f"{key}: listening with TLS is not supported yet",
                hint="listen on a unix socket and reach it over SSH: DOCKER_HOST=ssh://user@host",
            )
