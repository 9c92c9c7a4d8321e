"""The embedded image ``pyd.local/base:latest``, made from this machine's static busybox.

It is there at the first start, so that the first run needs no registry. Its digest depends on the
busybox binary only (base_layer.py).
"""

from datetime import UTC, datetime
from pathlib import Path

from pyd_api.errors import UnavailableError
from pyd_api.reference import Reference
from pyd_guest.images.flat import add_flat
from pyd_guest.images.store import Images
from pyd_guest.linux.programs import output_of

BASE = Reference.parse("pyd.local/base:latest")
_BUSYBOX = Path("/bin/busybox")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def ensure_base(images: Images, busybox: Path = _BUSYBOX) -> None:
    """Make the image unless it is there, which one query tells.

    Raises UnavailableError on a machine without a busybox that runs.
    """
    if images.tag_owner(BASE) is not None:
        return
    # tarfile takes longer to import than most starts have for all of the images.
    from pyd_guest.images.base_layer import layer

    try:
        program = busybox.read_bytes()
        applets = output_of(str(busybox), "--list-full").decode().split()
        built = busybox.stat().st_mtime
    except OSError as error:
        raise UnavailableError(
            f"cannot make {BASE.familiar} from {busybox}: {error.strerror or error}",
            hint="install the package busybox-static",
        ) from error
    created = datetime.fromtimestamp(int(built), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with images.blobs.ingest() as ingest:
        ingest.write(layer(program, applets))
        image = add_flat(
            images,
            ingest,
            config={"Cmd": ["sh"], "Env": [f"PATH={_PATH}"]},
            created=created,
            comment="busybox",
            tags=(BASE,),
        )
    images.announce("import", image, image)
