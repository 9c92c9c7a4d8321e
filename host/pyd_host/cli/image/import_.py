"""``pyd import``: an image from a tarball of a file system."""

import sys

from pyd_api.reference import Reference
from pyd_host.cli.command import Command, Invocation
from pyd_host.cli.flags import Flag
from pyd_host.cli.progress import Display
from pyd_host.cli.upload import pieces_of
from pyd_host.client.jsonstream import documents


def run(call: Invocation) -> int:
    """Send the tarball (or let the engine fetch a URL) and print the image's id."""
    values = call.values
    source, *names = call.arguments
    reference = Reference.parse(names[0]) if names else None
    remote = source.startswith(("http://", "https://"))
    query = {
        "fromSrc": source if remote else "-",
        "repo": reference.familiar_name if reference else None,
        "tag": reference.tag if reference else None,
        "changes": values.texts("change"),
        "message": values.text("message") or None,
        "platform": values.text("platform") or None,
    }
    if remote:
        response = call.engine.request("POST", "/images/create", query)
        Display(sys.stdout).show(documents(response.pieces()))
        return 0
    with pieces_of(source) as pieces:
        response = call.engine.request(
            "POST", "/images/create", query, pieces, {"Content-Type": "application/x-tar"}
        )
        Display(sys.stdout).show(documents(response.pieces()))
    return 0


COMMAND = Command(
    "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    run,
    minimum=1,
    aliases=("image import", "import"),
    flags=(
        Flag("change", "c", "list", "Apply a Dockerfile instruction to the image"),
        Flag("message", "m", "string", "A comment for the image's history"),
        Flag("platform", "", "string", "The platform the image is for: OS[/ARCH[/VARIANT]]"),
    ),
)
