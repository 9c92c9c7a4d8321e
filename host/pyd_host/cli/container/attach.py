"""``pyd attach``: this terminal's streams to a running container's."""

from pyd_host.cli.command import Command, Invocation
from pyd_host.cli.container.session import (
    Session,
    check_terminal,
    detach_keys,
    kill_quietly,
    left_running,
)
from pyd_host.cli.container.wait import begin_wait
from pyd_host.cli.errors import PlainError
from pyd_host.cli.flags import Flag
from pyd_host.client.engine import segment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyd_host.client.wire import Container


def run(call: Invocation) -> int:
    """Attach and leave with the container's status."""
    engine, values = call.engine, call.values
    container: Container = engine.get(f"/containers/{segment(call.arguments[0])}/json")
    state = container["State"]
    if not state["Running"]:
        raise PlainError("You cannot attach to a stopped container, start it first")
    if state["Paused"]:
        raise PlainError("You cannot attach to a paused container, unpause it first")
    if state["Restarting"]:
        raise PlainError("You cannot attach to a restarting container, wait until it is running")
    path = f"/containers/{container['Id']}"
    tty = container["Config"]["Tty"]
    stdin = container["Config"]["OpenStdin"] and not values.flag("no-stdin")
    keys = detach_keys(values.text("detach-keys"))
    check_terminal(tty=tty, stdin=stdin)
    query = {
        "stream": True,
        "stdout": True,
        "stderr": True,
        "stdin": True if stdin else None,
        "detachKeys": values.text("detach-keys") or None,
    }
    ended = begin_wait(engine, container["Id"], "")
    connection, early, headers = engine.hijack(f"{path}/attach", query)
    with (
        connection,
        Session(engine, f"{path}/resize", tty=tty, stdin=stdin, keys=keys) as session,
    ):
        session.follow_size()
        if values.flag("sig-proxy") and not tty:
            session.proxy_signals(kill_quietly(engine, container["Id"]))
        if session.carry(connection, early, headers):
            return left_running()
    waited = ended()
    if error := waited.get("Error"):
        raise PlainError(error["Message"])
    return waited["StatusCode"]


COMMAND = Command(
    "[OPTIONS] CONTAINER",
    run,
    minimum=1,
    maximum=1,
    aliases=("container attach", "attach"),
    flags=(
        Flag("detach-keys", "", "string", "The keys that leave the container running"),
        Flag("no-stdin", "", "bool", "Send no standard input"),
        Flag("sig-proxy", "", "bool", "Pass signals on to the container", True),
    ),
)
