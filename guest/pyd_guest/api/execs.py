"""``/exec`` and ``/containers/{id}/exec``: another process in a running container.

Docker Engine API 1.50, "Exec". As with dockerd, a failure after the head of a start is a line of
the stream, since the status has been sent.
"""

from collections.abc import Mapping
from typing import Final, Protocol

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pyd_api import framing
from pyd_api.errors import InvalidRequestError, PydError
from pyd_guest.api import query
from pyd_guest.api.attach import converse, media_type
from pyd_guest.api.attach_hub import AttachHubs, Attachment
from pyd_guest.api.body import JsonObject, check_fields, read_json
from pyd_guest.api.crossing import Streams, Workers
from pyd_guest.api.detach import Detector, parse_keys
from pyd_guest.api.hijack import HijackResponse, RawStream

_CREATE_FIELDS: Final = {
    "User": "string",
    "Privileged": "bool",
    "Tty": "bool",
    "AttachStdin": "bool",
    "AttachStderr": "bool",
    "AttachStdout": "bool",
    "DetachKeys": "string",
    "Env": "[]string",
    "WorkingDir": "string",
    "Cmd": "[]string",
}
_START_FIELDS: Final = {"Detach": "bool", "Tty": "bool"}


class Execs(Protocol):
    """The engine's calls behind this router; all are synchronous."""

    def create(self, ref: str, body: Mapping[str, object]) -> str:
        """Prepare an exec in a running container and return its id."""

    def start(
        self, exec_id: str, *, detach: bool, tty: bool, size: tuple[int, int] | None
    ) -> Attachment | None:
        """Run it; the console of what was started, None when detached. ``size`` is (height, width).

        ConflictError when it runs or has run.
        """

    def inspect(self, exec_id: str) -> JsonObject:
        """Return its state in the shape of the API."""

    def resize(self, exec_id: str, *, height: int, width: int) -> None:
        """Set the size of its terminal."""


def router(execs: Execs, hubs: AttachHubs, workers: Workers, streams: Streams) -> APIRouter:
    """Return the routes over ``execs``."""
    handlers = _Handlers(execs, hubs, workers, streams)
    routes = APIRouter()
    routes.add_route("/containers/{ref:path}/exec", handlers.create, ["POST"])
    routes.add_route("/exec/{id:path}/start", handlers.start, ["POST"])
    routes.add_route("/exec/{id:path}/json", handlers.inspect, ["GET"])
    routes.add_route("/exec/{id:path}/resize", handlers.resize, ["POST"])
    return routes


class _Handlers:
    """One method per operation."""

    def __init__(self, execs: Execs, hubs: AttachHubs, workers: Workers, streams: Streams) -> None:
        self._execs = execs
        self._hubs = hubs
        self._workers = workers
        self._streams = streams

    async def create(self, request: Request) -> Response:
        body = await read_json(request, go_type="container.ExecOptions")
        check_fields(body, "ExecOptions", _CREATE_FIELDS)
        if not body.get("Cmd"):
            raise InvalidRequestError("No exec command specified")
        keys = body.get("DetachKeys")
        parse_keys(keys if isinstance(keys, str) else None)
        exec_id = await self._workers.quick(self._execs.create, request.path_params["ref"], body)
        return JSONResponse({"Id": exec_id}, 201)

    async def inspect(self, request: Request) -> Response:
        return JSONResponse(
            await self._workers.quick(self._execs.inspect, request.path_params["id"])
        )

    async def resize(self, request: Request) -> Response:
        height, width = query.size(request)
        await self._workers.quick(
            self._execs.resize, request.path_params["id"], height=height, width=width
        )
        return Response(status_code=200)

    async def start(self, request: Request) -> Response:
        exec_id: str = request.path_params["id"]
        body = await read_json(request, go_type="container.ExecStartOptions")
        check_fields(body, "ExecStartOptions", _START_FIELDS)
        size = _console_size(body)
        detach, tty = body.get("Detach") is True, body.get("Tty") is True
        state = await self._workers.quick(self._execs.inspect, exec_id)
        if detach:
            await self._workers.quick(self._execs.start, exec_id, detach=True, tty=tty, size=size)
            return Response(status_code=200)
        keys = state.get("DetachKeys")
        detector = Detector(parse_keys(keys if isinstance(keys, str) else None)) if tty else None

        async def session(stream: RawStream) -> None:
            with self._streams.member():
                try:
                    attachment = await self._workers.quick(
                        self._execs.start, exec_id, detach=False, tty=tty, size=size
                    )
                except PydError as error:
                    await stream.write(_failure(error.message, tty=tty))
                    return
                if attachment is None:
                    return
                hub, client = self._hubs.join(
                    attachment,
                    stdout=state.get("OpenStdout") is not False,
                    stderr=state.get("OpenStderr") is not False,
                )
                stdin = state.get("OpenStdin") is True
                await converse(hub, client, stream, stdin=stdin, detector=detector)

        return HijackResponse(session, media_type=media_type(request, tty=tty))


def _failure(message: str, *, tty: bool) -> bytes:
    line = f"{message}\r\n".encode()
    return line if tty else framing.frame(framing.STDOUT, line)


def _console_size(body: Mapping[str, object]) -> tuple[int, int] | None:
    size = body.get("ConsoleSize")
    if size is None:
        return None
    if (
        isinstance(size, list)
        and len(size) == 2
        and all(isinstance(number, int) and 0 <= number <= 0xFFFF for number in size)
    ):
        return (size[0], size[1]) if body.get("Tty") is True else None
    raise InvalidRequestError(f"invalid console size: {str(size)[:100]}")
