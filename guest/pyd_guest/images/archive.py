"""The parts of an archive that `docker load` is given, spooled beside the store by name.

Nothing is created under a name from the archive: each regular member becomes an ingest, links are
only remembered and followed inside the archive (CVE-2014-9356, CVE-2014-9358).
"""

import os
from contextlib import ExitStack
from typing import Self

from pyd_api.errors import InternalError, InvalidRequestError
from pyd_guest.content.store import BlobStore, Ingest
from pyd_guest.snapshots.apply import clean
from pyd_guest.snapshots.decompress import Readable, chunks
from pyd_guest.snapshots.tar_reader import DIRECTORY, HARD_LINK, REGULAR, SYMBOLIC_LINK, TarReader
from pyd_guest.snapshots.unpacking import reserve_bytes

_MEMBERS_MAX = 20_000
_HOPS_MAX = 10


class Archive:
    """The members of one archive; leaving the context removes those that were not published."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._members: dict[bytes, Ingest] = {}
        self._links: dict[bytes, bytes] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def read(self, file: Readable) -> None:
        """Spool the whole archive, compressed or not."""
        reader = TarReader(chunks(file))
        count = 0
        room = self._room()
        for entry in reader:
            count += 1
            if count > _MEMBERS_MAX:
                raise InvalidRequestError(f"archive with more than {_MEMBERS_MAX} members")
            if entry.extents is not None:
                raise InvalidRequestError("sparse member in an image archive")
            name = clean(entry.name)
            if entry.kind == REGULAR:
                room -= entry.size
                if room < 0:
                    raise InternalError("not enough free space for the archive")
                self._spool(name, reader)
            elif entry.kind == SYMBOLIC_LINK:
                head = b"" if entry.link.startswith(b"/") else name.rpartition(b"/")[0]
                self._links[name] = clean(head + b"/" + entry.link)
            elif entry.kind == HARD_LINK:
                self._links[name] = clean(entry.link)
            elif entry.kind != DIRECTORY:
                raise InvalidRequestError(f"device in an image archive: {_shown(name)}")
        if not count:
            raise InvalidRequestError("empty archive")

    def _room(self) -> int:
        return self._blobs.free() - reserve_bytes(self._blobs.root)

    def _spool(self, name: bytes, reader: TarReader) -> None:
        ingest = self._stack.enter_context(self._blobs.ingest())
        for piece in reader.payload():
            ingest.write(piece)
        ingest.seal()
        before = self._members.get(name)
        if before is not None and before.digest != ingest.digest:
            raise InvalidRequestError(f"{_shown(name)} is in the archive twice")
        self._members[name] = ingest

    def find(self, name: str) -> Ingest | None:
        """Return the member that ``name`` means, through links of the archive."""
        at = clean(os.fsencode(name))
        for _ in range(_HOPS_MAX):
            if (found := self._members.get(at)) is not None:
                return found
            if (target := self._follow(at)) is None:
                return None
            at = target
        return None

    def _follow(self, path: bytes) -> bytes | None:
        if path in self._links:
            return self._links[path]
        head = path
        while head:
            head, _, _ = head.rpartition(b"/")
            if head in self._links:
                return self._links[head] + path[len(head) :]
        return None

    def get(self, name: str) -> Ingest:
        """Return the member ``name``; raise InvalidRequestError if the archive lacks it."""
        found = self.find(name)
        if found is None:
            raise InvalidRequestError(f"the archive has no {name[:200]!r}")
        return found


def _shown(name: bytes) -> str:
    return repr(name[:200].decode("utf-8", "backslashreplace"))
