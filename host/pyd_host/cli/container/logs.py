"""``pyd logs``: what a container has written, and what it goes on to write."""

from pyd_host.cli.command import Command, Invocation
from pyd_host.cli.flags import Flag
from pyd_host.cli.times import parse_time
from pyd_host.client.engine import segment
from pyd_host.client.output import MULTIPLEXED_STREAM, RAW_STREAM, output_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyd_host.client.wire import Container


def run(call: Invocation) -> int:
    """Print the log; standard error's part to standard error."""
    values, engine = call.values, call.engine
    path = f"/containers/{segment(call.arguments[0])}"
    response = engine.request(
        "GET",
        f"{path}/logs",
        {
            "stdout": True,
            "stderr": True,
            "follow": True if values.flag("follow") else None,
            "timestamps": True if values.flag("timestamps") else None,
            "details": True if values.flag("details") else None,
            "since": parse_time(values.text("since"), 'invalid value for "since": '),
            "until": parse_time(values.text("until"), 'invalid value for "until": '),
            "tail": values.text("tail"),
        },
    )
    tty = response.headers.get("content-type") == RAW_STREAM
    if not tty and response.headers.get("content-type") != MULTIPLEXED_STREAM:
        container: Container = engine.get(f"{path}/json")  # an engine older than API 1.42
        tty = container["Config"]["Tty"]
    output = output_for(response.headers, tty=tty)
    for piece in response.pieces():
        output(piece)
    return 0


COMMAND = Command(
    "[OPTIONS] CONTAINER",
    run,
    minimum=1,
    maximum=1,
    aliases=("container logs", "logs"),
    flags=(
        Flag("details", "", "bool", "Add what the log driver knows of each line"),
        Flag("follow", "f", "bool", "Go on as long as the container writes"),
        Flag("since", "", "string", "Begin at a time, or so long ago: 2013-01-02T13:23:37Z, 42m"),
        Flag("tail", "n", "string", "Begin so many lines before the end", "all"),
        Flag("timestamps", "t", "bool", "Begin each line with its time"),
        Flag("until", "", "string", "End before a time, or so long ago"),
    ),
)
