"""The maps of sparse files in tar archives: where the stored bytes go.

GNU tar manual, "Storing Sparse Files": the old GNU header (type ``S``), pax 0.1 (one record), pax
1.0 (decimal lines before the data). Numbers are checked before anything is allocated.
"""

from collections.abc import Callable
from typing import TypeAlias

from pyd_api.errors import InvalidRequestError

Extent: TypeAlias = tuple[int, int]  # offset in the file, bytes stored

_BLOCK = 512
_EXTENTS_MAX = 65_536
_DIGITS_MAX = 19


def gnu_map(block: bytes, take: Callable[[int], bytes]) -> tuple[tuple[Extent, ...], int]:
    """Read the old GNU map and its extension blocks; return it and the size of the file."""
    fields = [
        (block[386 + 24 * i : 398 + 24 * i], block[398 + 24 * i : 410 + 24 * i]) for i in range(4)
    ]
    more, size, stored = block[482], _octal(block[483:495]), _octal(block[124:136])
    while more:
        if len(fields) > _EXTENTS_MAX:
            raise InvalidRequestError("sparse map with too many parts")
        block = take(_BLOCK)
        fields += [
            (block[24 * i : 24 * i + 12], block[24 * i + 12 : 24 * i + 24]) for i in range(21)
        ]
        more = block[504]
    pairs = [(_octal(a), _octal(b)) for a, b in fields if a.strip(b"\0 ")]
    return _checked(pairs, size, stored), size


def pax_map(text: bytes, size: int, stored: int) -> tuple[Extent, ...]:
    """Read the comma-separated map of pax 0.1."""
    numbers = [_decimal(part) for part in text.split(b",", 2 * _EXTENTS_MAX + 1)]
    if len(numbers) % 2:
        raise InvalidRequestError("odd sparse map")
    return _checked(list(zip(numbers[::2], numbers[1::2], strict=True)), size, stored)


def pax_payload_map(
    take: Callable[[int], bytes], size: int, stored: int
) -> tuple[tuple[Extent, ...], int]:
    """Read the map that pax 1.0 stores before the data; return it and the bytes it took."""
    data = b""
    used = 0
    while True:
        lines = data.split(b"\n")
        if len(lines) > 1:
            count = _decimal(lines[0])
            if count > _EXTENTS_MAX:
                raise InvalidRequestError("sparse map with too many parts")
            if len(lines) > 2 * count + 1:
                break
        if used + _BLOCK > stored:
            raise InvalidRequestError("sparse map runs past its entry")
        data += take(_BLOCK)
        used += _BLOCK
    numbers = [_decimal(line) for line in lines[1 : 2 * count + 1]]
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
    return _checked(pairs, size, stored - used), used


def _checked(pairs: list[Extent], size: int, stored: int) -> tuple[Extent, ...]:
    position = 0
    for offset, length in pairs:
        if offset < position or offset + length > size:
            raise InvalidRequestError("sparse map out of order or past the end of its file")
        position = offset + length
    if sum(length for _, length in pairs) != stored:
        raise InvalidRequestError("sparse map and stored size differ")
    return tuple(pairs)


def _decimal(value: bytes) -> int:
    if not value.isdigit() or len(value) > _DIGITS_MAX:
        raise InvalidRequestError("bad number in a sparse map")
    return int(value)


def _octal(value: bytes) -> int:
    if value[0] & 0x80:
        if value[0] & 0x40:
            raise InvalidRequestError("negative number in a sparse map")
        return int.from_bytes(value[1:], "big")
    digits = value.strip(b"\0 ")
    try:
        return int(digits or b"0", 8)
    except ValueError as error:
        raise InvalidRequestError("bad number in a sparse map") from error
