"""The functions of Go templates and those that Docker adds, and how Go prints values."""

import json
from collections.abc import Callable, Mapping

from pyd_host.cli.nulls import NullMap, without_types
from pyd_host.cli.record import Record
from pyd_host.cli.units import quote


class FunctionError(ValueError):
    """A function was called with what it cannot take."""


def truth(value: object) -> bool:
    """Tell whether a template takes the value for true: not empty, zero or nil."""
    if isinstance(value, str | list | tuple | Mapping):
        return len(value) > 0
    return bool(value) if value is None or isinstance(value, int | float) else True


def printed(value: object, null: str = "<no value>") -> str:
    """Return a value as Go's fmt prints it with %v; ``null`` stands for nothing at all."""
    if value is None:
        return null
    return _inner(value)


def _inner(value: object) -> str:
    if value is None:
        return "<nil>"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}" if value != int(value) else str(int(value))
    if isinstance(value, Mapping):
        items = sorted((str(key), item) for key, item in value.items())
        return "map[" + " ".join(f"{key}:{_inner(item)}" for key, item in items) + "]"
    if isinstance(value, list | tuple):
        return "[" + " ".join(_inner(item) for item in value) + "]"
    return _inner(value.mapping()) if isinstance(value, Record) else str(value)


def to_json(value: object) -> str:
    """Return compact JSON; a listing's row becomes its columns, escaped for HTML as Go does."""
    if isinstance(value, Record):
        return html_safe(dump(value.mapping()))
    return dump(value)


def dump(value: object) -> str:
    """Return compact JSON as Go's encoder writes it."""
    return json.dumps(without_types(value), ensure_ascii=False, separators=(",", ":"))


def html_safe(text: str) -> str:
    """Escape what Go's encoder escapes by default; the characters occur in JSON strings only."""
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _length(value: object) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, list | tuple | Mapping):
        return len(value)
    raise FunctionError(f"len of {'nil pointer' if value is None else 'type ' + _kind(value)}")


def _kind(value: object) -> str:
    return {bool: "bool", int: "int", float: "float64", str: "string"}.get(
        type(value), "interface {}"
    )


def _index(value: object, *keys: object) -> object:
    for key in keys:
        if isinstance(value, Mapping):
            value = value.get(str(key), _zero(value))
        elif isinstance(value, list | tuple | str):
            if not isinstance(key, int):
                raise FunctionError(f"cannot index slice/array with type {_kind(key)}")
            if not 0 <= key < len(value):
                raise FunctionError(f"index out of range: {key}")
            value = value[key]
        elif value is None:
            raise FunctionError("index of untyped nil")
        else:
            raise FunctionError(f"can't index item of type {_kind(value)}")
    return value


def _zero(mapping: Mapping[str, object]) -> object:
    """Return what a key that is not there gives: an empty text in a map of texts."""
    texts = isinstance(mapping, NullMap) or all(isinstance(v, str) for v in mapping.values())
    return "" if texts else None


def _slice(value: object, *bounds: object) -> object:
    if not isinstance(value, str | list):
        raise FunctionError(f"can't slice item of type {_kind(value)}")
    numbers = [bound for bound in bounds if isinstance(bound, int)]
    if len(numbers) != len(bounds) or any(not 0 <= n <= len(value) for n in numbers):
        raise FunctionError("index out of range")
    start = numbers[0] if numbers else 0
    return value[start : numbers[1] if len(numbers) > 1 else len(value)]


def _texts(values: object) -> list[str]:
    if values is None:
        return []
    if not isinstance(values, list | tuple):
        raise FunctionError(f"wrong type for value; expected []string; got {_kind(values)}")
    return [_inner(item) for item in values]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise FunctionError(f"wrong type for value; expected string; got {_kind(value)}")
    return value


def _split(text: object, separator: object) -> object:
    return list(_text(text)) if separator == "" else _text(text).split(_text(separator))


def _title(text: object) -> str:
    out = []
    before = " "
    for char in _text(text):
        out.append(char if before.isalnum() or before in "_'" else char.upper())
        before = char
    return "".join(out)


def _pad(text: object, left: int, right: int) -> str:
    content = _text(text)
    return " " * left + content + " " * right if content else ""


def _sprint(*values: object) -> str:
    out = ""
    for position, value in enumerate(values):
        both = position and not isinstance(value, str) and not isinstance(values[position - 1], str)
        out += (" " if both else "") + _inner(value)
    return out


def _sprintf(form: object, *values: object) -> str:
    out, position, rest = "", 0, list(values)
    text = _text(form)
    while position < len(text):
        char = text[position]
        position += 1
        if char != "%":
            out += char
            continue
        spec = ""
        while position < len(text) and text[position] in "+-# 0123456789.":
            spec += text[position]
            position += 1
        verb = text[position : position + 1] or "!"
        position += 1
        if verb == "%":
            out += "%"
        elif not rest:
            out += f"%!{verb}(MISSING)"
        else:
            out += _verb(spec, verb, rest.pop(0))
    if rest:
        out += "%!(EXTRA " + ", ".join(f"{_kind(item)}={_inner(item)}" for item in rest) + ")"
    return out


def _verb(spec: str, verb: str, value: object) -> str:
    if verb in "vs":
        return f"%{spec.replace('#', '').replace('+', '')}s" % _inner(value)
    if verb == "q":
        return f"%{spec}s" % quote(_inner(value))
    if verb in "dxXoc" and isinstance(value, int):
        return f"%{spec}{verb}" % value
    if verb in "feEgG" and isinstance(value, int | float):
        return f"%{spec}{verb}" % value
    if verb == "t" and isinstance(value, bool):
        return _inner(value)
    return f"%!{verb}({_kind(value)}={_inner(value)})"


def _compare(test: Callable[[object, object], bool]) -> Callable[..., bool]:
    def compare(first: object, second: object) -> bool:
        numbers = isinstance(first, int | float) and isinstance(second, int | float)
        if not numbers and not (isinstance(first, str) and isinstance(second, str)):
            raise FunctionError("incompatible types for comparison")
        return test(first, second)

    return compare


def _equal(first: object, *others: object) -> bool:
    for other in others:
        if first is not None and other is not None and _kind(first) != _kind(other):
            raise FunctionError("incompatible types for comparison")
    return any(first == other for other in others)


def _and(*values: object) -> object:
    return next((value for value in values if not truth(value)), values[-1])


def _or(*values: object) -> object:
    return next((value for value in values if truth(value)), values[-1])


def _urlquery(*values: object) -> str:
    from urllib.parse import quote_plus

    return quote_plus(_sprint(*values))


def _html(*values: object) -> str:
    from html import escape

    return escape(_sprint(*values)).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")


FUNCTIONS: dict[str, Callable[..., object]] = {
    "and": _and,
    "or": _or,
    "not": lambda value: not truth(value),
    "len": _length,
    "index": _index,
    "slice": _slice,
    "print": _sprint,
    "printf": _sprintf,
    "println": lambda *values: " ".join(_inner(value) for value in values) + "\n",
    "eq": _equal,
    "ne": lambda first, second: not _equal(first, second),
    "lt": _compare(lambda a, b: a < b),  # type: ignore[operator]  # compare() has checked both
    "le": _compare(lambda a, b: a <= b),  # type: ignore[operator]  # compare() has checked both
    "gt": _compare(lambda a, b: a > b),  # type: ignore[operator]  # compare() has checked both
    "ge": _compare(lambda a, b: a >= b),  # type: ignore[operator]  # compare() has checked both
    "html": _html,
    "urlquery": _urlquery,
    "json": to_json,
    "split": _split,
    "join": lambda values, separator: _text(separator).join(_texts(values)),
    "title": _title,
    "lower": lambda text: _text(text).lower(),
    "upper": lambda text: _text(text).upper(),
    "pad": _pad,
    "truncate": lambda text, size: _text(text)[:size],
}

# a table's heading runs the same template over the columns' titles, which stay as they are
HEADER_FUNCTIONS: dict[str, Callable[..., object]] = {
    **FUNCTIONS,
    **dict.fromkeys(
        ("json", "join", "split", "title", "lower", "upper", "pad", "truncate"),
        lambda text, *_others: text,
    ),
}
