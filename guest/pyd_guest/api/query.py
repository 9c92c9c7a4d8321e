"""Query values read as dockerd reads them.

Booleans: everything but ``""``, ``0``, ``no``, ``false`` and ``none`` is true. Numbers carry the
words of Go's strconv, but a bad one is the client's fault: 400 where dockerd says 500.
"""

import re
from typing import Final

from starlette.requests import Request

from pyd_api.errors import InvalidRequestError

_FALSE: Final = frozenset(("", "0", "no", "false", "none"))
_INTEGER = re.compile(r"[+-]?[0-9]{1,30}")
_INT64_MAX: Final = 2**63 - 1
_UINT32_MAX: Final = 2**32 - 1
_SHOWN_CHARS: Final = 100


def text(request: Request, name: str) -> str | None:
    """Return the value, or None when it is absent or empty."""
    return request.query_params.get(name) or None


def boolean(request: Request, name: str, *, default: bool = False) -> bool:
    """Return whether the value means true; ``default`` when it is absent."""
    value = request.query_params.get(name)
    return default if value is None else value.strip().lower() not in _FALSE


def integer(request: Request, name: str) -> int | None:
    """Return the number, or None when it is absent or empty."""
    value = request.query_params.get(name, "")
    return parse_integer(value, "Atoi") if value else None


def parse_integer(value: str, function: str = "ParseInt") -> int:
    """Read a decimal int64; raise InvalidRequestError in the words of strconv."""
    shown = go_quote(value[:_SHOWN_CHARS])
    if not _INTEGER.fullmatch(value):
        raise InvalidRequestError(f"strconv.{function}: parsing {shown}: invalid syntax")
    number = int(value)
    if not -_INT64_MAX - 1 <= number <= _INT64_MAX:
        raise InvalidRequestError(f"strconv.{function}: parsing {shown}: value out of range")
    return number


def size(request: Request) -> tuple[int, int]:
    """Return height and width of a resize."""
    return _dimension(request, "h", "height"), _dimension(request, "w", "width")


def _dimension(request: Request, name: str, word: str) -> int:
    value = request.query_params.get(name, "")
    shown = go_quote(value[:_SHOWN_CHARS])
    if not _INTEGER.fullmatch(value):
        raise InvalidRequestError(f"invalid resize {word} {shown}: invalid syntax")
    if not 0 <= int(value) <= _UINT32_MAX:
        raise InvalidRequestError(f"invalid resize {word} {shown}: value out of range")
    return int(value)


def timestamp_ns(request: Request, name: str) -> int | None:
    """Return ``seconds[.fraction]`` as nanoseconds since 1970; None when absent, empty or 0."""
    value = request.query_params.get(name, "")
    return parse_timestamp_ns(value) or None


def parse_timestamp_ns(value: str) -> int:
    """Read a Unix time with up to nine digits of fraction; ``""`` is 0."""
    if not value:
        return 0
    seconds, _, fraction = value.partition(".")
    whole = parse_integer(seconds)
    if not fraction:
        return whole * 10**9
    part = parse_integer(fraction)
    if part < 0 or not fraction.isdigit():
        raise InvalidRequestError(
            f"strconv.ParseInt: parsing {go_quote(fraction[:_SHOWN_CHARS])}: invalid syntax"
        )
    return whole * 10**9 + int(f"{fraction:0<9}"[:9])


def go_quote(value: str) -> str:
    """Quote as Go's ``%q`` does for the characters that matter in a message."""
    out = []
    for char in value:
        if char in '"\\':
            out.append("\\" + char)
        elif char == "\n":
            out.append("\\n")
        elif char == "\t":
            out.append("\\t")
        elif char.isprintable():
            out.append(char)
        else:
            out.append(f"\\x{ord(char):02x}" if ord(char) < 0x80 else f"\\u{ord(char):04x}")
    return '"' + "".join(out) + '"'
