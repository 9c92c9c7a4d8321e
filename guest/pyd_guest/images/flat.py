"""Images of one layer out of a file system archive: `docker import` and the embedded image."""

import json
from collections.abc import Mapping

from pyd_api.ids import ImageId
from pyd_api.reference import Reference
from pyd_guest.content.store import Ingest
from pyd_guest.images.model import image_id, parse_config
from pyd_guest.images.platform import Platform
from pyd_guest.images.store import Images, NewImage, Parts

_COMMENT = "comment"


def add_flat(
    images: Images,
    archive: Ingest,
    *,
    config: Mapping[str, object],
    created: str,
    comment: str,
    tags: tuple[Reference, ...],
    platform: Platform | None = None,
) -> ImageId:
    """Unpack ``archive`` as the only layer of a new image and commit it under ``tags``.

    Raises InvalidRequestError when it is not an archive.
    """
    archive.seal()
    platform = platform or Platform.host()
    with images.snapshots.unpacking() as batch:
        staged = batch.submit(
            archive.path, digest=archive.digest, diff_id=None, parent=None
        ).result()
        document: dict[str, object] = {
            "architecture": platform.architecture,
            "os": platform.os,
            "config": dict(config),
            "created": created,
            _COMMENT: comment,
            "history": [{"created": created, _COMMENT: comment}],
            "rootfs": {"type": "layers", "diff_ids": [staged.layer.diff_id]},
        }
        if platform.variant:
            document["variant"] = platform.variant
        data = json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
        image = NewImage(data, parse_config(data), image_id(data), tags)
        with images.claim([staged.layer.chain_id]) as missing:
            images.commit([image], Parts([staged], [archive]) if missing else Parts())
    return image.id
