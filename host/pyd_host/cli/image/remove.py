"""``pyd rmi``: remove images, or names of images."""

import sys

from pyd_api.errors import NotFoundError, PydError
from pyd_host.cli.command import Command, Invocation
from pyd_host.cli.flags import Flag
from pyd_host.client.engine import image_segment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyd_host.client.wire import DeletedImage


def run(call: Invocation) -> int:
    """Remove each name; print what was untagged and deleted."""
    values = call.values
    force = values.flag("force")
    query = {"force": True if force else None, "noprune": True if values.flag("no-prune") else None}
    failures: list[str] = []
    fatal = False
    for name in call.arguments:
        try:
            done: list[DeletedImage] | None = call.engine.delete(
                f"/images/{image_segment(name)}", query
            )
        except PydError as error:
            if error.hint:
                raise
            failures.append(error.message)
            fatal = fatal or not (force and isinstance(error, NotFoundError))
            continue
        for item in done or []:
            if deleted := item.get("Deleted"):
                sys.stdout.write(f"Deleted: {deleted}\n")
            else:
                sys.stdout.write(f"Untagged: {item.get('Untagged', '')}\n")
    sys.stdout.flush()
    sys.stderr.writelines(f"{failure}\n" for failure in failures)
    return 1 if fatal else 0


COMMAND = Command(
    "[OPTIONS] IMAGE [IMAGE...]",
    run,
    minimum=1,
    aliases=("image rm", "image remove", "rmi"),
    flags=(
        Flag("force", "f", "bool", "Remove it although a stopped container uses it"),
        Flag("no-prune", "", "bool", "Keep unnamed parents"),
    ),
)
