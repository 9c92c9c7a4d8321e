"""``pyd create``, and the steps that ``run`` shares: create, and pull what is missing."""

import sys

from pyd_host.cli import terminal
from pyd_host.cli.command import Command, Invocation
from pyd_host.cli.container.create_flags import CREATE_FLAGS
from pyd_host.cli.container.create_request import Body, build_body
from pyd_host.cli.errors import CommandError
from pyd_host.cli.flags import Values
from pyd_host.client.engine import Engine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyd_host.client.wire import Created

_STATUS = 125
_PULL = ("always", "missing", "never")


class IdFile:
    """``--cidfile``: reserved before the container exists, dropped when nothing came of it."""

    __slots__ = ("_path",)

    def __init__(self, path: str) -> None:
        self._path = path
        if not path:
            return
        try:
            with open(path, "x", encoding="ascii"):
                pass
        except FileExistsError:
            message = (
                "container ID file found, make sure the other container isn't running "
                f"or delete {path}"
            )
            raise CommandError(message, status=_STATUS) from None
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            message = f"failed to create the container ID file: open {path}: {reason}"
            raise CommandError(message, status=_STATUS) from error

    def write(self, container_id: str) -> None:
        """Keep the id."""
        if self._path:
            with open(self._path, "w", encoding="ascii") as file:
                file.write(container_id)

    def discard(self) -> None:
        """Remove the empty file."""
        if self._path:
            import os

            os.unlink(self._path)  # noqa: PTH108 - pathlib costs 8 ms


def run_options(values: Values, image: str, command: list[str]) -> Body:
    """Check what ``create`` and ``run`` were given and return the request's body."""
    if values.text("pull") not in _PULL:
        message = (
            f"invalid pull option: '{values.text('pull')}': "
            'must be one of "always", "missing" or "never"'
        )
        raise CommandError(message, status=_STATUS, hint=None)
    for flag, wanted in (("use-api-socket", False), ("disable-content-trust", True)):
        if values.flag(flag) is not wanted:
            raise CommandError(
                f"--{flag}={str(not wanted).lower()} is not supported", status=_STATUS
            )
    return build_body(values, image, command, terminal.size())


def create_container(engine: Engine, values: Values, body: Body) -> str:
    """Create, after a pull where ``--pull`` asks for one; return the id."""
    from pyd_api.errors import NotFoundError, PydError

    id_file = IdFile(values.text("cidfile"))
    image = str(body["Image"])
    pull, platform = values.text("pull"), values.text("platform") or None
    query = {"name": values.text("name") or None, "platform": platform}
    try:
        if pull == "always":
            _pull(engine, values, image)
        try:
            created: Created = engine.post("/containers/create", query, body)
        except NotFoundError as error:
            if pull != "missing" or "No such image" not in error.message:
                raise
            if not values.flag("quiet"):
                sys.stderr.write(f"Unable to find image '{_familiar(image)}' locally\n")
            _pull(engine, values, image)
            created = engine.post("/containers/create", query, body)
    except (PydError, CommandError, KeyboardInterrupt):
        id_file.discard()
        raise
    for warning in created["Warnings"] or []:
        sys.stderr.write(f"WARNING: {warning}\n")
    id_file.write(created["Id"])
    return created["Id"]


def _familiar(image: str) -> str:
    from pyd_api.reference import Reference

    return Reference.parse(image).familiar


def _pull(engine: Engine, values: Values, image: str) -> None:
    from pyd_host.cli.image.pull import pull_image

    pull_image(
        engine, image, platform=values.text("platform"), quiet=values.flag("quiet"), to=sys.stderr
    )


def run(call: Invocation) -> int:
    """Create a container and print its id."""
    image, *command = call.arguments
    from pyd_host.cli.container.failures import as_run_failure

    with as_run_failure(call.name):
        body = run_options(call.values, image, command)
    container_id = create_container(call.engine, call.values, body)
    sys.stdout.write(container_id + "\n")
    return 0


COMMAND = Command(
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    run,
    minimum=1,
    interspersed=False,
    flags=CREATE_FLAGS,
    aliases=("container create", "create"),
)
