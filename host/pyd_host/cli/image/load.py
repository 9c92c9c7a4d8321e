"""``pyd load``: images from an archive in a file or on standard input."""

import sys

from pyd_host.cli import terminal
from pyd_host.cli.command import Command, Invocation
from pyd_host.cli.errors import PlainError
from pyd_host.cli.flags import Flag
from pyd_host.cli.progress import Display
from pyd_host.cli.upload import pieces_of
from pyd_host.client.jsonstream import documents


def run(call: Invocation) -> int:
    """Send the archive and print what was loaded."""
    values = call.values
    path = values.text("input")
    if not path and terminal.is_terminal(terminal.STDIN):
        raise PlainError(
            "requested load from stdin, but stdin is empty", hint="name a file with --input"
        )
    query = {
        "quiet": values.flag("quiet") or not sys.stdout.isatty(),
        "platform": values.text("platform") or None,
    }
    with pieces_of(path or "-") as pieces:
        response = call.engine.request(
            "POST", "/images/load", query, pieces, {"Content-Type": "application/x-tar"}
        )
        if "json" in response.headers.get("content-type", ""):
            Display(sys.stdout).show(documents(response.pieces()))
            return 0
        for piece in response.pieces():
            sys.stdout.buffer.write(piece)
    return 0


COMMAND = Command(
    "[OPTIONS]",
    run,
    maximum=0,
    aliases=("image load", "load"),
    flags=(
        Flag("input", "i", "string", "Read this file instead of standard input"),
        Flag("platform", "", "string", "Load this platform's image only: OS[/ARCH[/VARIANT]]"),
        Flag("quiet", "q", "bool", "Do not show how it gets on"),
    ),
)
