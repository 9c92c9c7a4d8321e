"""``docker images``: the list, its filters and its order."""

from collections import Counter
from collections.abc import Mapping, Sequence

from pyd_api.digest import ChainID
from pyd_api.errors import InvalidRequestError
from pyd_api.ids import ImageId
from pyd_api.reference import Reference
from pyd_guest.images.model import Image
from pyd_guest.images.store import Images
from pyd_guest.images.wire import unix_time

FILTERS = ("before", "dangling", "label", "reference", "since")

_TRUE, _FALSE = ("1", "true"), ("0", "false")


def list_images(
    images: Images,
    filters: Mapping[str, Sequence[str]],
    *,
    shared_size: bool = False,
) -> list[dict[str, object]]:
    """List the images that pass ``filters``, newest first.

    Raises InvalidRequestError for a filter that is not in FILTERS or has a bad value.
    """
    for name in filters:
        if name not in FILTERS:
            raise InvalidRequestError(f"invalid filter '{name[:100]}'")
    dangling = _truth(filters.get("dangling", ()))
    before = [_created(images.get(name)) for name in filters.get("before", ())]
    since = [_created(images.get(name)) for name in filters.get("since", ())]
    found = []
    shared = _shared_sizes(images) if shared_size else {}
    for image_id, _ in images.ids():
        image = images.find(image_id)
        if image is None or not _has_labels(image, filters.get("label", ())):
            continue
        created = _created(image)
        if any(created >= limit for limit in before) or any(created <= limit for limit in since):
            continue
        tags, digests = images.references(image_id)
        if patterns := filters.get("reference"):
            tags = [tag for tag in tags if _matches(tag, patterns)]
            digests = [digest for digest in digests if _matches(digest, patterns)]
            if not tags and not digests:
                continue
        if dangling is not None and dangling == bool(tags or (digests and not dangling)):
            continue
        found.append(
            {
                "Containers": -1,
                "Created": created,
                "Id": image_id,
                "Labels": dict(image.config.labels) if image.config.labels else None,
                "ParentId": "",
                "RepoDigests": [digest.familiar for digest in digests],
                "RepoTags": [tag.familiar for tag in tags],
                "SharedSize": shared.get(image_id, 0) if shared_size else -1,
                "Size": image.size,
            }
        )
    found.sort(key=lambda summary: -_number(summary["Created"]))
    return found


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _created(image: Image) -> int:
    return unix_time(image.config.created)


def _truth(values: Sequence[str]) -> bool | None:
    if not values:
        return None
    words = {value.lower() for value in values}
    if words <= set(_TRUE):
        return True
    if words <= set(_FALSE):
        return False
    raise InvalidRequestError(f"invalid filter 'dangling=[{' '.join(values)[:100]}]'")


def _has_labels(image: Image, wanted: Sequence[str]) -> bool:
    labels = image.config.labels or {}
    for text in wanted:
        key, equals, value = text.partition("=")
        if key not in labels or (equals and labels[key] != value):
            return False
    return True


def _matches(reference: Reference, patterns: Sequence[str]) -> bool:
    names = (reference.familiar, reference.familiar_name)
    return any(glob(pattern, name) for pattern in patterns for name in names)


def glob(pattern: str, text: str) -> bool:
    """Match as Go's path.Match: ``*`` and ``?`` stay within one part between slashes.

    Character classes are not treated; quadratic time at worst.
    """
    patterns, parts = pattern.split("/"), text.split("/")
    return len(patterns) == len(parts) and all(map(_glob_part, patterns, parts))


def _glob_part(pattern: str, text: str) -> bool:
    at = here = 0
    star, retry = -1, 0
    while here < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, retry, at = at, here, at + 1
        elif at < len(pattern) and pattern[at] in ("?", text[here]):
            at, here = at + 1, here + 1
        elif star >= 0:  # only the last star ever needs to take more
            retry += 1
            at, here = star + 1, retry
        else:
            return False
    return not pattern[at:].strip("*")


def _shared_sizes(images: Images) -> dict[ImageId, int]:
    """Return for each image the bytes in layers that another image has too."""
    chains: dict[ImageId, tuple[ChainID, ...]] = {}
    for image_id, _ in images.ids():
        if (image := images.find(image_id)) is not None:
            chains[image_id] = image.config.chain_ids
    users = Counter(chain for own in chains.values() for chain in own)
    sizes = images.snapshots.layers.all_sizes()

    def shared(own: Sequence[ChainID]) -> int:
        return sum(sizes.get(chain, 0) for chain in own if users[chain] > 1)

    return {image_id: shared(own) for image_id, own in chains.items()}
