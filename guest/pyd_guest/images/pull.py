"""``docker pull``: an image from a registry, its layers fetched and unpacked side by side.

Manifest, then config, then the layers that are missing: three downloads at once, each unpacked as
soon as it is whole and verified, everything committed at the end. A failed pull keeps the layers
that are whole, so that the next one need not fetch them.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from pyd_api.digest import ChainID, DiffID, Digest, digest_of
from pyd_api.errors import InternalError, InvalidRequestError, PydError
from pyd_api.ids import ImageId, short_id
from pyd_api.reference import Reference
from pyd_guest.content.store import Ingest
from pyd_guest.images.documents import CONFIG_MAX, Descriptor, Index, Manifest, parse_manifest
from pyd_guest.images.model import ImageConfig, image_id, parse_config
from pyd_guest.images.platform import Platform
from pyd_guest.images.progress import Bar, Progress, status
from pyd_guest.images.store import Images, NewImage, Parts
from pyd_guest.images.wire import check_platform
from pyd_guest.registry.client import Document, Repository
from pyd_guest.registry.credentials import Credentials
from pyd_guest.registry.fetch import fetch
from pyd_guest.snapshots.layers import Staged
from pyd_guest.snapshots.unpacking import Batch

_DOWNLOADS = 3  # as dockerd's max-concurrent-downloads
_INDEX_DEPTH = 2


@dataclass(frozen=True, slots=True)
class _Layer:
    """One layer that has to be fetched."""

    descriptor: Descriptor
    diff_id: DiffID
    parent: ChainID | None
    chain: ChainID

    @property
    def shown(self) -> str:
        return short_id(self.descriptor.digest)


def pull(
    images: Images,
    reference: Reference,
    progress: Progress,
    *,
    credentials: Credentials | None = None,
    platform: Platform | None = None,
) -> None:
    """Make ``reference`` of its registry an image here; nothing is changed by a failure.

    Raises NotFoundError, UnauthorizedError, InvalidRequestError (what the registry sends is bad)
    and InternalError (it cannot be reached, or the disk fails), in dockerd's words if it has some.
    """
    repository = Repository(reference, credentials)
    try:
        wanted = reference.digest or reference.tag or "latest"
        top = repository.manifest(wanted)
        own, manifest = _choose(repository, top, platform or Platform.host())
        progress({"status": f"Pulling from {reference.path}", "id": wanted})
        config_data = _config(repository, manifest.config)
        config = parse_config(config_data)
        _check(config, manifest)
        new = NewImage(
            config_data,
            config,
            image_id(config_data),
            () if reference.digest else (reference,),
            (Reference(reference.domain, reference.path, None, top.digest),),
            own.digest,
        )
        changed = _changes(images, new, reference)
        _fetch_all(images, repository, new, manifest, own, progress)
    finally:
        repository.close()
    _report(images, new, reference, progress, changed=changed, platform=platform)


def _choose(repository: Repository, top: Document, platform: Platform) -> tuple[Document, Manifest]:
    """Go from what the tag names to the manifest for ``platform``."""
    document = top
    for _ in range(_INDEX_DEPTH + 1):
        manifest = parse_manifest(document.data, document.media_type)
        if isinstance(manifest, Manifest):
            return document, manifest
        document = _below(repository, manifest, platform)
    raise InvalidRequestError("invalid manifest: indexes nested too deeply")


def _below(repository: Repository, index: Index, platform: Platform) -> Document:
    chosen = platform.choose(index.manifests)
    document = repository.manifest(chosen.digest)
    if len(document.data) != chosen.size:
        raise InvalidRequestError(
            f"{chosen.digest} has {len(document.data)} bytes, {chosen.size} were announced"
        )
    return document


def _config(repository: Repository, descriptor: Descriptor) -> bytes:
    if descriptor.size > CONFIG_MAX:
        raise InvalidRequestError(f"image config is larger than {CONFIG_MAX} bytes")
    data = repository.blob(descriptor.digest).read_all(CONFIG_MAX)
    if digest_of(data) != descriptor.digest or len(data) != descriptor.size:
        raise InvalidRequestError(
            f"image config verification failed for digest {descriptor.digest}"
        )
    return data


def _check(config: ImageConfig, manifest: Manifest) -> None:
    if len(config.diff_ids) != len(manifest.layers):
        raise InvalidRequestError(
            f"invalid manifest: {len(manifest.layers)} layers, the config has "
            f"{len(config.diff_ids)}"
        )
    if config.os not in ("linux", ""):
        raise InvalidRequestError(
            f'image operating system "{config.os[:40]}" cannot be used on this platform: '
            "operating system is not supported"
        )


def _changes(images: Images, new: NewImage, reference: Reference) -> bool:
    """Tell whether the pull will make the name mean something else than now."""
    if reference.digest is not None:
        return images.find(new.id) is None
    return images.tag_owner(reference) != new.id


class _Downloads:
    """The layers of one pull on their way; the first failure ends all of them."""

    def __init__(
        self, images: Images, repository: Repository, batch: Batch, progress: Progress
    ) -> None:
        self._images = images
        self._repository = repository
        self._batch = batch
        self._send = progress
        self._lock = Lock()
        self._cause: BaseException | None = None
        self._whole: list[Ingest] = []
        self.stack = ExitStack()

    def tell(self, message: Mapping[str, object], /) -> None:
        """Send a message from any thread, until one fails."""
        with self._lock:
            if self._cause is not None:
                raise InternalError("the pull was given up")
            self._send(message)

    def run(self, layers: Sequence[_Layer]) -> list[Staged]:
        """Fetch and unpack ``layers``; return them in the same order."""
        groups: dict[Digest, list[_Layer]] = {}
        for layer in layers:
            groups.setdefault(layer.descriptor.digest, []).append(layer)
        with ThreadPoolExecutor(_DOWNLOADS, thread_name_prefix="pull") as pool:
            jobs = [pool.submit(self._bring, group) for group in groups.values()]
            for layer in layers[_DOWNLOADS:]:
                self.tell(status("Waiting", layer.shown))
            unpacked = dict(pair for job in jobs for pair in job.result())
        found = [unpacked[layer.chain].result() for layer in layers]
        if self._cause is not None:
            raise self._cause
        return found

    def _bring(self, group: Sequence[_Layer]) -> "list[tuple[ChainID, Future[Staged]]]":
        """Fetch one blob and have it unpacked wherever the image has it."""
        try:
            path = self._fetch(group[0])
            return [(layer.chain, self._unpack(layer, path)) for layer in group]
        except BaseException as error:
            self.fail(error)
            raise

    def _fetch(self, layer: _Layer) -> Path:
        digest, size = layer.descriptor.digest, layer.descriptor.size
        if self._images.blobs.has(digest):
            self.tell(status("Download complete", layer.shown))
            return self._images.blobs.path(digest)
        with self._lock:
            ingest = self.stack.enter_context(self._images.blobs.ingest())
        fetch(self._repository, digest, size, ingest, self._bar("Downloading", layer))
        ingest.seal()
        self.tell(status("Verifying Checksum", layer.shown))
        self.tell(status("Download complete", layer.shown))
        self._whole.append(ingest)
        return ingest.path

    def _unpack(self, layer: _Layer, path: Path) -> "Future[Staged]":
        job = self._batch.submit(
            path,
            digest=layer.descriptor.digest,
            diff_id=layer.diff_id,
            parent=layer.parent,
            progress=self._bar("Extracting", layer),
        )
        job.add_done_callback(lambda done: self._unpacked(layer, done))
        return job

    def _unpacked(self, layer: _Layer, job: "Future[Staged]") -> None:
        if job.cancelled():
            return
        error = job.exception()
        if error is not None:
            self.fail(error)
            return
        try:
            self.tell(status("Pull complete", layer.shown))
        except PydError as refusal:  # nobody listens any more
            self.fail(refusal)

    def _bar(self, text: str, layer: _Layer) -> Bar:
        return Bar(self.tell, text, layer.shown, layer.descriptor.size)

    def fail(self, error: BaseException) -> None:
        """Note why the pull ends, and make all its threads end soon."""
        with self._lock:
            if self._cause is not None:
                return
            self._cause = error
        self._repository.close()

    @property
    def whole(self) -> list[Ingest]:
        """The blobs that were fetched and verified."""
        return list(self._whole)

    @property
    def cause(self) -> BaseException | None:
        """The first failure, of which the others are consequences."""
        return self._cause


def _fetch_all(
    images: Images,
    repository: Repository,
    new: NewImage,
    manifest: Manifest,
    own: Document,
    progress: Progress,
) -> None:
    """Fetch and unpack what is missing, then commit the image."""
    with images.claim(new.config.chain_ids) as missing, images.snapshots.unpacking() as batch:
        downloads = _Downloads(images, repository, batch, progress)
        with downloads.stack:
            layers = _missing(new.config, manifest, missing, downloads.tell)
            staged = _run(images, downloads, layers)
            blobs = downloads.whole
            if not images.blobs.has(own.digest):
                ingest = downloads.stack.enter_context(images.blobs.ingest())
                ingest.write(own.data)
                blobs.append(ingest)
            images.commit([new], Parts(staged, blobs))


def _missing(
    config: ImageConfig,
    manifest: Manifest,
    missing: frozenset[ChainID],
    tell: Callable[[Mapping[str, object]], None],
) -> list[_Layer]:
    layers = []
    parent: ChainID | None = None
    for descriptor, diff_id, chain in zip(
        manifest.layers, config.diff_ids, config.chain_ids, strict=True
    ):
        layer = _Layer(descriptor, diff_id, parent, chain)
        if chain in missing:
            layers.append(layer)
            tell(status("Pulling fs layer", layer.shown))
        else:
            tell(status("Already exists", layer.shown))
        parent = chain
    return layers


def _run(images: Images, downloads: _Downloads, layers: Sequence[_Layer]) -> list[Staged]:
    try:
        return downloads.run(layers)
    except (PydError, OSError) as error:
        downloads.fail(error)
        cause = downloads.cause or error
        if isinstance(cause, PydError):
            images.keep(downloads.whole)
        raise cause from None


def _report(
    images: Images,
    new: NewImage,
    reference: Reference,
    progress: Progress,
    *,
    changed: bool,
    platform: Platform | None,
) -> None:
    images.publish(
        "image",
        "pull",
        reference.familiar,
        {**(new.config.labels or {}), "name": reference.familiar_name},
    )
    progress({"status": f"Digest: {new.repo_digests[0].digest}"})
    what = "Downloaded newer image" if changed else "Image is up to date"
    progress({"status": f"Status: {what} for {reference.familiar}"})
    if platform is not None:
        try:
            check_platform(images.by_id(ImageId(new.id)), reference.familiar, platform)
        except PydError as error:
            progress({"status": f"WARNING: {error.message}"})
