"""``pyd daemon``: become the engine. The one place where the host side enters the guest's code."""

import sys

from pyd_host.cli.command import Command, Invocation
from pyd_host.cli.errors import CommandError


def run(call: Invocation) -> int:
    """Hand the words to the daemon; it reads its own flags."""
    if sys.platform == "linux":
        from pyd_guest.daemon.main import main

        return main(call.arguments)
    raise CommandError(
        f"the engine runs on Linux, not on {sys.platform}",
        hint="here it will run in a virtual machine, which is not supported yet",
    )


COMMAND = Command("[OPTIONS]", run, raw=True)
