"""JSON request bodies: bounded, typed ``Content-Type`` as dockerd wants it, Go's words for faults.

Docker Engine API bodies are one JSON object (RFC 8259). Duplicate names: the last one counts.
"""

import asyncio
import json
import math
import re
from collections.abc import Mapping
from typing import Final

from starlette.requests import ClientDisconnect, Request

from pyd_api.errors import InvalidRequestError, PydError
from pyd_guest.api import go_json

BODY_MAX_BYTES: Final = 4 * 1024 * 1024
BODY_TIMEOUT_S: Final = 60.0
_DEPTH_MAX: Final = 100
_INTEGER_MAX: Final = 2**64  # the widest integer of the API is a uint64
_INTEGER_DIGITS: Final = 21

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")

JsonObject = dict[str, object]


class BodyTooLargeError(PydError):
    """The body is longer than the API ever needs."""

    status = 413


async def read_json(request: Request, *, required: bool = False, go_type: str = "") -> JsonObject:
    """Return the body as an object; an empty one is ``{}`` unless it is ``required``.

    ``go_type`` is the name dockerd gives to the type when the body is not an object.
    Raises InvalidRequestError in the words of dockerd, BodyTooLargeError above 4 MiB.
    """
    check_content_type(request)
    raw = await read_body(request)
    if not raw.strip():
        if required:
            raise InvalidRequestError("invalid JSON: got EOF while reading request body")
        return {}
    value = parse_json(raw)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidRequestError(
            f"invalid JSON: json: cannot unmarshal {go_kind(value)} "
            f"into Go value of type {go_type or 'map[string]interface {}'}"
        )
    return value


def check_content_type(request: Request) -> None:
    """Refuse anything but ``application/json``; a request without a body may say nothing."""
    value = request.headers.get("content-type", "")
    if not value:
        length = request.headers.get("content-length", "0")
        if length == "0" and "transfer-encoding" not in request.headers:
            return
        raise InvalidRequestError("malformed Content-Type header (): mime: no media type")
    if value.partition(";")[0].strip().lower() != "application/json":
        raise InvalidRequestError(
            f"unsupported Content-Type header ({value[:100]}): must be 'application/json'"
        )


async def read_body(request: Request, *, max_bytes: int = BODY_MAX_BYTES) -> bytes:
    """Return the whole body; stop reading as soon as it is too long or too slow."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > max_bytes:
                    raise BodyTooLargeError(f"request body is larger than {max_bytes} bytes")
    except TimeoutError as error:
        raise InvalidRequestError("the request body did not arrive in time") from error
    except ClientDisconnect as error:
        raise InvalidRequestError("unexpected EOF while reading request body") from error
    return bytes(body)


def parse_json(raw: bytes) -> object:
    """Parse one document; raise InvalidRequestError for anything else, however it is broken."""
    text = raw.decode("utf-8", "replace")
    try:
        value: object = json.loads(
            text, parse_constant=_refuse_constant, parse_int=_integer, parse_float=_float
        )
    except RecursionError:
        raise InvalidRequestError("invalid JSON: exceeded max depth") from None
    except json.JSONDecodeError as error:
        words = go_json.fault(raw)
        if words is not None:
            raise InvalidRequestError(f"invalid JSON: {words}") from error
        raise InvalidRequestError("unexpected content after JSON") from error
    if raw.count(b"[") + raw.count(b"{") > _DEPTH_MAX:
        _check_depth(value)
    if _SURROGATE_ESCAPE.search(raw):
        value = _without_lone_surrogates(value)
    return value


def _refuse_constant(word: str) -> float:
    # Python knows NaN and Infinity, JSON does not.
    shown = word[1] if word.startswith("-") else word[0]
    where = "in numeric literal" if word.startswith("-") else "looking for beginning of value"
    raise InvalidRequestError(f"invalid JSON: invalid character '{shown}' {where}")


def _integer(digits: str) -> int:
    if len(digits) <= _INTEGER_DIGITS and -_INTEGER_MAX < (number := int(digits)) < _INTEGER_MAX:
        return number
    raise _unfit(digits, "int64")


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise _unfit(digits, "float64")
    return number


def _unfit(digits: str, go_type: str) -> InvalidRequestError:
    shown = digits if len(digits) <= 40 else digits[:40] + "..."
    return InvalidRequestError(
        f"invalid JSON: json: cannot unmarshal number {shown} into Go value of type {go_type}"
    )


def _check_depth(value: object) -> None:
    level = [value]
    for _ in range(_DEPTH_MAX):
        below: list[object] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if not below:
            return
        level = below
    raise InvalidRequestError("invalid JSON: exceeded max depth")


def _without_lone_surrogates(value: object) -> object:
    """Put U+FFFD where Go does, so that every string can be written as UTF-8 again."""
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_lone_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {
            _LONE_SURROGATE.sub("\ufffd", name): _without_lone_surrogates(item)
            for name, item in value.items()
        }
    return value


def go_kind(value: object) -> str:
    """Name a JSON value as Go's errors do."""
    match value:
        case bool():
            return "bool"
        case str():
            return "string"
        case int() | float():
            return "number"
        case list():
            return "array"
        case _:
            return "object"


def check_fields(body: Mapping[str, object], struct: str, fields: Mapping[str, str]) -> None:
    """Refuse values whose type is not that of ``fields`` (name to Go type), in Go's words.

    Known types: bool, string, []string. null is every type's zero value.
    """
    for name, go_type in fields.items():
        value = body.get(name)
        if value is None or _fits(value, go_type):
            continue
        if go_type.startswith("[]") and isinstance(value, list):
            value = next(item for item in value if not _fits(item, go_type[2:]))
            go_type = go_type[2:]
        raise InvalidRequestError(
            f"invalid JSON: json: cannot unmarshal {go_kind(value)} "
            f"into Go struct field {struct}.{name} of type {go_type}"
        )


def _fits(value: object, go_type: str) -> bool:
    match go_type:
        case "bool":
            return isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "[]string":
            return isinstance(value, list) and all(isinstance(item, str) for item in value)
        case _:
            return False
