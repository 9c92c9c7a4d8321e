"""``docker load``: images out of an archive, all of them or none.

Two forms: docker-archive (``manifest.json``; what ``docker save`` writes, since Docker 25 with an
OCI layout beside it, which is then ignored as dockerd does) and OCI image layout
(``index.json``). Layers that the store has are not unpacked again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pyd_api.digest import DIGEST_PATTERN, ChainID, Digest
from pyd_api.errors import InvalidRequestError
from pyd_api.ids import ImageId, short_id
from pyd_api.reference import Reference
from pyd_guest.content.store import Ingest
from pyd_guest.images.archive import Archive
from pyd_guest.images.documents import (
    CONFIG_MAX,
    MANIFEST_MAX,
    Descriptor,
    Index,
    parse_json,
    parse_manifest,
)
from pyd_guest.images.model import ImageConfig, image_id, parse_config
from pyd_guest.images.platform import Platform
from pyd_guest.images.progress import Bar, Progress
from pyd_guest.images.store import Images, NewImage, Parts
from pyd_guest.snapshots.decompress import Readable

_NAME = "io.containerd.image.name"
_REF_NAME = "org.opencontainers.image.ref.name"
_INDEX_DEPTH = 3


@dataclass(frozen=True, slots=True)
class _Found:
    """One image of the archive."""

    config_data: bytes
    config: ImageConfig
    layers: tuple[Ingest, ...]
    tags: tuple[Reference, ...]
    manifest: Ingest | None = None


def load(
    images: Images,
    file: Readable,
    progress: Progress,
    *,
    quiet: bool = True,
    platform: Platform | None = None,
) -> None:
    """Load every image of the archive ``file`` and report each name.

    Raises InvalidRequestError for a bad archive; then nothing was loaded.
    """
    with Archive(images.blobs) as archive:
        archive.read(file)
        found = list(_images(archive, platform or Platform.host()))
        if not found:
            raise InvalidRequestError("the archive has no image")
        moved = _commit(images, found, None if quiet else progress)
    for message in _report(images, found, moved):
        progress({"stream": message + "\n"})


def _commit(
    images: Images, found: Sequence[_Found], progress: Progress | None
) -> dict[str, ImageId]:
    """Unpack and commit; return the tags that other images had, with their ids."""
    chains = list(dict.fromkeys(chain for one in found for chain in one.config.chain_ids))
    with images.claim(chains) as missing, images.snapshots.unpacking() as batch:
        blobs: dict[Digest, Ingest] = {}
        jobs = []
        submitted: set[ChainID] = set()
        for one in found:
            parent: ChainID | None = None
            parts = zip(one.config.diff_ids, one.config.chain_ids, one.layers, strict=True)
            for diff_id, chain, ingest in parts:
                if chain in missing and chain not in submitted:
                    submitted.add(chain)
                    blobs[ingest.digest] = ingest
                    jobs.append(
                        batch.submit(
                            ingest.path,
                            digest=ingest.digest,
                            diff_id=diff_id,
                            parent=parent,
                            progress=_bar(progress, diff_id, ingest.size),
                        )
                    )
                parent = chain
        staged = [job.result() for job in jobs]
        blobs |= {one.manifest.digest: one.manifest for one in found if one.manifest is not None}
        new = [_new(one) for one in found]
        moved = {
            str(tag): owner
            for image in new
            for tag in image.tags
            if (owner := images.tag_owner(tag)) is not None and owner != image.id
        }
        images.commit(new, Parts(staged, list(blobs.values())))
    return moved


def _new(one: _Found) -> NewImage:
    return NewImage(
        one.config_data,
        one.config,
        image_id(one.config_data),
        one.tags,
        manifest=one.manifest.digest if one.manifest is not None else None,
    )


class _Silent:
    def __call__(self, current: int) -> None:
        """Draw nothing."""


def _bar(progress: Progress | None, diff_id: str, size: int) -> Bar | _Silent:
    return Bar(progress, "Loading layer", short_id(diff_id), size) if progress else _Silent()


def _report(images: Images, found: Sequence[_Found], moved: dict[str, ImageId]) -> Iterator[str]:
    for one in found:
        image = image_id(one.config_data)
        images.announce("load", image, image)
        for tag in one.tags:
            if (old := moved.get(str(tag))) is not None:
                yield (
                    f"The image {tag.familiar} already exists, "
                    f"renaming the old one with ID {old} to empty string"
                )
            yield f"Loaded image: {tag.familiar}"
        if not one.tags:
            yield f"Loaded image ID: {image}"


def _images(archive: Archive, platform: Platform) -> Iterator[_Found]:
    if (manifest := archive.find("manifest.json")) is not None:
        yield from _docker_images(archive, manifest)
    elif (index := archive.find("index.json")) is not None:
        yield from _oci_images(archive, index, platform)
    else:
        raise InvalidRequestError(
            "not an image archive: it has neither manifest.json nor index.json"
        )


def _docker_images(archive: Archive, manifest: Ingest) -> Iterator[_Found]:
    entries = parse_json(manifest.read(limit=MANIFEST_MAX), "manifest.json")
    if not isinstance(entries, list):
        raise InvalidRequestError("invalid manifest.json: not a list")
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("Config"), str):
            raise InvalidRequestError("invalid manifest.json: an entry without Config")
        names, tags = _strings(entry, "Layers"), _strings(entry, "RepoTags")
        data = _named(archive, entry["Config"]).read(limit=CONFIG_MAX)
        yield _found(
            data,
            [_named(archive, name) for name in names],
            tuple(_tag(text) for text in tags),
        )


def _strings(entry: dict[str, object], key: str) -> list[str]:
    found = entry.get(key) or []
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise InvalidRequestError(f"invalid manifest.json: {key} is not a list of strings")
    return found


def _tag(text: str) -> Reference:
    reference = Reference.parse(text)
    if reference.tag is None or reference.digest is not None:
        raise InvalidRequestError(f"invalid tag {text[:200]!r}")
    return reference


def _named(archive: Archive, name: str) -> Ingest:
    """Find a member; one that is named by a digest must have it."""
    member = archive.get(name)
    directory, _, base = name.rpartition("/")
    if directory == "blobs/sha256" and DIGEST_PATTERN.fullmatch(f"sha256:{base}"):
        member.verify(Digest(f"sha256:{base}"))
    return member


def _found(
    config_data: bytes,
    layers: Sequence[Ingest],
    tags: tuple[Reference, ...],
    manifest: Ingest | None = None,
) -> _Found:
    config = parse_config(config_data)
    if len(layers) != len(config.diff_ids):
        raise InvalidRequestError(
            f"invalid manifest, layers length mismatch: expected {len(config.diff_ids)}, "
            f"got {len(layers)}"
        )
    return _Found(config_data, config, tuple(layers), tags, manifest)


def _oci_images(archive: Archive, index: Ingest, platform: Platform) -> Iterator[_Found]:
    document = parse_manifest(index.read(limit=MANIFEST_MAX))
    if not isinstance(document, Index):
        raise InvalidRequestError("invalid index.json: not an index")
    done: dict[Digest, _Found] = {}
    for descriptor in document.manifests:
        found = _oci_image(archive, descriptor, platform)
        known = done.get(image_id_digest := Digest(image_id(found.config_data)))
        tags = (*(known.tags if known else ()), *_oci_tags(descriptor))
        done[image_id_digest] = _Found(
            found.config_data, found.config, found.layers, tags, found.manifest
        )
    yield from done.values()


def _oci_image(archive: Archive, descriptor: Descriptor, platform: Platform) -> _Found:
    for _ in range(_INDEX_DEPTH):
        member = _blob(archive, descriptor)
        manifest = parse_manifest(member.read(limit=MANIFEST_MAX), descriptor.media_type)
        if not isinstance(manifest, Index):
            data = _blob(archive, manifest.config).read(limit=CONFIG_MAX)
            layers = [_blob(archive, layer) for layer in manifest.layers]
            return _found(data, layers, (), member)
        descriptor = platform.choose(manifest.manifests)
    raise InvalidRequestError("invalid index.json: indexes nested too deeply")


def _blob(archive: Archive, descriptor: Descriptor) -> Ingest:
    member = archive.get("blobs/" + descriptor.digest.replace(":", "/"))
    member.verify(descriptor.digest, descriptor.size)
    return member


def _oci_tags(descriptor: Descriptor) -> tuple[Reference, ...]:
    """Read the name that buildx, containerd or skopeo gave; a bare tag names no repository."""
    name = descriptor.annotations.get(_NAME)
    if name is None:
        name = descriptor.annotations.get(_REF_NAME, "")
        if ":" not in name and "/" not in name:
            return ()
    return (_tag(name),)
