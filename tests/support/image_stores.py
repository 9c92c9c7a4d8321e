"""A store on a directory of the test, put together as the daemon does."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pyd_api.ids import ContainerId, ImageId
from pyd_guest.content.store import BlobStore
from pyd_guest.images.store import Images
from pyd_guest.linux.mount import mount_points, unmount
from pyd_guest.snapshots.overlay import Snapshots
from pyd_guest.state.database import Database


class Events:
    """Remembers what was published."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []
        self.attributes: list[Mapping[str, str]] = []

    def __call__(
        self, kind: str, action: str, actor_id: str, attributes: Mapping[str, str], /
    ) -> None:
        self.seen.append((kind, action, actor_id))
        self.attributes.append(attributes)


class Users:
    """Containers that use images, as the test says."""

    def __init__(self) -> None:
        self.of: dict[ImageId, list[tuple[ContainerId, bool]]] = {}

    def using(self, image: ImageId, /) -> Sequence[tuple[ContainerId, bool]]:
        return self.of.get(image, [])


@contextmanager
def opened(root: Path, events: Events | None = None) -> Iterator[Images]:
    """Open the store below ``root``, recovered as at a daemon's start; unmount all at the end."""
    root.mkdir(exist_ok=True)
    db = Database(root / "state.db")
    snapshots = Snapshots(root / "snapshots", db)
    images = Images(db, BlobStore(root / "content"), snapshots, events or Events())
    try:
        images.recover()
        yield images
    finally:
        for point in mount_points(root):
            unmount(point, detach=True)
        snapshots.close()
        db.close()


def inventory(root: Path) -> list[str]:
    """List what the store holds, but for the database and what is inside layers."""
    found = []
    for place in (
        "content/ingest",
        "content/blobs/sha256",
        "snapshots/layers",
        "snapshots/active",
        "snapshots/temp",
    ):
        found += [f"{place}/{path.name}" for path in (root / place).iterdir()]
    return sorted(found)
