"""The blob store: content by digest, written once, verified while it is written.

::

    content/
      ingest/<random>          being written; removed at the next start
      blobs/sha256/<hex>       whole, verified, durable

A blob is published by rename after its bytes are on disk (fsync of the file, or one syncfs for
many), then the directory is fsynced. Digests: OCI image-spec, "Descriptors".
"""

import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from pyd_api.digest import Digest, parse_digest
from pyd_api.errors import InvalidRequestError, NotFoundError
from pyd_guest.linux.filesystem import syncfs

_DIRECTORY_MODE = 0o700
_FILE_MODE = 0o600


class Ingest:
    """One blob being written; leaving the context without `BlobStore.publish` removes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._hash = hashlib.sha256()
        self._published = False
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._fd = os.open(path, flags, _FILE_MODE)

    def write(self, data: bytes | memoryview) -> None:
        """Append and hash ``data``."""
        self._hash.update(data)
        self.size += len(data)
        while len(data) > (written := os.write(self._fd, data)):
            data = memoryview(data)[written:]

    def restart(self) -> None:
        """Forget everything written so far."""
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self.size, self._hash = 0, hashlib.sha256()

    @property
    def digest(self) -> Digest:
        """The digest of what was written so far."""
        return Digest("sha256:" + self._hash.hexdigest())

    def verify(self, digest: Digest, size: int | None = None) -> None:
        """Raise InvalidRequestError unless exactly that content was written."""
        if size is not None and size != self.size:
            raise InvalidRequestError(f"{digest} has {self.size} bytes, {size} were announced")
        if digest != self.digest:
            raise InvalidRequestError(f"digest mismatch: wanted {digest}, got {self.digest}")

    def seal(self) -> None:
        """Give the descriptor back; nothing more can be written."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def sync(self) -> None:
        """Bring the bytes to disk; one syncfs for many ingests does the same."""
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def read(self, *, limit: int) -> bytes:
        """Return the bytes written so far; raise InvalidRequestError past ``limit`` of them."""
        if self.size > limit:
            raise InvalidRequestError(f"{self.digest} is larger than {limit} bytes")
        return self.path.read_bytes()

    def rename(self, target: Path) -> None:
        """Move the file to its final name; `close` leaves it there."""
        self.path.rename(target)
        self._published = True
        self.seal()

    def close(self) -> None:
        """Remove the file if it was not published; more than once is harmless."""
        self.seal()
        if not self._published:
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class BlobStore:
    """The blobs below one directory; safe to use from many threads."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._ingests = root / "ingest"
        self._blobs = root / "blobs" / "sha256"
        for directory in (root, self._ingests, self._blobs.parent, self._blobs):
            directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)

    def free(self) -> int:
        """Return the bytes that can still be stored."""
        state = os.statvfs(self.root)
        return state.f_bavail * state.f_frsize

    @property
    def device(self) -> int:
        """The file system that the store is on."""
        return self._blobs.stat().st_dev

    def sync(self) -> None:
        """Bring everything written here to disk, by one syncfs."""
        fd = os.open(self._blobs, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            syncfs(fd)
        finally:
            os.close(fd)

    def recover(self, live: Iterable[Digest]) -> None:
        """Remove half-written ingests and blobs that nothing refers to (at start only)."""
        for path in self._ingests.iterdir():
            path.unlink()
        keep = {digest.removeprefix("sha256:") for digest in live}
        for path in self._blobs.iterdir():
            if path.name not in keep:
                path.unlink()

    def ingest(self) -> Ingest:
        """Begin a blob; the caller publishes it or closes it."""
        return Ingest(self._ingests / secrets.token_hex(8))

    def publish(self, ingests: Iterable[Ingest]) -> None:
        """Make ingests whose bytes are on disk reachable under their digests, durably."""
        for ingest in ingests:
            ingest.rename(self.path(ingest.digest))
        fd = os.open(self._blobs, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def add(self, data: bytes) -> Digest:
        """Store a small blob durably."""
        with self.ingest() as ingest:
            ingest.write(data)
            ingest.sync()
            self.publish([ingest])
            return ingest.digest

    def path(self, digest: Digest) -> Path:
        """Name the file of a blob, whether it is there or not."""
        return self._blobs / parse_digest(digest).removeprefix("sha256:")

    def has(self, digest: Digest) -> bool:
        """Tell whether the blob is here."""
        return self.path(digest).exists()

    def open(self, digest: Digest) -> BinaryIO:
        """Open a blob for reading; raise NotFoundError if it is not here."""
        try:
            return self.path(digest).open("rb")
        except FileNotFoundError as error:
            raise NotFoundError(f"no such blob: {digest}") from error

    def read(self, digest: Digest, *, limit: int) -> bytes:
        """Read a small blob; raise InvalidRequestError past ``limit`` bytes."""
        with self.open(digest) as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise InvalidRequestError(f"{digest} is larger than {limit} bytes")
        return data

    def remove(self, digest: Digest) -> None:
        """Remove a blob if it is here."""
        self.path(digest).unlink(missing_ok=True)
