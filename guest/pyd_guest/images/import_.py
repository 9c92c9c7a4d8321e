"""``docker import``: an image of one layer from a file system archive."""

from collections.abc import Iterable
from datetime import UTC, datetime

from pyd_api.errors import InternalError, InvalidRequestError
from pyd_guest.images.changes import apply_changes
from pyd_guest.images.flat import add_flat
from pyd_guest.images.platform import Platform
from pyd_guest.images.progress import Progress
from pyd_guest.images.store import Images, tag_reference
from pyd_guest.snapshots.decompress import Readable
from pyd_guest.snapshots.unpacking import reserve_bytes

_READ = 1 << 20
_CHECK_EVERY = 64 << 20
_DEFAULT_MESSAGE = "Imported from -"


def import_archive(
    images: Images,
    file: Readable,
    progress: Progress,
    *,
    repository: str = "",
    tag: str = "",
    message: str = "",
    changes: Iterable[str] = (),
    platform: Platform | None = None,
) -> None:
    """Make an image of ``file``, a tar archive, compressed or not; report its id."""
    config = apply_changes(changes)
    tags = (tag_reference(repository, tag),) if repository else ()
    comment = message or _DEFAULT_MESSAGE
    with images.blobs.ingest() as ingest:
        unchecked = 0
        while data := file.read(_READ):
            unchecked += len(data)
            if unchecked >= _CHECK_EVERY:
                unchecked = 0
                if images.blobs.free() < reserve_bytes(images.blobs.root):
                    raise InternalError("not enough free space for the archive")
            ingest.write(data)
        if not ingest.size:
            raise InvalidRequestError("the archive is empty")
        image = add_flat(
            images,
            ingest,
            config=config,
            created=now(),
            comment=comment,
            tags=tags,
            platform=platform,
        )
    images.announce("import", image, image)
    progress({"status": image})


def now() -> str:
    """Write the present time as image configs do."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
