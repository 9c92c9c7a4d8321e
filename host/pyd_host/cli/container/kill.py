"""``pyd kill``: a signal to running containers."""

from pyd_host.cli.command import Command, Invocation
from pyd_host.cli.container.several import each
from pyd_host.cli.flags import Flag
from pyd_host.client.engine import segment


def run(call: Invocation) -> int:
    """Send the signal to each container and print its name."""
    query = {"signal": call.values.text("signal") or None}

    def kill(name: str) -> str:
        call.engine.post(f"/containers/{segment(name)}/kill", query)
        return name

    return each(call.arguments, kill)


COMMAND = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    run,
    minimum=1,
    aliases=("container kill", "kill"),
    flags=(Flag("signal", "s", "string", "The signal to send, by name or number (KILL)"),),
)
