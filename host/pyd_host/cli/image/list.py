"""``pyd images``: one line per name of an image, newest first."""

import sys
import time

from pyd_host.cli.command import Command, Invocation
from pyd_host.cli.filters import parse_filters
from pyd_host.cli.flags import Flag
from pyd_host.cli.listing import FORMAT_HELP, show
from pyd_host.cli.record import Record
from pyd_host.cli.units import human_duration, human_size, local_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyd_host.client.wire import ImageSummary

HEADERS = {
    "ID": "IMAGE ID",
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
    "Containers": "CONTAINERS",
    "VirtualSize": "SIZE",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
}
_NONE = "<none>"


def names(image: "ImageSummary", *, digests: bool) -> list[tuple[str, str, str]]:
    """Return repository, tag and digest for each line that the image takes."""
    tags: dict[str, list[str]] = {}
    sums: dict[str, list[str]] = {}
    for reference in image["RepoTags"] or []:
        repository, _, tag = reference.rpartition(":")
        if repository and repository != _NONE:
            tags.setdefault(repository, []).append(tag)
    for reference in image["RepoDigests"] or []:
        repository, _, digest = reference.partition("@")
        if repository != _NONE:
            sums.setdefault(repository, []).append(digest)
    found: list[tuple[str, str, str]] = []
    for repository, own in tags.items():
        for tag in own:
            rows = sums.get(repository, []) if digests else []
            found.extend((repository, tag, digest) for digest in rows)
            if not rows:
                found.append((repository, tag, _NONE))
    for repository, own in sums.items():
        if repository not in tags:
            listed = own if digests else own[:1]
            found.extend((repository, _NONE, digest if digests else _NONE) for digest in listed)
    return found or [(_NONE, _NONE, _NONE)]


def row(image: "ImageSummary", name: tuple[str, str, str], *, truncate: bool, now: float) -> Record:
    """Return one line's columns."""
    size = human_size(image["Size"], 3)
    return Record(
        "*formatter.imageContext",
        {
            "ID": lambda: _short(image["Id"]) if truncate else image["Id"],
            "Repository": lambda: name[0],
            "Tag": lambda: name[1],
            "Digest": lambda: name[2],
            "CreatedSince": lambda: _since(image["Created"], now),
            "CreatedAt": lambda: local_time(image["Created"]),
            "Size": lambda: size,
            "Containers": lambda: _count(image.get("Containers", -1)),
            "VirtualSize": lambda: human_size(image["Size"]),
            "SharedSize": lambda: _bytes(image.get("SharedSize", -1)),
            "UniqueSize": lambda: _unique(image),
        },
    )


def _short(image_id: str) -> str:
    return image_id.removeprefix("sha256:")[:12]


def _since(created: int, now: float) -> str:
    return "N/A" if created <= 0 else human_duration(now - created) + " ago"


def _count(number: int) -> str:
    return "N/A" if number == -1 else str(number)


def _bytes(size: int) -> str:
    return "N/A" if size == -1 else human_size(size)


def _unique(image: "ImageSummary") -> str:
    shared = image.get("SharedSize", -1)
    return "N/A" if shared == -1 else human_size(image["Size"] - shared)


def run(call: Invocation) -> int:
    """List images."""
    values = call.values
    filters = parse_filters(values.texts("filter"))
    if call.arguments:
        filters.setdefault("reference", []).append(call.arguments[0])
    found: list[ImageSummary] = call.engine.get(
        "/images/json", {"all": True if values.flag("all") else None, "filters": filters}
    )
    truncate, digests = not values.flag("no-trunc"), values.flag("digests")
    form = values.text("format")
    found.sort(key=lambda image: -image["Created"])
    now = time.time()
    rows = [
        row(image, name, truncate=truncate, now=now)
        for image in found
        for name in names(image, digests=digests or ".Digest" in form)
    ]
    if values.flag("quiet") and not form:
        for item in rows:
            sys.stdout.write(f"{item.column('ID', ())}\n")
        return 0
    default = ("Repository", "Tag", *(("Digest",) if digests else ()), "ID", "CreatedSince", "Size")
    show(rows, HEADERS, default, form)
    return 0


COMMAND = Command(
    "[OPTIONS] [REPOSITORY[:TAG]]",
    run,
    maximum=1,
    aliases=("image ls", "image list", "images"),
    flags=(
        Flag("all", "a", "bool", "List intermediate images too"),
        Flag("digests", "", "bool", "Add the digest under which a registry knows the image"),
        Flag("filter", "f", "filter", "List only images for which name=value holds"),
        Flag("format", "", "string", FORMAT_HELP),
        Flag("no-trunc", "", "bool", "Print ids in full"),
        Flag("quiet", "q", "bool", "Print ids only"),
    ),
)
