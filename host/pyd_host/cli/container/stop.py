"""``pyd stop``: ask containers to end, and end them when they do not."""

from pyd_host.cli.command import Command, Invocation
from pyd_host.cli.container.several import each
from pyd_host.cli.flags import Flag
from pyd_host.client.engine import segment


def run(call: Invocation) -> int:
    """Stop each container and print its name."""
    values = call.values
    given = values.given("timeout") or values.given("time")
    timeout = values.number("timeout") if values.given("timeout") else values.number("time")
    query = {"signal": values.text("signal") or None, "t": timeout if given else None}

    def stop(name: str) -> str:
        call.engine.post(f"/containers/{segment(name)}/stop", query)
        return name

    return each(call.arguments, stop)


COMMAND = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    run,
    minimum=1,
    aliases=("container stop", "stop"),
    flags=(
        Flag("signal", "s", "string", "The signal that asks to end"),
        Flag("time", "", "int", "Seconds to wait before killing", hidden=True),
        Flag("timeout", "t", "int", "Seconds to wait before killing"),
    ),
)
