"""``pyd wait``, and waiting for the end of a container that this command started."""

from pyd_host.cli.command import Command, Invocation
from pyd_host.cli.container.several import each
from pyd_host.client.engine import Engine, segment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyd_host.client.wire import Waited


def begin_wait(engine: Engine, container_id: str, condition: str) -> "Callable[[], Waited]":
    """Register for the end now; the function returned waits for it.

    The engine answers with the head at once, so the end cannot be missed however soon it comes.
    """
    path = f"/containers/{segment(container_id)}/wait"
    response = engine.submit(path, {"condition": condition} if condition else None)

    def result() -> "Waited":
        import json

        waited: Waited = json.loads(response.read())
        return waited

    return result


def run(call: Invocation) -> int:
    """Wait for each container in turn and print its exit status."""

    def wait_for(name: str) -> str:
        return str(begin_wait(call.engine, name, "")()["StatusCode"])

    return each(call.arguments, wait_for)


COMMAND = Command("CONTAINER [CONTAINER...]", run, minimum=1, aliases=("container wait", "wait"))
