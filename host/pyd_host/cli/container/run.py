"""``pyd run``: create, attach, wait for the end, start; in that order, so that nothing is missed.

::

    create ─▶ attach (hijacked) ─▶ wait (head answered) ─▶ start ─▶ carry streams ─▶ exit status
"""

import sys

from pyd_api.errors import PydError
from pyd_host.cli.command import Command, Invocation
from pyd_host.cli.container.create import create_container, run_options
from pyd_host.cli.container.create_flags import CREATE_FLAGS
from pyd_host.cli.container.create_request import Body
from pyd_host.cli.container.failures import as_run_failure, start_status
from pyd_host.cli.container.session import Session, check_terminal, detach_keys, kill_quietly
from pyd_host.cli.container.wait import begin_wait
from pyd_host.cli.errors import CommandError, PlainError
from pyd_host.cli.flags import Flag, Values
from pyd_host.client.engine import Engine

_STATUS = 125


def run(call: Invocation) -> int:
    """Run a command in a new container and leave with its status."""
    values = call.values
    image, *command = call.arguments
    detached = values.flag("detach")
    if detached and values.texts("attach"):
        raise PlainError("conflicting options: cannot specify both --attach and --detach")
    with as_run_failure(call.name):
        body = run_options(values, image, command)
        keys = detach_keys(values.text("detach-keys"))
        if detached:
            body.update(AttachStdin=False, AttachStdout=False, AttachStderr=False, StdinOnce=False)
        else:
            check_terminal(tty=values.flag("tty"), stdin=bool(body["AttachStdin"]))
        container_id = create_container(call.engine, values, body)
        attached = any(body[f"Attach{name}"] for name in ("Stdin", "Stdout", "Stderr"))
        if attached:
            return _attached(call.engine, container_id, values, body, keys)
        _start(call.engine, container_id, _query(values))
    sys.stdout.write(container_id + "\n")
    return 0


def _query(values: Values) -> dict[str, str | None]:
    return {"detachKeys": values.text("detach-keys") or None}


def _start(engine: Engine, container_id: str, query: dict[str, str | None]) -> None:
    try:
        engine.post(f"/containers/{container_id}/start", query)
    except PydError as error:
        raise CommandError(error.message, status=start_status(error.message)) from error


def _attached(engine: Engine, container_id: str, values: Values, body: Body, keys: bytes) -> int:
    tty, stdin = values.flag("tty"), bool(body["AttachStdin"])
    path = f"/containers/{container_id}"
    wanted = {"stdin": stdin, "stdout": body["AttachStdout"], "stderr": body["AttachStderr"]}
    streams = {name: True for name, yes in wanted.items() if yes}
    connection, early, headers = engine.hijack(
        f"{path}/attach", {"stream": True, **streams, **_query(values)}
    )
    auto_remove = values.flag("rm")
    with (
        connection,
        Session(engine, f"{path}/resize", tty=tty, stdin=stdin, keys=keys) as session,
    ):
        ended = begin_wait(engine, container_id, "removed" if auto_remove else "next-exit")
        try:
            _start(engine, container_id, _query(values))
        except CommandError:
            if auto_remove:
                ended()  # what was created is gone when the command returns
            raise
        session.follow_size()
        if values.flag("sig-proxy") and not tty:
            session.proxy_signals(kill_quietly(engine, container_id))
        if session.carry(connection, early, headers):
            return 0
        if not body["AttachStdout"] and not body["AttachStderr"]:
            sys.stdout.write(container_id + "\n")
            return 0
    waited = ended()
    if error := waited.get("Error"):
        raise CommandError(f"error waiting for container: {error['Message']}", status=_STATUS)
    return waited["StatusCode"]


COMMAND = Command(
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    run,
    minimum=1,
    interspersed=False,
    aliases=("container run", "run"),
    flags=(
        *CREATE_FLAGS,
        Flag("detach", "d", "bool", "Leave the container in the background and print its id"),
        Flag("detach-keys", "", "string", "The keys that leave the container running"),
        Flag("sig-proxy", "", "bool", "Pass signals on to the container", True),
    ),
)
