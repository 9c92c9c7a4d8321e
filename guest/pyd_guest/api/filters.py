"""The ``filters`` query value: ``{"name": ["value"]}``, old clients ``{"name": {"value": true}}``.

Docker Engine API, list and events operations. Which names and values exist is data of the caller.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Final

from starlette.requests import Request

from pyd_api.errors import InvalidRequestError
from pyd_guest.api.body import parse_json
from pyd_guest.api.query import parse_integer

_MAX_CHARS: Final = 64 * 1024

Filters = dict[str, list[str]]

_STATES: Final = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
_HEALTH: Final = ("none", "starting", "healthy", "unhealthy")


def parse(request: Request, *, known: Collection[str] | None = None) -> Filters:
    """Return the filters; raise InvalidRequestError for a name that is not ``known``."""
    raw = request.query_params.get("filters", "")
    filters = parse_text(raw) if raw else {}
    if known is not None:
        for name in filters:
            if name not in known:
                raise InvalidRequestError(f"invalid filter '{name[:100]}'")
    return filters


def parse_text(raw: str) -> Filters:
    """Read the JSON of either shape; a false entry of the old shape is no entry."""
    if len(raw) > _MAX_CHARS:
        raise InvalidRequestError("invalid filter")
    try:
        value = parse_json(raw.encode("utf-8", "replace"))
    except InvalidRequestError as error:
        raise InvalidRequestError("invalid filter") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidRequestError("invalid filter")
    return {name: _values(entry) for name, entry in value.items()}


def _values(entry: object) -> list[str]:
    if isinstance(entry, list) and all(isinstance(item, str) for item in entry):
        return entry
    if isinstance(entry, dict) and all(isinstance(item, bool) for item in entry.values()):
        return [name for name, wanted in entry.items() if wanted]
    if entry is None:
        return []
    raise InvalidRequestError("invalid filter")


def _one_of(word: str, allowed: tuple[str, ...]) -> Callable[[str], str | None]:
    def check(value: str) -> str | None:
        if value in allowed:
            return None
        return f"invalid value for {word} ({value[:100]}): must be one of {', '.join(allowed)}"

    return check


def _number(value: str) -> str | None:
    try:
        parse_integer(value, "Atoi")
    except InvalidRequestError as error:
        return error.message
    return None


def _truth(value: str) -> str | None:
    return None if value.lower() in ("1", "0", "true", "false") else ""


CONTAINERS: Final[Mapping[str, Callable[[str], str | None]]] = {
    "ancestor": lambda _: None,
    "before": lambda _: None,
    "exited": _number,
    "expose": lambda _: None,
    "health": _one_of("health", _HEALTH),
    "id": lambda _: None,
    "is-task": _truth,
    "isolation": lambda _: None,
    "label": lambda _: None,
    "name": lambda _: None,
    "network": lambda _: None,
    "publish": lambda _: None,
    "since": lambda _: None,
    "status": _one_of("state", _STATES),
    "volume": lambda _: None,
}
"""The filters of the container list; a function returns what is wrong with a value, or None."""


def containers(request: Request) -> Filters:
    """Return the checked filters of a container list."""
    filters = parse(request, known=CONTAINERS)
    for name, values in filters.items():
        for value in values:
            if (fault := CONTAINERS[name](value)) is not None:
                if not fault:
                    raise InvalidRequestError(f"invalid filter '{name}=[{value[:100]}]'")
                raise InvalidRequestError(f"invalid filter '{name}={value[:100]}': {fault}")
    return filters
