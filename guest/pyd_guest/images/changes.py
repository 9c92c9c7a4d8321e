"""The Dockerfile instructions that ``docker import --change`` may carry, applied to a config.

Docker documentation, "Dockerfile reference"; only what describes the config: CMD, ENTRYPOINT, ENV,
EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, WORKDIR. HEALTHCHECK and ONBUILD come with the builder.
"""

import json
import posixpath
import re
import shlex
from collections.abc import Callable, Iterable

from pyd_api.errors import InvalidRequestError, UnsupportedError

_PORT = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/(tcp|udp|sctp))?", re.IGNORECASE)
_PORT_MAX = 65535
_SIGNAL = re.compile(r"(?:SIG)?[A-Z][A-Z0-9+-]*|[0-9]{1,2}", re.IGNORECASE)
_NOT_YET = ("HEALTHCHECK", "ONBUILD")

Config = dict[str, object]


def apply_changes(changes: Iterable[str]) -> Config:
    """Return the config that ``changes`` describe.

    Raises InvalidRequestError in dockerd's words and UnsupportedError for what pyd cannot do yet.
    """
    config: Config = {}
    for line in (line.strip() for change in changes for line in change.splitlines()):
        if not line or line.startswith("#"):
            continue
        word, _, rest = line.partition(" ")
        instruction, rest = word.upper(), rest.strip()
        if instruction in _NOT_YET:
            raise UnsupportedError(f"{instruction} is not supported as a change yet")
        if instruction not in _APPLY:
            raise InvalidRequestError(f"{instruction[:40]} is not a valid change command")
        if not rest and instruction not in ("CMD", "ENTRYPOINT"):
            raise InvalidRequestError(f"{instruction} requires at least one argument")
        _APPLY[instruction](config, rest)
    return config


def _command(text: str) -> list[str]:
    words = _json_list(text)
    if words is not None:
        return words
    return ["/bin/sh", "-c", text] if text else []


def _json_list(text: str) -> list[str] | None:
    if not text.startswith("["):
        return None
    try:
        words = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        return None
    return words


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InvalidRequestError(f"bad quoting in {text[:100]!r}") from error


def _pairs(instruction: str, text: str) -> list[tuple[str, str]]:
    """Read ``k=v k2="v 2"``, or the old form ``k rest of the line``."""
    if "=" not in text.split(None, 1)[0]:
        key, _, value = text.partition(" ")
        if not value:
            raise InvalidRequestError(f"{instruction} must have two arguments")
        return [(key, value.strip())]
    found = []
    for word in _words(text):
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise InvalidRequestError(f"Syntax error - can't find = in {word[:100]!r}")
        found.append((key, value))
    return found


def _cmd(config: Config, text: str) -> None:
    config["Cmd"] = _command(text)


def _entrypoint(config: Config, text: str) -> None:
    config["Entrypoint"] = _command(text)


def _env(config: Config, text: str) -> None:
    env = dict(_known_env(config))
    env.update(_pairs("ENV", text))
    config["Env"] = [f"{key}={value}" for key, value in env.items()]


def _known_env(config: Config) -> list[tuple[str, str]]:
    known = config.get("Env")
    if not isinstance(known, list):
        return []
    return [(key, value) for key, _, value in (str(line).partition("=") for line in known)]


def _entries(config: Config, key: str) -> dict[str, object]:
    entries = config.setdefault(key, {})
    if not isinstance(entries, dict):
        raise InvalidRequestError(f"{key} is not an object")
    return entries


def _expose(config: Config, text: str) -> None:
    ports = _entries(config, "ExposedPorts")
    for word in _words(text):
        match = _PORT.fullmatch(word)
        if match is None:
            raise InvalidRequestError(f"invalid containerPort: {word[:40]}")
        first = int(match[1])
        last = int(match[2] or first)
        if not 1 <= first <= last <= _PORT_MAX:
            raise InvalidRequestError(f"invalid containerPort: {word[:40]}")
        for port in range(first, last + 1):
            ports[f"{port}/{(match[3] or 'tcp').lower()}"] = {}


def _label(config: Config, text: str) -> None:
    _entries(config, "Labels").update(_pairs("LABEL", text))


def _volume(config: Config, text: str) -> None:
    words = _json_list(text)
    for path in words if words is not None else _words(text):
        if not path.strip():
            raise InvalidRequestError("VOLUME specified can not be an empty string")
        _entries(config, "Volumes")[path] = {}


def _user(config: Config, text: str) -> None:
    config["User"] = text


def _workdir(config: Config, text: str) -> None:
    before = config.get("WorkingDir")
    base = before if isinstance(before, str) else "/"
    config["WorkingDir"] = posixpath.normpath(posixpath.join("/", base, text)).replace("//", "/")


def _stop_signal(config: Config, text: str) -> None:
    if not _SIGNAL.fullmatch(text):
        raise InvalidRequestError(f"invalid signal: {text[:40]}")
    config["StopSignal"] = text


_APPLY: dict[str, Callable[[Config, str], None]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "LABEL": _label,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
