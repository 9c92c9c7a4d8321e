"""What Go's decoder says about broken JSON (RFC 8259).

Clients and their tests match these words, so a document that Python refuses is scanned once more
to find the same first fault, in the words of dockerd 28.5.
"""

import re
from typing import Final

_SPACE: Final = b" \t\r\n"
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NUMBER_START = re.compile(rb"-?(?:0|[1-9][0-9]*)?(?:\.[0-9]*)?(?:[eE][+-]?[0-9]*)?")
_LITERALS: Final = {0x74: b"true", 0x66: b"false", 0x6E: b"null"}
_ESCAPE = re.compile(rb'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_NAMED: Final = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 92: "\\"}
_MAX_DEPTH: Final = 10_000

EOF: Final = "unexpected EOF"


class _FaultError(Exception):
    """Where and why the scan ended."""


def fault(data: bytes) -> str | None:
    """Return the decoder's words about the first document in ``data``, or None if it is sound."""
    try:
        _document(data)
    except _FaultError as found:
        return str(found)
    return None


def _quote(byte: int) -> str:
    if byte == 0x27:
        return r"'\''"
    if byte in _NAMED:
        return f"'\\{_NAMED[byte]}'"
    if byte < 0x20 or byte == 0x7F:
        return f"'\\x{byte:02x}'"
    if 0x80 <= byte < 0xA0:
        return f"'\\u{byte:04x}'"
    return f"'{chr(byte)}'"


def _skip(data: bytes, at: int) -> int:
    while at < len(data) and data[at] in _SPACE:
        at += 1
    return at


def _expect(data: bytes, at: int, wanted: bytes, where: str) -> int:
    """Return the position of the next character, which must be one of ``wanted``."""
    at = _skip(data, at)
    if at == len(data):
        raise _FaultError(EOF)
    if data[at] not in wanted:
        raise _FaultError(f"invalid character {_quote(data[at])} {where}")
    return at


def _document(data: bytes) -> None:
    closers: list[int] = []  # the brackets that are open, innermost last
    at = _value(data, 0, closers)
    while closers:
        closer = closers[-1]
        where = "after object key:value pair" if closer == 0x7D else "after array element"
        at = _expect(data, at, bytes((0x2C, closer)), where)
        if data[at] == closer:
            closers.pop()
            at += 1
            continue
        at = _key(data, at + 1) if closer == 0x7D else at + 1
        at = _value(data, at, closers)


def _value(data: bytes, at: int, closers: list[int]) -> int:
    """Pass one scalar, or open one array or object up to its first scalar or its end."""
    while True:
        at = _skip(data, at)
        if at == len(data):
            raise _FaultError(EOF)
        first = data[at]
        if first not in b"[{":
            return _scalar(data, at)
        closer = first + 2  # ASCII: "]" and "}" stand two behind their openers
        inside = _skip(data, at + 1)
        if inside < len(data) and data[inside] == closer:
            return inside + 1
        closers.append(closer)
        if len(closers) > _MAX_DEPTH:
            raise _FaultError("exceeded max depth")
        at = _key(data, inside) if first == 0x7B else inside


def _key(data: bytes, at: int) -> int:
    at = _expect(data, at, b'"', "looking for beginning of object key string")
    return _expect(data, _string(data, at), b":", "after object key") + 1


def _scalar(data: bytes, at: int) -> int:
    first = data[at]
    if first == 0x22:
        return _string(data, at)
    if first in _LITERALS:
        return _literal(data, at, _LITERALS[first])
    if first in b"-0123456789":
        return _number(data, at)
    raise _FaultError(f"invalid character {_quote(first)} looking for beginning of value")


def _string(data: bytes, at: int) -> int:
    at += 1
    while at < len(data):
        byte = data[at]
        if byte == 0x22:
            return at + 1
        if byte == 0x5C:
            escape = _ESCAPE.match(data, at)
            if escape is None:
                length = 6 if data[at + 1 : at + 2] == b"u" else 2
                if at + length > len(data):
                    break
                shown = data[at : at + length].decode("latin-1")
                raise _FaultError(f"invalid escape sequence `{shown}` in string")
            at = escape.end()
        elif byte < 0x20:
            raise _FaultError(f"invalid character {_quote(byte)} in string")
        else:
            at += 1
    raise _FaultError(EOF)


def _literal(data: bytes, at: int, word: bytes) -> int:
    for offset, wanted in enumerate(word):
        if at + offset == len(data):
            raise _FaultError(EOF)
        if (found := data[at + offset]) != wanted:
            raise _FaultError(
                f"invalid character {_quote(found)} in literal {word.decode()} "
                f"(expecting {_quote(wanted)})"
            )
    return at + len(word)


def _number(data: bytes, at: int) -> int:
    begun = _NUMBER_START.match(data, at)
    whole = _NUMBER.match(data, at)
    end = begun.end() if begun else at
    if whole and whole.end() == end:
        return end
    if end == len(data):
        raise _FaultError(EOF)
    raise _FaultError(f"invalid character {_quote(data[end])} in numeric literal")
