"""Read tar archives as hostile input: bounded headers, checked numbers, one pass, no seeking.

POSIX.1-2017 pax (``ustar`` blocks and extended records), GNU long names and sparse files, V7.
Where readers differ this one follows Go's archive/tar, which wrote most layers: links and devices
carry no payload whatever their size says, global pax headers change nothing, an archive may end
without its two zero blocks.

::

    block 512: name 100 │ mode 8 │ uid 8 │ gid 8 │ size 12 │ mtime 12 │ checksum 8 │ type 1 │
               link 100 │ magic 6 │ version 2 │ uname 32 │ gname 32 │ major 8 │ minor 8 │ prefix 155
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pyd_api.errors import InvalidRequestError
from pyd_guest.snapshots.sparse import Extent, gnu_map, pax_map, pax_payload_map

BLOCK = 512
_ZERO = bytes(BLOCK)
_SPECIAL_MAX = 1 << 20  # bytes of one long name or pax header, as in Go
_SPECIAL_ROW_MAX = 8  # long name, long link and pax headers before one entry
_TRAILING_MAX = 16 << 20  # what may follow the end marker: record padding, never more
_SIZE_MAX = 1 << 40
_ID_MAX = 0xFFFFFFFE
_PATH_MAX = 4096
_XATTR_PREFIX = b"SCHILY.xattr."

REGULAR = b"0"
HARD_LINK = b"1"
SYMBOLIC_LINK = b"2"
CHARACTER_DEVICE = b"3"
BLOCK_DEVICE = b"4"
DIRECTORY = b"5"
FIFO = b"6"
_PLAIN = {b"0": REGULAR, b"\0": REGULAR, b"7": REGULAR, b"S": REGULAR}
_HEADER_ONLY = {HARD_LINK, SYMBOLIC_LINK, CHARACTER_DEVICE, BLOCK_DEVICE, DIRECTORY, FIFO}


@dataclass(slots=True)
class Entry:
    """One member; ``name`` and ``link`` are bytes exactly as archived."""

    name: bytes
    kind: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    link: bytes = b""
    device: tuple[int, int] = (0, 0)
    xattrs: dict[bytes, bytes] = field(default_factory=dict)
    extents: tuple[Extent, ...] | None = None


class TarReader:
    """Iterate over the entries of an archive; `payload` belongs to the entry yielded last."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._data = memoryview(b"")
        self._left = 0  # payload of the present entry not read yet
        self._padding = 0

    def __iter__(self) -> Iterator[Entry]:
        while (entry := self._next()) is not None:
            yield entry
            for _ in self.payload():
                pass
        self._drain()

    def payload(self) -> Iterator[memoryview]:
        """Yield what is left of the present entry's stored bytes."""
        while self._left:
            piece = self._piece(self._left)
            self._left -= len(piece)
            yield piece

    def _piece(self, limit: int) -> memoryview:
        if not len(self._data):
            self._data = memoryview(next(self._chunks, b""))
            if not len(self._data):
                raise InvalidRequestError("unexpected end of the archive")
        piece, self._data = self._data[:limit], self._data[limit:]
        return piece

    def _take(self, size: int) -> bytes:
        if len(self._data) >= size:
            block, self._data = bytes(self._data[:size]), self._data[size:]
            return block
        parts = []
        while size:
            piece = self._piece(size)
            parts.append(bytes(piece))
            size -= len(piece)
        return b"".join(parts)

    def _block(self) -> bytes | None:
        """Return the next header block; None at the end, marked or not."""
        if self._padding:
            self._take(self._padding)
            self._padding = 0
        if not len(self._data):
            self._data = memoryview(next(self._chunks, b""))
            if not len(self._data):
                return None
        block = self._take(BLOCK)
        return None if block == _ZERO else block

    def _drain(self) -> None:
        size = len(self._data)
        self._data = memoryview(b"")
        for chunk in self._chunks:
            size += len(chunk)
            if size > _TRAILING_MAX:
                raise InvalidRequestError("more data after the end of the archive")

    def _special(self, size: int) -> bytes:
        if not 0 <= size <= _SPECIAL_MAX:
            raise InvalidRequestError(f"archive header of {size} bytes")
        data = self._take(size)
        self._take(-size % BLOCK)
        return data

    def _next(self) -> Entry | None:
        long_name = long_link = None
        records: dict[bytes, bytes] = {}
        for _ in range(_SPECIAL_ROW_MAX):
            block = self._block()
            if block is None:
                if records or long_name or long_link:
                    raise InvalidRequestError("unexpected end of the archive")
                return None
            _check_sum(block)
            kind = block[156:157]
            if kind == b"x":
                records = _pax(self._special(_number(block[124:136])))
            elif kind == b"g":
                self._special(_number(block[124:136]))
            elif kind == b"L":
                long_name = self._special(_number(block[124:136])).split(b"\0", 1)[0]
            elif kind == b"K":
                long_link = self._special(_number(block[124:136])).split(b"\0", 1)[0]
            else:
                return self._entry(block, kind, records, long_name, long_link)
        raise InvalidRequestError("too many archive headers in a row")

    def _entry(
        self,
        block: bytes,
        kind: bytes,
        records: dict[bytes, bytes],
        long_name: bytes | None,
        long_link: bytes | None,
    ) -> Entry:
        ustar = block[257:263] == b"ustar\0"
        name = long_name or _text(block[0:100])
        if long_name is None and ustar and (prefix := _text(block[345:500])):
            name = prefix + b"/" + name
        name = records.get(b"path") or name
        link = records.get(b"linkpath") or long_link or _text(block[157:257])
        size = _decimal(records[b"size"]) if b"size" in records else _number(block[124:136])
        if kind == b"\0" and name.endswith(b"/"):
            kind = DIRECTORY
        sparse = kind == b"S"
        kind = _PLAIN.get(kind, kind)
        if len(name) > _PATH_MAX or len(link) > _PATH_MAX:
            raise InvalidRequestError(f"archive name of more than {_PATH_MAX} bytes")
        if b"\0" in name or b"\0" in link:
            raise InvalidRequestError("archive name with a null byte")
        if kind != REGULAR and kind not in _HEADER_ONLY:
            raise InvalidRequestError(f"archive entry {_shown(name)} has unknown type {kind!r}")
        if not 0 <= size <= _SIZE_MAX:
            raise InvalidRequestError(f"archive entry {_shown(name)} has size {size}")
        if kind != REGULAR:
            size = 0
        entry = Entry(
            name,
            kind,
            _number(block[100:108]) & 0o7777,
            _identity(records, b"uid", block[108:116]),
            _identity(records, b"gid", block[116:124]),
            size,
            _mtime(records, block),
            link,
        )
        if kind in (CHARACTER_DEVICE, BLOCK_DEVICE):
            entry.device = _device(block, name)
        if records:
            entry.xattrs = {
                key.removeprefix(_XATTR_PREFIX): value
                for key, value in records.items()
                if key.startswith(_XATTR_PREFIX)
            }
        self._left, self._padding = size, -size % BLOCK
        if sparse:
            entry.extents, entry.size = gnu_map(block, self._take)
        elif b"GNU.sparse.major" in records or b"GNU.sparse.map" in records:
            self._pax_sparse(entry, records)
        if entry.size > _SIZE_MAX:
            raise InvalidRequestError(f"archive entry {_shown(name)} has size {entry.size}")
        return entry

    def _pax_sparse(self, entry: Entry, records: dict[bytes, bytes]) -> None:
        entry.name = records.get(b"GNU.sparse.name", entry.name)
        real = records.get(b"GNU.sparse.realsize") or records.get(b"GNU.sparse.size") or b""
        stored = self._left
        if b"GNU.sparse.map" in records:
            entry.extents = pax_map(records[b"GNU.sparse.map"], _decimal(real), stored)
        else:
            if records.get(b"GNU.sparse.major") != b"1":
                raise InvalidRequestError(f"unknown sparse format of {_shown(entry.name)}")
            entry.extents, used = pax_payload_map(self._take, _decimal(real), stored)
            self._left -= used
        entry.size = _decimal(real)


def _shown(name: bytes) -> str:
    return repr(name[:200].decode("utf-8", "backslashreplace"))


def _check_sum(block: bytes) -> None:
    try:
        wanted = int(block[148:156].rstrip(b"\0 ").lstrip(b" ") or b"0", 8)
    except ValueError:
        wanted = -1
    rest = block[:148] + block[156:]
    unsigned = sum(rest) + 256
    if wanted != unsigned:
        signed = unsigned - 256 * sum(byte > 127 for byte in rest)  # some old writers
        if wanted != signed:
            raise InvalidRequestError("not a tar archive: bad header checksum")


def _text(value: bytes) -> bytes:
    return value.split(b"\0", 1)[0]


def _number(value: bytes) -> int:
    """Read octal digits, or base-256 when the first bit says so (GNU)."""
    if value[0] & 0x80:
        number = int.from_bytes(value, "big") & ((1 << (8 * len(value) - 1)) - 1)
        if value[0] & 0x40:
            number -= 1 << (8 * len(value) - 1)
        return number
    digits = value.strip(b"\0 ")
    if not digits:
        return 0
    if not digits.isdigit():
        raise InvalidRequestError(f"bad number in an archive header: {value!r}")
    try:
        return int(digits, 8)
    except ValueError as error:
        raise InvalidRequestError(f"bad number in an archive header: {value!r}") from error


def _decimal(value: bytes) -> int:
    if not value.isdigit() or len(value) > 19:
        raise InvalidRequestError(f"bad number in a pax header: {value[:40]!r}")
    return int(value)


def _identity(records: dict[bytes, bytes], key: bytes, raw: bytes) -> int:
    number = _decimal(records[key]) if records.get(key) else _number(raw)
    if not 0 <= number <= _ID_MAX:
        raise InvalidRequestError(f"{key.decode()} {number} in an archive header is out of range")
    return number


def _device(block: bytes, name: bytes) -> tuple[int, int]:
    major, minor = _number(block[329:337]), _number(block[337:345])
    if not (0 <= major < 1 << 12 and 0 <= minor < 1 << 20):
        raise InvalidRequestError(f"device number {major}:{minor} of {_shown(name)}")
    return major, minor


def _mtime(records: dict[bytes, bytes], block: bytes) -> int:
    """Return nanoseconds; a time that no file system holds is drawn to the nearest it does."""
    text = records.get(b"mtime")
    if not text:
        seconds, nanoseconds = _number(block[136:148]), 0
    else:
        sign, text = (-1, text[1:]) if text.startswith(b"-") else (1, text)
        whole, _, fraction = text.partition(b".")
        seconds = sign * _decimal(whole or b"0")
        nanoseconds = sign * int(_decimal((fraction[:9] or b"0").ljust(9, b"0")))
    seconds = max(-(1 << 31), min(seconds, (1 << 34) - 1))
    return seconds * 1_000_000_000 + nanoseconds


def _pax(data: bytes) -> dict[bytes, bytes]:
    """Read records of ``length key=value`` and a newline."""
    records: dict[bytes, bytes] = {}
    position = 0
    while position < len(data):
        space = data.find(b" ", position, position + 20)
        digits = data[position:space]
        if space < 0 or not digits.isdigit():
            raise InvalidRequestError("bad pax header")
        end = position + int(digits)
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if end > len(data) or end <= space + 1 or data[end - 1 : end] != b"\n" or not equals:
            raise InvalidRequestError("bad pax header")
        records[key] = value
        position = end
    return records
