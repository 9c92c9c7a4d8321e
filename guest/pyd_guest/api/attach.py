"""``POST /containers/{id}/attach``: the streams of a container over a hijacked connection.

Docker Engine API, "Attach to a container". An attach may come before the start: the head is sent
at once, and the session begins when the console is there.
"""

import asyncio
from typing import Protocol

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pyd_guest.api import query
from pyd_guest.api.attach_hub import AttachHubs, Attachment, Client, Hub
from pyd_guest.api.crossing import Streams, Workers
from pyd_guest.api.detach import Detector, parse_keys
from pyd_guest.api.edge import api_version
from pyd_guest.api.hijack import MULTIPLEXED, RAW, HijackResponse, RawStream, wants_upgrade
from pyd_guest.api.logs import replay
from pyd_guest.engine.logs import LogSource, Selection


class Attaches(Protocol):
    """The engine's calls behind this router."""

    def attach(self, ref: str) -> Attachment:
        """Return how to reach the container's console."""

    def log_source(self, ref: str) -> LogSource:
        """Return where its output is kept."""


def router(containers: Attaches, hubs: AttachHubs, workers: Workers, streams: Streams) -> APIRouter:
    """Return the attach route."""

    async def attach(request: Request) -> Response:
        keys = parse_keys(query.text(request, "detachKeys"))
        ref: str = request.path_params["ref"]
        attachment = await workers.quick(containers.attach, ref)
        hubs.open(attachment)
        logs, live, stdin, stdout, stderr = (
            query.boolean(request, name) for name in ("logs", "stream", "stdin", "stdout", "stderr")
        )
        source = await workers.quick(containers.log_source, ref) if logs else None

        async def session(stream: RawStream) -> None:
            with streams.member():
                if source is not None:
                    selection = Selection(stdout=stdout, stderr=stderr)
                    await replay(source, selection, stream, workers)
                if live and (stdin or stdout or stderr):
                    hub, client = hubs.join(attachment, stdout=stdout, stderr=stderr)
                    detector = Detector(keys) if attachment.tty else None
                    await converse(hub, client, stream, stdin=stdin, detector=detector)

        return HijackResponse(session, media_type=media_type(request, tty=attachment.tty))

    routes = APIRouter()
    routes.add_route("/containers/{ref:path}/attach", attach, ["POST"])
    return routes


def media_type(request: Request, *, tty: bool) -> str:
    """Return the type of the stream; the multiplexed one is named from API 1.42 on."""
    framed = not tty and api_version(request) >= (1, 42) and wants_upgrade(request.scope)
    return MULTIPLEXED if framed else RAW


async def converse(
    hub: Hub, client: Client, stream: RawStream, *, stdin: bool, detector: Detector | None
) -> None:
    """Carry input and output until the output ends, the keys to detach come or the client goes."""
    output = asyncio.create_task(_carry_output(client, stream))
    typing = asyncio.create_task(_carry_input(hub, stream, stdin=stdin, detector=detector))
    try:
        await asyncio.wait((output, typing), return_when=asyncio.FIRST_COMPLETED)
        if not output.done() and not typing.result():
            await output  # input is over, output is not
    finally:
        for task in (output, typing):
            task.cancel()
        await asyncio.wait((output, typing))
        await client.leave()


async def _carry_output(client: Client, stream: RawStream) -> None:
    while data := await client.read():
        if not await stream.write(data):
            return


async def _carry_input(
    hub: Hub, stream: RawStream, *, stdin: bool, detector: Detector | None
) -> bool:
    """Return True when the client detached or is gone, False when it only ended its input."""
    while data := await stream.read():
        if not stdin:
            continue
        detached = False
        if detector is not None:
            data, detached = detector.feed(data)
        if data and not await hub.write(data):
            stdin = False
        if detached:
            return True
    if stdin:
        await hub.end_input()
    return stream.closed.is_set()
