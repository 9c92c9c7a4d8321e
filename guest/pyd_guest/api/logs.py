"""``GET /containers/{id}/logs``: what a container has written, and what it writes from now on.

Docker Engine API, "Get container logs". Following sleeps on inotify and on the container's end.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing
from typing import Final, Protocol

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from pyd_api.errors import InvalidRequestError
from pyd_guest.api import query
from pyd_guest.api.crossing import Streams, Workers, settled
from pyd_guest.api.edge import api_version
from pyd_guest.api.hijack import MULTIPLEXED, RAW, RawStream
from pyd_guest.engine.logs import LogReader, LogSource, Renderer, Selection
from pyd_guest.linux.inotify import IN_ATTRIB, IN_DELETE_SELF, IN_MODIFY, IN_MOVE_SELF, Inotify

_CHANGES: Final = IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF


class Logs(Protocol):
    """The engine's call behind this router."""

    def log_source(self, ref: str) -> LogSource:
        """Return where the container's output is kept; refuses where it is not kept."""


def router(containers: Logs, workers: Workers, streams: Streams) -> APIRouter:
    """Return the logs route."""

    async def logs(request: Request) -> Response:
        selection = _selection(request)
        follow, tail = query.boolean(request, "follow"), _tail(request)
        ref: str = request.path_params["ref"]
        source = await workers.quick(containers.log_source, ref)
        output = read(source, selection, workers, tail=tail, follow=follow)
        await anext(output)  # what is written once the client has the head is not missed

        async def lines() -> AsyncIterator[bytes]:
            async with aclosing(output):
                with streams.member():
                    async for data in output:
                        yield data

        framed = not source.tty and api_version(request) >= (1, 42)
        return StreamingResponse(lines(), media_type=MULTIPLEXED if framed else RAW)

    routes = APIRouter()
    routes.add_route("/containers/{ref:path}/logs", logs, ["GET"])
    return routes


def _selection(request: Request) -> Selection:
    stdout, stderr = query.boolean(request, "stdout"), query.boolean(request, "stderr")
    if not stdout and not stderr:
        raise InvalidRequestError("Bad parameters: you must choose at least one stream")
    return Selection(
        stdout=stdout,
        stderr=stderr,
        timestamps=query.boolean(request, "timestamps"),
        details=query.boolean(request, "details"),
        since_ns=query.timestamp_ns(request, "since"),
        until_ns=query.timestamp_ns(request, "until"),
    )


def _tail(request: Request) -> int | None:
    """Return how many lines; like dockerd, what is no number means all of them."""
    value = request.query_params.get("tail", "")
    return min(int(value), 2**31) if value.isascii() and value.isdigit() else None


async def read(
    source: LogSource,
    selection: Selection,
    workers: Workers,
    *,
    tail: int | None = None,
    follow: bool = False,
) -> AsyncGenerator[bytes, None]:
    """Yield the selected output; ``follow`` goes on until the container ends or is removed.

    The first item is empty and comes once the place to begin at is settled.
    """
    renderer = Renderer(selection, tty=source.tty)
    async with AsyncExitStack() as stack:
        changes = await _changes(source, stack) if follow else None
        reader = stack.enter_context(LogReader(source.path, tail=tail))
        await workers.quick(reader.open)
        yield b""
        while not renderer.finished:
            ended = source.ended.done()  # looked at first: what was written before it is read
            records = await workers.quick(reader.read)
            if records:
                if data := renderer.render(records):
                    yield data
            elif changes is None or ended or not await _next(changes, selection.until_ns):
                return


async def _changes(source: LogSource, stack: AsyncExitStack) -> asyncio.Event:
    """Return an event that is set whenever the log changes or the container ends."""
    loop = asyncio.get_running_loop()
    changed = asyncio.Event()
    inotify = stack.enter_context(Inotify())
    try:
        inotify.watch(source.path, _CHANGES)
    except FileNotFoundError:
        inotify.watch(source.path.parent, _CHANGES)

    def on_change() -> None:
        inotify.drain()
        changed.set()

    async def on_end() -> None:
        await settled(source.ended)
        changed.set()

    loop.add_reader(inotify.fileno(), on_change)
    stack.callback(loop.remove_reader, inotify.fileno())
    stack.callback(asyncio.create_task(on_end()).cancel)
    return changed


async def _next(changed: asyncio.Event, until_ns: int | None) -> bool:
    """Wait for a change; False when ``until`` comes first."""
    timeout_s = None if until_ns is None else until_ns / 10**9 - time.time()
    try:
        async with asyncio.timeout(timeout_s):
            await changed.wait()
    except TimeoutError:
        return False
    changed.clear()
    return True


async def replay(
    source: LogSource, selection: Selection, stream: RawStream, workers: Workers
) -> None:
    """Write what is in the log to a hijacked connection."""
    async with aclosing(read(source, selection, workers)) as output:
        async for data in output:
            if data and not await stream.write(data):
                return
