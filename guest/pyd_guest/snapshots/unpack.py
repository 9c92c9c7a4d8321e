"""The layer worker, a process of its own: ``python -m pyd_guest.snapshots.unpack``.

Decompression, hashing and thousands of small system calls would starve the daemon's threads, so
they happen here. One JSON object a line on standard input asks for a layer, lines on standard
output answer; the end of standard input ends the process at once, even in the middle of a layer.

::

    → {"blob": path, "target": directory, "diff_id": "sha256:…" | null, "reserve": bytes}
    ← {"read": bytes}                       every few MiB
    ← {"diff_id": …, "size": …, "warnings": […]}    or    {"error": …, "fault": "data" | "machine"}
"""

import errno
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from threading import Thread

from pyd_api.errors import InvalidRequestError
from pyd_guest.linux.filesystem import free_bytes
from pyd_guest.snapshots.apply import LayerWriter
from pyd_guest.snapshots.decompress import Readable, chunks
from pyd_guest.snapshots.tar_reader import SYMBOLIC_LINK, TarReader

_LAYER_MAX = 128 << 30  # bytes of one uncompressed layer
_ENTRIES_MAX = 10_000_000
_CHECK_EVERY = 64 << 20
_REPORT_EVERY = 2 << 20
_WARNINGS_MAX = 20
_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOMEM, errno.EROFS, errno.EMFILE}


class OutOfSpaceError(OSError):
    """The layer would eat the reserve that keeps the machine alive."""


class _Measured:
    """The uncompressed stream on its way to the reader: hashed, counted and bounded."""

    def __init__(self, source: Iterator[bytes], root_fd: int, reserve: int) -> None:
        self.size = 0
        self.hash = hashlib.sha256()
        self._source = source
        self._root = root_fd
        self._reserve = reserve
        self._checked = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._source:
            self.hash.update(chunk)
            self.size += len(chunk)
            if self.size > _LAYER_MAX:
                raise InvalidRequestError(f"layer expands to more than {_LAYER_MAX} bytes")
            if self.size - self._checked >= _CHECK_EVERY:
                self.check_space()
            yield chunk

    def check_space(self) -> None:
        """Raise OutOfSpaceError when less than the reserve is free."""
        self._checked = self.size
        if free_bytes(self._root) < self._reserve:
            raise OutOfSpaceError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def unpack(
    file: Readable, root_fd: int, *, diff_id: str | None, reserve: int = 0
) -> dict[str, object]:
    """Unpack one layer into the empty directory ``root_fd`` and verify its DiffID.

    Raises InvalidRequestError for a bad layer and OSError when the machine fails.
    """
    stream = _Measured(chunks(file), root_fd, reserve)
    stream.check_space()
    reader = TarReader(stream)
    writer = LayerWriter(root_fd)
    count = size = 0
    try:
        for entry in reader:
            count += 1
            if count > _ENTRIES_MAX:
                raise InvalidRequestError(f"layer with more than {_ENTRIES_MAX} entries")
            # As dockerd counts: files and the text of links, not directories.
            size += len(entry.link) if entry.kind == SYMBOLIC_LINK else entry.size
            try:
                writer.apply(entry, reader.payload())
            except OSError as error:
                if error.errno in _MACHINE:
                    raise
                shown = entry.name[:200].decode("utf-8", "backslashreplace")
                raise InvalidRequestError(f"entry {shown!r}: {error.strerror}") from error
        writer.finish()
    finally:
        writer.close()
    found = "sha256:" + stream.hash.hexdigest()
    if diff_id is not None and found != diff_id:
        raise InvalidRequestError(
            f"wrong diff id: the image names {diff_id}, the layer has {found}"
        )
    return {"diff_id": found, "size": size, "warnings": writer.warnings[:_WARNINGS_MAX]}


class _Counted:
    """A file that reports how far it was read."""

    def __init__(self, file: Readable, report: Callable[[int], None]) -> None:
        self._file = file
        self._report = report
        self._read = self._told = 0

    def read(self, size: int, /) -> bytes:
        """Read as the file does."""
        data = self._file.read(size)
        self._read += len(data)
        if self._read - self._told >= _REPORT_EVERY or not data:
            self._told = self._read
            self._report(self._read)
        return data


def _answer(job: dict[str, object], say: Callable[[dict[str, object]], None]) -> dict[str, object]:
    try:
        root_fd = os.open(str(job["target"]), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with open(str(job["blob"]), "rb", buffering=0) as file:
                diff_id = job["diff_id"]
                return unpack(
                    _Counted(file, lambda read: say({"read": read})),
                    root_fd,
                    diff_id=str(diff_id) if diff_id is not None else None,
                    reserve=int(str(job["reserve"])),
                )
        finally:
            os.close(root_fd)
    except InvalidRequestError as error:
        return {"error": error.message, "fault": "data"}
    except OSError as error:
        return {"error": error.strerror or str(error), "fault": "machine"}


def _listen(jobs: "SimpleQueue[dict[str, object]]") -> None:
    for line in sys.stdin.buffer:
        jobs.put(json.loads(line))
    os._exit(0)  # the daemon closed the pipe, or died


def main() -> None:
    """Serve jobs until standard input ends."""
    os.umask(0)
    out = sys.stdout.buffer

    def say(message: dict[str, object]) -> None:
        out.write(json.dumps(message).encode() + b"\n")
        out.flush()

    jobs: SimpleQueue[dict[str, object]] = SimpleQueue()
    Thread(target=_listen, args=(jobs,), daemon=True).start()
    while True:
        say(_answer(jobs.get(), say))


if __name__ == "__main__":
    main()
