"""``pyd pull``: fetch an image from a registry, with its progress."""

import sys
from typing import TextIO

from pyd_api.reference import Reference
from pyd_host.cli.command import Command, Invocation
from pyd_host.cli.errors import CommandError
from pyd_host.cli.flags import Flag
from pyd_host.cli.progress import Display, drain
from pyd_host.client.engine import Engine
from pyd_host.client.jsonstream import documents


def pull_image(engine: Engine, name: str, *, platform: str, quiet: bool, to: TextIO) -> None:
    """Pull one image; progress goes to ``to`` unless ``quiet``."""
    reference = Reference.parse(name)
    response = engine.submit(
        "/images/create",
        {
            "fromImage": reference.familiar_name,
            "tag": reference.digest or reference.tag,
            "platform": platform or None,
        },
    )
    stream = documents(response.pieces())
    if quiet:
        drain(stream)
    else:
        Display(to).show(stream)


def run(call: Invocation) -> int:
    """Pull and print the full name."""
    values, (name,) = call.values, call.arguments
    silent = values.flag("quiet")
    if values.flag("all-tags"):
        raise CommandError(
            "pulling all tags of a repository is not supported yet", hint="pull them one by one"
        )
    reference = Reference.parse(name)
    if reference.digest is None and ":" not in name.rpartition("/")[2] and not silent:
        sys.stdout.write(f"Using default tag: {reference.tag}\n")
        sys.stdout.flush()
    pull_image(call.engine, name, platform=values.text("platform"), quiet=silent, to=sys.stdout)
    sys.stdout.write(f"{reference}\n")
    return 0


COMMAND = Command(
    "[OPTIONS] NAME[:TAG|@DIGEST]",
    run,
    minimum=1,
    maximum=1,
    aliases=("image pull", "pull"),
    flags=(
        Flag("all-tags", "a", "bool", "Pull every tag of the repository (not supported yet)"),
        Flag("disable-content-trust", "", "bool", "Has no effect", True, hidden=True),
        Flag("platform", "", "string", "The platform whose image is wanted: OS[/ARCH[/VARIANT]]"),
        Flag("quiet", "q", "bool", "Print nothing but the name"),
    ),
)
