"""``pyd start``: start containers, attached to one of them if asked."""

import sys

from pyd_api.errors import PydError
from pyd_host.cli.command import Command, Invocation
from pyd_host.cli.container.session import Session, check_terminal, detach_keys, kill_quietly
from pyd_host.cli.container.wait import begin_wait
from pyd_host.cli.errors import PlainError
from pyd_host.cli.flags import Flag
from pyd_host.client.engine import segment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyd_host.client.wire import Container


def run(call: Invocation) -> int:
    """Start; print the names, or carry the streams of the one that is attached."""
    values = call.values
    if values.flag("attach") or values.flag("interactive"):
        if len(call.arguments) > 1:
            raise PlainError("you cannot start and attach multiple containers at once")
        return _attached(call, call.arguments[0])
    failed = []
    for name in call.arguments:
        try:
            call.engine.post(f"/containers/{segment(name)}/start", _query(call))
        except PydError as error:
            if error.hint:
                raise
            sys.stderr.write(f"{error.message}\n")
            failed.append(name)
        else:
            sys.stdout.write(f"{name}\n")
            sys.stdout.flush()
    if failed:
        raise PlainError(f"Error: failed to start containers: {', '.join(failed)}")
    return 0


def _query(call: Invocation) -> dict[str, str | None]:
    return {"detachKeys": call.values.text("detach-keys") or None}


def _attached(call: Invocation, name: str) -> int:
    engine, values = call.engine, call.values
    container: Container = engine.get(f"/containers/{segment(name)}/json")
    path = f"/containers/{container['Id']}"
    tty = container["Config"]["Tty"]
    stdin = values.flag("interactive") and container["Config"]["OpenStdin"]
    keys = detach_keys(values.text("detach-keys"))
    check_terminal(tty=tty, stdin=stdin)
    streams = {"stream": True, "stdout": True, "stderr": True, "stdin": True if stdin else None}
    connection, early, headers = engine.hijack(f"{path}/attach", {**streams, **_query(call)})
    condition = "removed" if container["HostConfig"]["AutoRemove"] else "next-exit"
    with (
        connection,
        Session(engine, f"{path}/resize", tty=tty, stdin=stdin, keys=keys) as session,
    ):
        ended = begin_wait(engine, container["Id"], condition)
        engine.post(f"{path}/start", _query(call))
        session.follow_size()
        if values.flag("sig-proxy") and not tty:
            session.proxy_signals(kill_quietly(engine, container["Id"]))
        if session.carry(connection, early, headers):
            return 0
    return ended()["StatusCode"]


COMMAND = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    run,
    minimum=1,
    aliases=("container start", "start"),
    flags=(
        Flag("attach", "a", "bool", "Show the output and pass signals on"),
        Flag("detach-keys", "", "string", "The keys that leave the container running"),
        Flag("interactive", "i", "bool", "Send standard input too"),
        Flag("sig-proxy", "", "bool", "Pass signals on to the container", True, hidden=True),
    ),
)
