"""``pyd rm``: remove containers."""

from pyd_host.cli.command import Command, Invocation
from pyd_host.cli.container.several import each
from pyd_host.cli.flags import Flag
from pyd_host.client.engine import segment


def run(call: Invocation) -> int:
    """Remove each container and print its name; with -f one that is not there is no failure."""
    from pyd_api.errors import NotFoundError

    values = call.values
    force = values.flag("force")
    query = {
        "force": True if force else None,
        "link": True if values.flag("link") else None,
        "v": True if values.flag("volumes") else None,
    }
    missing = False

    def remove(name: str) -> str:
        nonlocal missing
        name = name.removeprefix("/")
        try:
            call.engine.delete(f"/containers/{segment(name)}", query)
        except NotFoundError:
            missing = True
            raise
        return name

    failed = 0
    for name in call.arguments:
        missing = False
        status = each([name], remove)
        failed |= status if not (missing and force) else 0
    return failed


COMMAND = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    run,
    minimum=1,
    aliases=("container rm", "container remove", "rm"),
    flags=(
        Flag("force", "f", "bool", "Kill and remove running ones too"),
        Flag("link", "l", "bool", "Remove a legacy link instead"),
        Flag("volumes", "v", "bool", "Remove their unnamed volumes too"),
    ),
)
