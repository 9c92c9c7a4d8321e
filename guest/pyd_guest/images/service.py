"""The calls on images that the API offers, on one object: names and options in, wire shapes out."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from pyd_api.errors import InternalError, InvalidRequestError, UnsupportedError
from pyd_api.reference import Reference
from pyd_guest.images import import_, listing, load, removal, wire
from pyd_guest.images.platform import Platform
from pyd_guest.images.progress import Progress
from pyd_guest.images.store import Images, tag_reference
from pyd_guest.registry.credentials import Credentials
from pyd_guest.snapshots.decompress import Readable


@contextmanager
def _machine(what: str) -> Iterator[None]:
    """Turn a failing disk into a refusal that says so."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise InternalError(f"{what} failed: {reason or error}") from error


class ImageService:
    """All calls are synchronous and raise PydError to refuse."""

    def __init__(self, images: Images, users: removal.Users) -> None:
        self._images = images
        self._users = users

    def list(
        self, filters: Mapping[str, Sequence[str]], *, shared_size: bool
    ) -> list[dict[str, object]]:
        """List images, newest first."""
        return listing.list_images(self._images, filters, shared_size=shared_size)

    def inspect(self, name: str) -> dict[str, object]:
        """Describe one image."""
        return wire.inspect(self._images, name)

    def history(self, name: str) -> Sequence[dict[str, object]]:
        """List how an image came about."""
        return wire.history(self._images, name)

    def tag(self, name: str, repository: str, tag: str) -> None:
        """Give an image another name."""
        with _machine("tagging the image"):
            self._images.tag(name, repository, tag)

    def remove(self, name: str, *, force: bool) -> Sequence[dict[str, str]]:
        """Remove a name, and the image with its last one."""
        with _machine("removing the image"):
            return removal.remove(self._images, self._users, name, force=force)

    def load(self, file: Readable, progress: Progress, *, quiet: bool) -> None:
        """Load an archive of images."""
        with _machine("loading the archive"):
            load.load(self._images, file, progress, quiet=quiet)

    def import_archive(
        self,
        file: Readable,
        progress: Progress,
        *,
        repository: str,
        tag: str,
        message: str,
        changes: Sequence[str],
        platform: str | None,
    ) -> None:
        """Make an image of a file system archive."""
        with _machine("importing the archive"):
            import_.import_archive(
                self._images,
                file,
                progress,
                repository=repository,
                tag=tag,
                message=message,
                changes=changes,
                platform=Platform.parse(platform) if platform else None,
            )

    def pull(
        self, name: str, tag: str, progress: Progress, *, auth: str | None, platform: str | None
    ) -> None:
        """Get an image from its registry; ``auth`` is the X-Registry-Auth header."""
        # The http client and TLS are 5 MB that a daemon without a pull need not have (ADR 0003).
        from pyd_guest.images.pull import pull

        with _machine(f"pulling {name[:200]}"):
            pull(
                self._images,
                pull_reference(name, tag),
                progress,
                credentials=Credentials.parse(auth),
                platform=Platform.parse(platform) if platform else None,
            )


def pull_reference(name: str, tag: str) -> Reference:
    """Put the two halves of a pull request together; ``tag`` may also be a digest."""
    if not tag:
        reference = Reference.parse(name)
        if ":" not in name.rpartition("/")[2]:
            raise UnsupportedError("pulling all tags of a repository is not supported: name a tag")
        return reference
    if ":" in tag:
        return Reference.parse(f"{name.partition('@')[0]}@{tag}")
    reference = Reference.parse(name)
    if reference.digest is not None:
        raise InvalidRequestError("invalid reference format")
    return tag_reference(name, tag)
