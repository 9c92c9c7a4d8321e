"""Compressed streams: every kind, in many parts, cut short, followed by garbage."""

import bz2
import gzip
import io
import lzma
import tracemalloc
from collections.abc import Callable

import pytest
from backports import zstd

from pyd_api.errors import InvalidRequestError
from pyd_guest.snapshots.decompress import chunks

DATA = b"".join(b"line %d\n" % n for n in range(40_000))
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstd.compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
    "plain": bytes,
}


class Dribble:
    """A file that gives one byte first and little at a time."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)
        self._first = True

    def read(self, size: int, /) -> bytes:
        limit, self._first = (1, False) if self._first else (7000, False)
        return self._file.read(min(size, limit))


def expand(data: bytes) -> bytes:
    return b"".join(chunks(io.BytesIO(data)))


@pytest.mark.parametrize("kind", COMPRESS)
def test_whole_streams(kind: str) -> None:
    packed = COMPRESS[kind](DATA)
    assert expand(packed) == DATA
    assert b"".join(chunks(Dribble(packed))) == DATA


@pytest.mark.parametrize("kind", ["gzip", "zstd", "xz", "bzip2"])
def test_many_members_are_one_stream(kind: str) -> None:
    packed = COMPRESS[kind](DATA[:1000]) + COMPRESS[kind](b"") + COMPRESS[kind](DATA[1000:])
    assert expand(packed) == DATA


def test_zstd_skippable_frames() -> None:
    skipped = b"\x50\x2a\x4d\x18\x04\0\0\0skip"
    assert expand(skipped + zstd.compress(DATA) + skipped) == DATA


def test_gzip_padding_after_the_last_member() -> None:
    assert expand(gzip.compress(DATA) + bytes(100_000)) == DATA


@pytest.mark.parametrize("kind", ["gzip", "zstd", "xz", "bzip2"])
@pytest.mark.parametrize("cut", [1, 5, 9, 1000])
def test_truncation_is_an_error(kind: str, cut: int) -> None:
    with pytest.raises(InvalidRequestError, match=r"truncated|damaged"):
        expand(COMPRESS[kind](DATA)[:-cut])
    with pytest.raises(InvalidRequestError, match=r"truncated|damaged"):
        expand(COMPRESS[kind](DATA) + COMPRESS[kind](DATA)[:-cut])


@pytest.mark.parametrize("kind", ["gzip", "zstd", "xz", "bzip2"])
def test_damage_and_garbage_are_errors(kind: str) -> None:
    packed = bytearray(COMPRESS[kind](DATA))
    with pytest.raises(InvalidRequestError):
        expand(bytes(packed) + b"garbage after it")
    if kind == "zstd":
        return  # its frames may come without a checksum; the DiffID tells
    for at in range(len(packed) // 2, len(packed) // 2 + 64):
        packed[at] ^= 0xFF
    with pytest.raises(InvalidRequestError, match=kind):
        expand(bytes(packed))


@pytest.mark.parametrize("kind", ["gzip", "zstd", "xz"])
def test_a14_a_bomb_expands_in_bounded_memory(kind: str) -> None:
    packed = COMPRESS[kind](bytes(64 << 20))
    tracemalloc.start()
    total = largest = 0
    for chunk in chunks(io.BytesIO(packed)):
        total += len(chunk)
        largest = max(largest, len(chunk))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (total, largest <= 1 << 20) == (64 << 20, True)
    assert peak < 16 << 20
