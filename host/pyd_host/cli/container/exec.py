"""``pyd exec``: another process in a running container."""

from pyd_host.cli.command import Command, Invocation
from pyd_host.cli.container.environment import read_environment
from pyd_host.cli.container.session import Session, check_terminal, detach_keys, left_running
from pyd_host.cli.flags import Flag
from pyd_host.client.engine import segment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyd_host.client.wire import Created, ExecState


def run(call: Invocation) -> int:
    """Run the command and leave with its status."""
    values, engine = call.values, call.engine
    name, *command = call.arguments
    detached, tty = values.flag("detach"), values.flag("tty")
    stdin = values.flag("interactive") and not detached
    keys = detach_keys(values.text("detach-keys"))
    environment = read_environment(values.texts("env-file"), values.texts("env"))
    check_terminal(tty=tty, stdin=stdin)
    body: dict[str, object] = {
        "User": values.text("user"),
        "Privileged": values.flag("privileged"),
        "Tty": tty,
        "AttachStdin": stdin,
        "AttachStderr": not detached,
        "AttachStdout": not detached,
        "DetachKeys": values.text("detach-keys"),
        "Env": environment,
        "WorkingDir": values.text("workdir"),
        "Cmd": command,
    }
    created: Created = engine.post(f"/containers/{segment(name)}/exec", body=body)
    path = f"/exec/{created['Id']}"
    start = {"Detach": detached, "Tty": tty}
    if detached:
        engine.post(f"{path}/start", body=start)
        return 0
    with Session(engine, f"{path}/resize", tty=tty, stdin=stdin, keys=keys) as session:
        connection, early, headers = engine.hijack(f"{path}/start", body=start)
        with connection:
            session.follow_size()
            if session.carry(connection, early, headers):
                return left_running()
    state: ExecState = engine.get(f"{path}/json")
    return state["ExitCode"] or 0


COMMAND = Command(
    "[OPTIONS] CONTAINER COMMAND [ARG...]",
    run,
    minimum=2,
    interspersed=False,
    aliases=("container exec", "exec"),
    flags=(
        Flag("detach", "d", "bool", "Leave the command in the background"),
        Flag("detach-keys", "", "string", "The keys that leave the command running"),
        Flag("env", "e", "list", "Set an environment variable: NAME=VALUE"),
        Flag("env-file", "", "list", "Set the environment variables that a file lists"),
        Flag("interactive", "i", "bool", "Send standard input"),
        Flag("privileged", "", "bool", "Give the command every capability"),
        Flag("tty", "t", "bool", "Give the command a terminal"),
        Flag("user", "u", "string", "Run as this user, by name or number: USER[:GROUP]"),
        Flag("workdir", "w", "string", "Start in this directory of the container"),
    ),
)
