"""Container logs as conmon writes them (its ``k8s-file`` driver; Kubernetes CRI log format).

One record a line; ``P`` is a piece without its newline, ``F`` ends a line::

    2026-11-24T13:17:33.123456789+00:00 stdout F text, any bytes but a newline
"""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from pyd_api import framing

_BLOCK_BYTES: Final = 64 * 1024
_HEAD_BYTES: Final = 64  # more than the three words in front of the text
_RECORD_MAX_BYTES: Final = 1024 * 1024  # conmon writes 8 KiB; bounds a damaged file
_STREAMS: Final = {b"stdout": framing.STDOUT, b"stderr": framing.STDERR}


@dataclass(frozen=True, slots=True)
class LogSource:
    """Where the output of one container is kept, and when no more will come."""

    path: Path
    tty: bool
    ended: Future[None]
    """Done once the container does not run any more, or is removed."""


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the file."""

    time_ns: int
    stream: int
    partial: bool
    text: bytes


class Clock:
    """Reads the time stamps of records; neighbours share their second."""

    def __init__(self) -> None:
        self._second = b""
        self._offset = b""
        self._second_ns = 0

    def time_ns(self, stamp: bytes) -> int:
        """Return nanoseconds since 1970; raises ValueError for anything but RFC 3339."""
        second, rest = stamp[:19], stamp[20:]
        digits = 0
        while digits < len(rest) and rest[digits : digits + 1].isdigit():
            digits += 1
        fraction, offset = rest[:digits], rest[digits:]
        if stamp[19:20] != b".":
            fraction, offset = b"", stamp[19:]
        if second != self._second or offset != self._offset:
            zone = "+00:00" if offset == b"Z" else offset.decode("ascii")
            moment = datetime.fromisoformat(second.decode("ascii") + zone)
            if moment.tzinfo is None:
                raise ValueError("a time stamp without its offset")
            self._second_ns = int(moment.timestamp()) * 10**9
            self._second, self._offset = second, offset
        return self._second_ns + int(fraction.ljust(9, b"0")[:9] or b"0")


def parse(line: bytes, clock: Clock) -> Record | None:
    """Read one line without its newline; None if it is damaged."""
    words = line.split(b" ", 3)
    if len(words) != 4 or words[1] not in _STREAMS or words[2] not in (b"P", b"F"):
        return None
    try:
        time_ns = clock.time_ns(words[0])
    except ValueError:
        return None
    return Record(time_ns, _STREAMS[words[1]], words[2] == b"P", words[3])


class LogReader:
    """Reads a log from its end or its last lines on; memory does not grow with the log."""

    def __init__(self, path: Path, *, tail: int | None = None) -> None:
        self._path = path
        self._tail = tail
        self._fd = -1
        self._rest = b""
        self._clock = Clock()

    def read(self) -> list[Record]:
        """Return the next records, an empty list at the present end; a missing file is empty."""
        if self._fd < 0 and not self.open():
            return []
        while True:
            block = os.read(self._fd, _BLOCK_BYTES)
            if not block:
                if self._replaced():
                    self.close()
                    self._rest = b""
                    if self.open():
                        continue
                return []
            *lines, self._rest = (self._rest + block).split(b"\n")
            self._rest = self._rest[:_RECORD_MAX_BYTES]
            records = [record for line in lines if (record := parse(line, self._clock))]
            if records:
                return records

    def open(self) -> bool:
        """Open the log and find where to begin; False if there is none yet."""
        try:
            self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        finally:
            tail, self._tail = self._tail, None  # a log that comes later is read whole
        if tail is not None:
            os.lseek(self._fd, find_tail(self._fd, tail), os.SEEK_SET)
        return True

    def _replaced(self) -> bool:
        """Whether the log was rotated: another file, or the same one cut short."""
        mine = os.fstat(self._fd)
        if mine.st_size < os.lseek(self._fd, 0, os.SEEK_CUR):
            return True
        try:
            now = self._path.lstat()
        except FileNotFoundError:
            return False
        return (now.st_dev, now.st_ino) != (mine.st_dev, mine.st_ino)

    def close(self) -> None:
        """Give the descriptor back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def find_tail(fd: int, lines: int) -> int:
    """Return the offset where the last ``lines`` lines begin; pieces of a line count as one."""
    open_streams: set[bytes] = set()  # streams whose line has begun behind this point
    count = 0
    start = _end_of_records(fd)
    for offset, head in _backwards(fd, start):
        words = head.split(b" ", 3)
        stream, tag = (words[1], words[2]) if len(words) > 2 else (b"", b"F")
        if tag != b"P" or stream not in open_streams:
            if count == lines:
                break
            count += 1
            open_streams.add(stream)
        start = offset
    return start


def _end_of_records(fd: int) -> int:
    """Return the offset behind the last newline; what follows is still being written."""
    position = os.fstat(fd).st_size
    while position > 0:
        begin = max(0, position - _BLOCK_BYTES)
        newline = os.pread(fd, position - begin, begin).rfind(b"\n")
        if newline >= 0:
            return begin + newline + 1
        position = begin
    return 0


def _backwards(fd: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield offset and head of each record before ``end``, the last one first."""
    position = max(0, end - 1)  # the newline that ends the last record
    if end == 0:
        return
    head = b""
    while position > 0:
        begin = max(0, position - _BLOCK_BYTES)
        block = os.pread(fd, position - begin, begin)
        stop = len(block)
        while (newline := block.rfind(b"\n", 0, stop)) >= 0:
            yield begin + newline + 1, (block[newline + 1 : stop] + head)[:_HEAD_BYTES]
            head, stop = b"", newline
        head = (block[:stop] + head)[:_HEAD_BYTES]
        position = begin
    yield 0, head


@dataclass(frozen=True, slots=True)
class Selection:
    """What of a log a client wants to see; times in nanoseconds since 1970, both inclusive."""

    stdout: bool = True
    stderr: bool = True
    timestamps: bool = False
    details: bool = False
    since_ns: int | None = None
    until_ns: int | None = None


class Renderer:
    """Turns records into the bytes a client sees; a time stamp stands at the start of a line."""

    def __init__(self, selection: Selection, *, tty: bool) -> None:
        self._selection = selection
        self._tty = tty
        self._inside: set[int] = set()  # streams whose line has begun
        self.finished = False
        """Set when the records have passed ``until``."""

    def render(self, records: Iterable[Record]) -> bytes:
        """Return the selected text, framed unless there is a terminal."""
        wanted = self._selection
        out = []
        for record in records:
            if wanted.until_ns is not None and record.time_ns > wanted.until_ns:
                self.finished = True
                break
            stream = record.stream
            inside = stream in self._inside
            (self._inside.add if record.partial else self._inside.discard)(stream)
            if wanted.since_ns is not None and record.time_ns < wanted.since_ns:
                continue
            if not (wanted.stdout if stream == framing.STDOUT else wanted.stderr):
                continue
            text = record.text if record.partial else record.text + b"\n"
            if wanted.details and not inside:
                text = b" " + text  # between the attributes, of which there are none, and the line
            if wanted.timestamps and not inside:
                text = format_time(record.time_ns) + b" " + text
            out.append(text if self._tty else framing.frame(stream, text))
        return b"".join(out)


def format_time(time_ns: int) -> bytes:
    """Write RFC 3339 in UTC with all nine digits, as Docker's log lines have it."""
    seconds, fraction = divmod(time_ns, 10**9)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z".encode()
