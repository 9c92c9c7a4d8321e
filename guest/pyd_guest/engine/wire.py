"""Read a JSON object as Go's decoder does: by table, names in any case, unknown fields ignored.

A value of the wrong type is refused with that decoder's words, which clients match (``invalid JSON:
json: cannot unmarshal string into Go struct field .HostConfig.Memory of type int64``). null means
the field's zero value. Everything returned is freshly made, so that no two containers share a list
(checklist I4).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pyd_api.errors import InvalidRequestError

Decoder: TypeAlias = Callable[[object, str], object]


@dataclass(frozen=True, slots=True)
class Field:
    """One field: how to read it, its zero value, and whether a zero value is left out."""

    name: str
    decode: Decoder
    zero: object = None
    omit_empty: bool = False


def mismatch(value: object, path: str, go_type: str) -> InvalidRequestError:
    """Make the error for a value of the wrong JSON type."""
    kind = {bool: "bool", str: "string", list: "array", dict: "object"}.get(type(value), "number")
    place = path if path.rpartition(".")[2].isdigit() else f"Go struct field {path}"
    return InvalidRequestError(
        f"invalid JSON: json: cannot unmarshal {kind} into {place} of type {go_type}"
    )


def string(value: object, path: str) -> str:
    """Read a string; a lone surrogate becomes U+FFFD, as in Go."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise mismatch(value, path, "string")
    if value.isascii():
        return value
    return value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def boolean(value: object, path: str) -> bool:
    """Read a boolean."""
    if value is None:
        return False
    if not isinstance(value, bool):
        raise mismatch(value, path, "bool")
    return value


def optional(decode: Decoder) -> Decoder:
    """Keep null apart from zero (a pointer in Go)."""
    return lambda value, path: None if value is None else decode(value, path)


def integer(go_type: str, low: int, high: int) -> Decoder:
    """Read a number in the range of a Go integer type."""

    def decode(value: object, path: str) -> int:
        if value is None:
            return 0
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise mismatch(value, path, go_type)
        if isinstance(value, float) or not low <= value <= high:
            place = path if path.rpartition(".")[2].isdigit() else f"Go struct field {path}"
            number = repr(value)[:40]
            raise InvalidRequestError(
                f"invalid JSON: json: cannot unmarshal number {number} into {place}"
                f" of type {go_type}"
            )
        return value

    return decode


int64 = integer("int64", -(1 << 63), (1 << 63) - 1)
go_int = integer("int", -(1 << 63), (1 << 63) - 1)
uint = integer("uint", 0, (1 << 64) - 1)
uint16 = integer("uint16", 0, (1 << 16) - 1)
uint64 = integer("uint64", 0, (1 << 64) - 1)


def array(item: Decoder, go_type: str) -> Decoder:
    """Read a list; null stays None, which is shown as null."""

    def decode(value: object, path: str) -> list[object] | None:
        if value is None:
            return None
        if not isinstance(value, list):
            raise mismatch(value, path, go_type)
        return [item(entry, f"{path}.{index}") for index, entry in enumerate(value)]

    return decode


def mapping(item: Decoder, go_type: str) -> Decoder:
    """Read an object with free keys; null stays None. Keys come out sorted, as Go prints them."""

    def decode(value: object, path: str) -> dict[str, object] | None:
        if value is None:
            return None
        if not isinstance(value, dict):
            raise mismatch(value, path, go_type)
        named = ((string(key, path), entry) for key, entry in value.items())
        read = {key: item(entry, f"{path}.{key}") for key, entry in named}
        return {key: read[key] for key in sorted(read)}

    return decode


def empty_object(value: object, path: str) -> dict[str, object]:
    """Read the ``{}`` that stands for membership in a set."""
    if value is not None and not isinstance(value, dict):
        raise mismatch(value, path, "struct {}")
    return {}


strings = array(string, "[]string")
string_map = mapping(string, "map[string]string")
string_set = mapping(empty_object, "map[string]struct {}")


def string_or_strings(value: object, path: str) -> list[object] | None:
    """Read Entrypoint and Cmd, which old clients send as one string."""
    if isinstance(value, str):
        return [string(value, path)]
    if value is None or isinstance(value, list):
        return strings(value, path)  # type: ignore[return-value]  # a Decoder returns object
    raise InvalidRequestError(
        f"invalid JSON: json: cannot unmarshal {mismatch_kind(value)} into Go value of type string"
    )


def mismatch_kind(value: object) -> str:
    """Return Go's word for the JSON type of ``value``."""
    return {bool: "bool", str: "string", list: "array", dict: "object"}.get(type(value), "number")


def struct(fields: Sequence[Field], go_type: str) -> Decoder:
    """Read an object by table; null gives all zero values."""

    def decode(value: object, path: str) -> dict[str, object]:
        if value is not None and not isinstance(value, dict):
            raise mismatch(value, path, go_type)
        return read(value or {}, fields, path)

    return decode


def read(body: Mapping[str, object], fields: Sequence[Field], path: str = "") -> dict[str, object]:
    """Return the fields of ``body`` in table order with zero values filled in."""
    given = _by_name(body, fields)
    result: dict[str, object] = {}
    for field in fields:
        value = field.decode(given.get(field.name), f"{path}.{field.name}")
        if value is None:
            value = zero(field)
        if field.omit_empty and is_empty(value):
            continue
        result[field.name] = value
    return result


def zero(field: Field) -> object:
    """Return a fresh zero value."""
    value = field.zero
    if isinstance(value, list):
        return list(value)
    return dict(value) if isinstance(value, dict) else value


def is_empty(value: object) -> bool:
    """Whether Go's ``omitempty`` would leave the value out."""
    return value is None or value is False or value == 0 or value in ("", [], {})


def _by_name(body: Mapping[str, object], fields: Sequence[Field]) -> dict[str, object]:
    """Match keys exactly first, then in any case; the last one given wins."""
    names = {field.name for field in fields}
    if body.keys() <= names:
        return dict(body)
    folded = {field.name.lower(): field.name for field in fields}
    result: dict[str, object] = {}
    for key, value in body.items():
        name = key if key in names else folded.get(key.lower())
        if name is not None:
            result[name] = value
    return result
