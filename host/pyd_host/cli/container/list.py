"""``pyd ps``: the containers, newest first."""

import sys
import time

from pyd_host.cli.command import Command, Invocation
from pyd_host.cli.container.ports import display_ports
from pyd_host.cli.filters import parse_filters
from pyd_host.cli.flags import Flag
from pyd_host.cli.listing import FORMAT_HELP, show, warn_about_quiet
from pyd_host.cli.record import Record
from pyd_host.cli.units import ellipsis, human_duration, human_size, local_time, quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyd_host.client.wire import ContainerSummary

HEADERS = {
    "ID": "CONTAINER ID",
    "Names": "NAMES",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "RunningFor": "CREATED",
    "Ports": "PORTS",
    "State": "STATE",
    "Status": "STATUS",
    "Size": "SIZE",
    "Labels": "LABELS",
    "Mounts": "MOUNTS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Networks": "NETWORKS",
    "Platform": "PLATFORM",
}
_DEFAULT = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")
_COMMAND_WIDTH = 20
_MOUNT_WIDTH = 15


def row(container: "ContainerSummary", *, truncate: bool, sizes: bool, now: float) -> Record:
    """Return one container's columns."""
    labels = container["Labels"] or {}
    mounts = container["Mounts"] or []
    settings = container.get("NetworkSettings")
    networks = (settings["Networks"] if settings else None) or {}

    def names() -> str:
        plain = [name.removeprefix("/") for name in container["Names"] or []]
        return ",".join(name for name in plain if not truncate or "/" not in name)

    def command() -> str:
        text = container["Command"]
        return quote(ellipsis(text, _COMMAND_WIDTH) if truncate else text)

    def mounted() -> str:
        sources = [mount.get("Name") or mount["Source"] for mount in mounts]
        return ",".join(ellipsis(item, _MOUNT_WIDTH) if truncate else item for item in sources)

    return Record(
        "*formatter.ContainerContext",
        {
            "ID": lambda: container["Id"][:12] if truncate else container["Id"],
            "Names": names,
            "Image": lambda: _image(container, truncate=truncate),
            "Command": command,
            "CreatedAt": lambda: local_time(container["Created"]),
            "RunningFor": lambda: human_duration(now - container["Created"]) + " ago",
            "Ports": lambda: display_ports(container["Ports"] or []),
            "State": lambda: container["State"],
            "Status": lambda: container["Status"],
            "Size": lambda: _size(container, shown=sizes),
            "Labels": lambda: ",".join(f"{key}={labels[key]}" for key in sorted(labels)),
            "Mounts": mounted,
            "LocalVolumes": lambda: str(sum(m.get("Driver") == "local" for m in mounts)),
            "Networks": lambda: ",".join(sorted(networks)),
            "Platform": lambda: None,
        },
        {"Label": lambda name: labels.get(name, "")},
    )


def _image(container: "ContainerSummary", *, truncate: bool) -> str:
    image = container["Image"]
    if not image:
        return "<no image>"
    if not truncate:
        return image
    short = container["ImageID"].removeprefix("sha256:")[:12]
    if short and short == image.removeprefix("sha256:")[:12]:
        return short
    name, at, _ = image.partition("@")
    if at and ":" in name.rpartition("/")[2]:
        return name
    return image


def _size(container: "ContainerSummary", *, shown: bool) -> str:
    if not shown:
        return "0B"
    writable = human_size(container.get("SizeRw", 0), 3)
    whole = container.get("SizeRootFs", 0)
    return f"{writable} (virtual {human_size(whole, 3)})" if whole > 0 else writable


def run(call: Invocation) -> int:
    """List containers."""
    values = call.values
    form, quiet = values.text("format"), values.flag("quiet")
    truncate = not values.flag("no-trunc")
    sizes = values.flag("size") or (not quiet and (".Size" in form or _whole_row(form)))
    last = 1 if values.flag("latest") and values.number("last") == -1 else values.number("last")
    found: list[ContainerSummary] = call.engine.get(
        "/containers/json",
        {
            "all": True if values.flag("all") else None,
            "limit": last if last > 0 else None,
            "size": True if sizes else None,
            "filters": parse_filters(values.texts("filter")),
        },
    )
    warn_about_quiet(form, quiet=quiet)
    if quiet:
        for container in found:
            sys.stdout.write((container["Id"][:12] if truncate else container["Id"]) + "\n")
        return 0
    now = time.time()
    rows = [row(item, truncate=truncate, sizes=sizes, now=now) for item in found]
    show(rows, HEADERS, (*_DEFAULT, "Size") if values.flag("size") else _DEFAULT, form)
    return 0


def _whole_row(form: str) -> bool:
    """Tell whether a template prints every column; sizes cost the engine a walk of the disk."""
    return "json ." in form


COMMAND = Command(
    "[OPTIONS]",
    run,
    maximum=0,
    aliases=("container ls", "container list", "container ps", "ps"),
    flags=(
        Flag("all", "a", "bool", "List containers in every state, not only running ones"),
        Flag("filter", "f", "filter", "List only containers for which name=value holds"),
        Flag("format", "", "string", FORMAT_HELP),
        Flag("last", "n", "int", "List the n newest containers, in every state", -1),
        Flag("latest", "l", "bool", "List the newest container, in whatever state"),
        Flag("no-trunc", "", "bool", "Print ids and commands in full"),
        Flag("quiet", "q", "bool", "Print ids only"),
        Flag("size", "s", "bool", "Add how much disk each container takes"),
    ),
)
