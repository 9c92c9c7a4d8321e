"""The images of one engine: rows, names, and the one place where an image is added.

Tables ``images``, ``tags`` and ``repo_digests`` (state/migrations.py). An image is reachable once
its row is committed, and by then everything it needs is on disk: blobs and layers are written and
synced first, renamed second, the rows come last. The reverse at removal. What a killed daemon
leaves has no row, and `recover` removes it.
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import Protocol

from pyd_api.digest import DIGEST_PATTERN, ChainID, Digest
from pyd_api.errors import InvalidRequestError, NotFoundError, PydError
from pyd_api.ids import ImageId
from pyd_api.reference import Reference
from pyd_guest.content.store import BlobStore, Ingest
from pyd_guest.images.documents import CONFIG_MAX
from pyd_guest.images.model import Image, ImageConfig, parse_config
from pyd_guest.snapshots.layers import Layer, Staged
from pyd_guest.snapshots.overlay import Snapshots
from pyd_guest.state.database import Database

_HEX_ID = re.compile(r"(?:sha256:)?[0-9a-f]{1,64}")
_HEX_64 = re.compile(r"[0-9a-f]{64}")
_CACHED_CONFIGS = 256


class Publish(Protocol):
    """Where events go."""

    def __call__(
        self, kind: str, action: str, actor_id: str, attributes: Mapping[str, str], /
    ) -> None:
        """Tell whoever listens."""


@dataclass(frozen=True, slots=True)
class NewImage:
    """An image whose parts are staged and that a commit makes reachable."""

    config_data: bytes
    config: ImageConfig
    id: ImageId
    tags: tuple[Reference, ...] = ()
    repo_digests: tuple[Reference, ...] = ()
    manifest: Digest | None = None


@dataclass(slots=True)
class Parts:
    """What a commit publishes along with the images: layers and blobs, all of them new."""

    layers: list[Staged] = field(default_factory=list)
    blobs: list[Ingest] = field(default_factory=list)


class Images:
    """The image store; safe to use from many threads."""

    def __init__(
        self, db: Database, blobs: BlobStore, snapshots: Snapshots, publish: Publish
    ) -> None:
        self.db = db
        self.blobs = blobs
        self.snapshots = snapshots
        self.publish = publish
        self.changing = Lock()  # one commit or removal at a time
        self._configs: dict[ImageId, ImageConfig] = {}
        self._spare: set[Digest] = set()  # blobs of pulls that failed later on
        snapshots.on_release(self._released)

    def recover(self) -> None:
        """Remove what an earlier daemon left half-done (at start only)."""
        self.snapshots.recover()
        self.collect()
        live = self.snapshots.layers.blobs()
        for config, manifest in self.db.query("SELECT config_digest, manifest_digest FROM images"):
            live |= {Digest(d) for d in (config, manifest) if d is not None}
        self.blobs.recover(live)

    def get(self, name_or_id: str) -> Image:
        """Find an image by name, digest, id or the beginning of an id.

        Raises NotFoundError, or InvalidRequestError for what cannot be a name, in dockerd's words.
        """
        return self.by_id(self.find_id(name_or_id))

    def find_id(self, name_or_id: str) -> ImageId:
        """Do the search of `get` only."""
        whole = f"sha256:{name_or_id}" if _HEX_64.fullmatch(name_or_id) else name_or_id
        if DIGEST_PATTERN.fullmatch(whole):
            if self.db.query("SELECT 1 FROM images WHERE id = ?", whole):
                return ImageId(whole)
            raise NotFoundError(f"No such image: {whole}")
        reference = Reference.parse(name_or_id)
        found = self._named(reference)
        if found is None and _HEX_ID.fullmatch(name_or_id):
            found = self._prefixed(name_or_id.removeprefix("sha256:"))
        if found is None:
            raise NotFoundError(f"No such image: {reference.familiar}")
        return found

    def _named(self, reference: Reference) -> ImageId | None:
        if reference.digest is not None:
            name = f"{reference.name}@{reference.digest}"
            rows = self.db.query("SELECT image_id FROM repo_digests WHERE reference = ?", name)
        else:
            rows = self.db.query("SELECT image_id FROM tags WHERE reference = ?", str(reference))
        return ImageId(rows[0][0]) if rows else None

    def _prefixed(self, prefix: str) -> ImageId | None:
        low = f"sha256:{prefix}"
        rows = self.db.query(
            "SELECT id FROM images WHERE id >= ? AND id < ? LIMIT 2", low, low + "g"
        )
        return ImageId(rows[0][0]) if len(rows) == 1 else None

    def tag_owner(self, reference: Reference) -> ImageId | None:
        """Return the image that a tag names, if any."""
        return self._named(reference)

    def by_id(self, image: ImageId) -> Image:
        """Return the image with exactly that id."""
        rows = self.db.query("SELECT top_chain_id, size FROM images WHERE id = ?", image)
        if not rows:
            raise NotFoundError(f"No such image: {image}")
        top, size = rows[0]
        return Image(image, self.config(image), ChainID(top) if top else None, int(size))

    def find(self, image: ImageId) -> Image | None:
        """Return the image with exactly that id, or None if it is gone."""
        try:
            return self.by_id(image)
        except NotFoundError:
            return None

    def config(self, image: ImageId) -> ImageConfig:
        """Return the parsed config, remembered from the last time."""
        config = self._configs.get(image)
        if config is None:
            config = parse_config(self.blobs.read(Digest(image), limit=CONFIG_MAX))
            if len(self._configs) >= _CACHED_CONFIGS:
                self._configs.clear()
            self._configs[image] = config
        return config

    def ids(self) -> list[tuple[ImageId, float]]:
        """List the ids with the time each was added, oldest first."""
        rows = self.db.query("SELECT id, created_at FROM images ORDER BY created_at, id")
        return [(ImageId(row[0]), float(row[1])) for row in rows]

    def references(self, image: ImageId) -> tuple[list[Reference], list[Reference]]:
        """List the tags and the repository digests of an image, sorted."""
        tags = self.db.query(
            "SELECT reference FROM tags WHERE image_id = ? ORDER BY reference", image
        )
        digests = self.db.query(
            "SELECT reference FROM repo_digests WHERE image_id = ? ORDER BY reference", image
        )
        return [Reference.parse(r[0]) for r in tags], [Reference.parse(r[0]) for r in digests]

    def tag(self, name_or_id: str, repository: str, tag: str) -> None:
        """Give the image another name, taken away from whichever image had it."""
        image = self.find_id(name_or_id)
        if not repository:
            return  # dockerd answers 201 and does nothing
        reference = tag_reference(repository, tag)
        with self.changing, self.db.transaction() as connection:
            if connection.execute("SELECT 1 FROM images WHERE id = ?", (image,)).fetchone() is None:
                raise NotFoundError(f"No such image: {name_or_id}")
            connection.execute("INSERT OR REPLACE INTO tags VALUES (?, ?)", (str(reference), image))
        self.announce("tag", image, reference.familiar)

    def announce(self, action: str, image: ImageId, name: str) -> None:
        """Publish an event about an image that is here, its labels included."""
        self.publish("image", action, image, {**(self.config(image).labels or {}), "name": name})

    @contextmanager
    def claim(self, chains: Sequence[ChainID]) -> Iterator[frozenset[ChainID]]:
        """Keep others from removing or making ``chains``; yield those the caller has to make."""
        with self.snapshots.claims.hold(chains, self.snapshots.layers.has) as missing:
            yield missing

    def commit(self, images: Sequence[NewImage], parts: Parts) -> None:
        """Make ``images`` reachable, all of them or none, durably.

        The claims on their layers are the caller's. Raises OSError when the disk fails.
        """
        layers = self.snapshots.layers
        with ExitStack() as undo, self.changing:
            for image in images:
                if not self.blobs.has(Digest(image.id)):
                    ingest = undo.enter_context(self.blobs.ingest())
                    ingest.write(image.config_data)
                    parts.blobs.append(ingest)
            self._sync(parts)
            undo.callback(self._forget_blobs, [ingest.digest for ingest in parts.blobs])
            self.blobs.publish(parts.blobs)
            layers.place(parts.layers)
            undo.callback(layers.displace, parts.layers)
            replaced = self._insert(images, parts)
            undo.pop_all()
        for staged in parts.layers:
            self.snapshots.forget(staged.layer.chain_id)
        for short in replaced:
            layers.drop(short)
        for image in images:
            self._configs[image.id] = image.config
            # The images are there; what fails here is tried again by the first container.
            with suppress(OSError, PydError):
                self.snapshots.warm(image.config.top)

    def _sync(self, parts: Parts) -> None:
        if parts.layers:
            self.snapshots.sync()
            if self.blobs.device != self.snapshots.device:
                self.blobs.sync()
        else:
            for ingest in parts.blobs:
                ingest.sync()

    def _insert(self, images: Sequence[NewImage], parts: Parts) -> list[str]:
        """Write the rows; return the places of damaged layers that were made again."""
        layers = self.snapshots.layers
        with self.db.transaction() as connection:
            replaced = layers.insert(connection, parts.layers)
            for image in images:
                top = image.config.top
                size = layers.total_size(connection, top)
                connection.execute(
                    """INSERT INTO images
                    (id, config_digest, manifest_digest, top_chain_id, size, created_at)
                    VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING""",
                    (image.id, image.id, image.manifest, top, size, time.time()),
                )
                for tag in image.tags:
                    connection.execute(
                        "INSERT OR REPLACE INTO tags VALUES (?, ?)", (str(tag), image.id)
                    )
                for digest in image.repo_digests:
                    connection.execute(
                        "INSERT OR REPLACE INTO repo_digests VALUES (?, ?)", (str(digest), image.id)
                    )
        return replaced

    def _forget_blobs(self, digests: Sequence[Digest]) -> None:
        for digest in digests:
            self.blobs.remove(digest)

    def keep(self, ingests: Sequence[Ingest]) -> None:
        """Publish whole blobs of a pull that failed, for the next try; `collect` removes them."""
        with self.changing:
            for ingest in ingests:
                ingest.sync()
            self.blobs.publish(ingests)
            self._spare |= {ingest.digest for ingest in ingests}

    def collect(self) -> list[Layer]:
        """Remove layers that no image, snapshot or claim needs, and their blobs; topmost first."""
        layers = self.snapshots.layers
        with self.snapshots.claims.unused() as unused, self.db.transaction() as connection:
            rows = connection.execute("SELECT DISTINCT top_chain_id FROM images").fetchall()
            keep = {ChainID(row[0]) for row in rows if row[0] is not None}
            keep |= self.snapshots.parents()
            keep |= {chain for chain in layers.chains(connection) if not unused(chain)}
            gone = layers.delete(connection, keep)
        for layer, short in gone:
            self.snapshots.forget(layer.chain_id)
            layers.drop(short)
        dead = {layer.blob for layer, _ in gone if layer.blob is not None} | self._spare
        self._spare.clear()
        if dead:
            for digest in dead - layers.blobs():
                self.blobs.remove(digest)
        return [layer for layer, _ in gone]

    def forget(self, image: ImageId, *, manifest: str | None) -> None:
        """Drop what belongs to a deleted image alone: its config and its manifest."""
        self._configs.pop(image, None)
        self.blobs.remove(Digest(image))
        if manifest is not None:
            self.blobs.remove(Digest(manifest))

    def _released(self, chain: ChainID) -> None:
        """Note that a snapshot over ``chain`` is gone; its layers may be nobody's now."""
        if not self.db.query("SELECT 1 FROM images WHERE top_chain_id = ?", chain):
            with self.changing:
                self.collect()


def tag_reference(repository: str, tag: str) -> Reference:
    """Read the two halves of a tag request, in dockerd's words."""
    if _HEX_64.fullmatch(repository):
        raise InvalidRequestError(
            f"invalid repository name ({repository}), cannot specify 64-byte hexadecimal strings"
        )
    reference = Reference.parse(repository)
    if reference.digest is not None:
        raise InvalidRequestError("refusing to create a tag with a digest reference")
    if tag:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", tag):
            raise InvalidRequestError("invalid tag format")
        reference = reference.with_tag(tag)
    return reference
