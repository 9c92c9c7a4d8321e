"""Take names from images, and delete images that have none left: dockerd's rules and words.

A name given: that name goes; the image goes too if it was the last one and nothing stands against
it. An id given: the image goes with all its names, if they are in one repository or with force.
Running containers keep their image always, stopped ones unless forced.
"""

from collections.abc import Sequence
from typing import Protocol

from pyd_api.errors import ConflictError, NotFoundError
from pyd_api.ids import ContainerId, ImageId, short_id
from pyd_api.reference import Reference
from pyd_guest.images.store import Images

Records = list[dict[str, str]]


class Users(Protocol):
    """Who uses an image; the engine knows."""

    def using(self, image: ImageId, /) -> Sequence[tuple[ContainerId, bool]]:
        """List the containers made from ``image`` and whether each is running."""


def remove(images: Images, users: Users, name_or_id: str, *, force: bool = False) -> Records:
    """Remove a name or an image; return what dockerd answers.

    Raises NotFoundError and ConflictError in dockerd's words.
    """
    with images.changing:
        image = images.find_id(name_or_id)
        records: Records = []
        tags, digests = images.references(image)
        if _is_id(image, name_or_id):
            if _in_one_repository(tags, digests):
                _check(images, users, image, force=force, names_count=False)
                _untag(images, image, [*tags, *digests], records)
            by_name = False
        else:
            _untag_name(images, users, image, name_or_id, force=force, records=records)
            if any(images.references(image)):
                return records
            by_name = True
        _delete(images, users, image, force=force, by_name=by_name, records=records)
        return records


def _is_id(image: ImageId, text: str) -> bool:
    return image.startswith(text) or image.removeprefix("sha256:").startswith(text)


def _in_one_repository(tags: Sequence[Reference], digests: Sequence[Reference]) -> bool:
    return len(tags) <= 1 and len({reference.name for reference in (*tags, *digests)}) <= 1


def _untag_name(
    images: Images, users: Users, image: ImageId, name: str, *, force: bool, records: Records
) -> None:
    tags, digests = images.references(image)
    given = Reference.parse(name)
    if given.digest is not None and given.tag is not None:
        given = Reference(given.domain, given.path, None, given.digest)
    if not force and _in_one_repository(tags, digests):
        for container, _ in users.using(image):
            raise ConflictError(
                f'conflict: unable to remove repository reference "{name}" (must force) - '
                f"container {short_id(container)} is using its referenced image {short_id(image)}"
            )
    going = [given]
    if given.digest is None and not any(t.name == given.name and t != given for t in tags):
        # The last tag of a repository takes the repository's digests along.
        going += [digest for digest in digests if digest.name == given.name]
    _untag(images, image, going, records)


def _untag(
    images: Images, image: ImageId, references: Sequence[Reference], records: Records
) -> None:
    with images.db.transaction() as connection:
        for reference in references:
            connection.execute("DELETE FROM tags WHERE reference = ?", (str(reference),))
            connection.execute("DELETE FROM repo_digests WHERE reference = ?", (str(reference),))
    for reference in references:
        records.append({"Untagged": reference.familiar})
        images.announce("untag", image, image)


def _check(images: Images, users: Users, image: ImageId, *, force: bool, names_count: bool) -> None:
    """Raise ConflictError for whatever stands against the deletion."""
    using = users.using(image)
    for container, running in using:
        if running:
            raise _conflict(
                image, f"image is being used by running container {short_id(container)}", hard=True
            )
    if force:
        return
    if names_count and any(images.references(image)):
        raise _conflict(image, "image is referenced in multiple repositories")
    for container, _ in using:
        raise _conflict(image, f"image is being used by stopped container {short_id(container)}")


def _conflict(image: ImageId, reason: str, *, hard: bool = False) -> ConflictError:
    force = "cannot be forced" if hard else "must be forced"
    return ConflictError(f"conflict: unable to delete {short_id(image)} ({force}) - {reason}")


def _delete(
    images: Images, users: Users, image: ImageId, *, force: bool, by_name: bool, records: Records
) -> None:
    try:
        _check(images, users, image, force=force, names_count=True)
    except ConflictError:
        if by_name:
            return  # the name is gone, as asked; the image stays for its containers
        raise
    tags, digests = images.references(image)
    if tags or digests:
        _untag(images, image, [*tags, *digests], records)
    with images.db.transaction() as connection:
        row = connection.execute(
            "SELECT manifest_digest FROM images WHERE id = ?", (image,)
        ).fetchone()
        if row is None:
            raise NotFoundError(f"No such image: {image}")
        connection.execute("DELETE FROM images WHERE id = ?", (image,))
    images.publish("image", "delete", image, {"name": image})
    records.append({"Deleted": image})
    records += [{"Deleted": layer.chain_id} for layer in images.collect()]
    images.forget(image, manifest=row[0])
