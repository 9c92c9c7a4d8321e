"""Turn a layer blob into the bytes of its tar archive, in bounded memory.

gzip (RFC 1952, many members), zstd (RFC 8878, many frames, skippable ones too), xz, bzip2, or
nothing; told apart by their first bytes, since media types are often wrong. A stream that ends
early is an error: decompressors themselves say nothing of it. The libraries are imported when the
first stream of their kind is met.
"""

from collections.abc import Callable, Iterator
from typing import Protocol, cast

from pyd_api.errors import InvalidRequestError

_CHUNK = 1 << 20
_READ = 256 << 10
_MAGIC = 8
_XZ_MEMORY = 128 << 20
_ZSTD_WINDOW_LOG_MAX = 27  # 128 MiB, what the zstd command itself accepts


class Readable(Protocol):
    """What a stream is read from; ``read`` returns b"" at the end only."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes."""


class _Stream(Protocol):
    """One member or frame."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def needs_input(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Gzip:
    """A gzip member with the interface that bz2, lzma and zstd share."""

    def __init__(self) -> None:
        from isal import isal_zlib

        self._inner = isal_zlib.decompressobj(wbits=31)
        self._tail = b""

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._tail

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        out = self._inner.decompress(self._tail + data if self._tail else data, max_length)
        self._tail = self._inner.unconsumed_tail
        return out


def _zstd() -> _Stream:
    from backports import zstd

    return zstd.ZstdDecompressor(
        options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG_MAX}
    )


def _xz() -> _Stream:
    import lzma

    return lzma.LZMADecompressor(memlimit=_XZ_MEMORY)


def _bzip2() -> _Stream:
    import bz2

    return bz2.BZ2Decompressor()


def _kind(head: bytes) -> tuple[str, Callable[[], _Stream]] | None:
    if head.startswith(b"\x1f\x8b"):
        return "gzip", _Gzip
    if head.startswith(b"\x28\xb5\x2f\xfd") or head[1:4] == b"\x2a\x4d\x18":
        return "zstd", _zstd
    if head.startswith(b"\xfd7zXZ\0"):
        return "xz", _xz
    if head.startswith(b"BZh"):
        return "bzip2", _bzip2
    return None


def chunks(file: Readable) -> Iterator[bytes]:
    """Yield the decompressed bytes of ``file`` in pieces of at most 1 MiB.

    Raises InvalidRequestError for damaged or truncated data.
    """
    head = file.read(_READ)
    while 0 < len(head) < _MAGIC and (more := file.read(_READ)):
        head += more
    kind = _kind(head)
    if kind is None:
        while head:
            yield head
            head = file.read(_CHUNK)
        return
    name, begin = kind
    faults = _faults(name)
    try:
        yield from _members(name, begin, head, file)
    except faults as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's error, not the data's
        raise InvalidRequestError(f"damaged {name} data: {error}") from error


def _members(
    name: str, begin: Callable[[], _Stream], data: bytes, file: Readable
) -> Iterator[bytes]:
    while data:
        stream = begin()
        while not stream.eof:
            out = stream.decompress(data, _CHUNK)
            data = b""
            if out:
                yield out
            elif not stream.eof and stream.needs_input and not (data := file.read(_READ)):
                raise InvalidRequestError(f"truncated {name} data")
        data = stream.unused_data or file.read(_READ)
        if name == "gzip" and not data.strip(b"\0"):
            data = _after_padding(file)
        elif name != "zstd" and _kind_name(data) != name and data:
            raise InvalidRequestError(f"garbage after {name} data")


def _after_padding(file: Readable) -> bytes:
    """Skip zero bytes after a gzip member (tape padding); anything else goes on as a member."""
    while data := file.read(_READ):
        if data := data.lstrip(b"\0"):
            return data
    return b""


def _kind_name(head: bytes) -> str:
    kind = _kind(head)
    return kind[0] if kind else ""


def _faults(name: str) -> tuple[type[Exception], ...]:
    """Name what the library that decodes ``name`` raises for bad data."""
    common = (OSError, EOFError, ValueError)
    if name == "gzip":
        from isal import igzip_lib

        return (*common, cast("type[Exception]", igzip_lib.IsalError))  # its stub: an instance
    if name == "zstd":
        from backports import zstd

        return (*common, zstd.ZstdError)
    if name == "xz":
        import lzma

        return (*common, lzma.LZMAError)
    return common
