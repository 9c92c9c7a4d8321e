"""``GET /events``: one JSON object a line, as things happen.

Docker Engine API, "Monitor events". The head is sent at once; ``since`` replays and, without an
``until``, the stream goes on.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Protocol

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from pyd_api.errors import InvalidRequestError
from pyd_guest.api import filters, query
from pyd_guest.api.crossing import Streams
from pyd_guest.engine.events import Event, Subscription, event_filter

_NS = 10**9


class Source(Protocol):
    """The events this router passes on."""

    def subscribe(
        self,
        wake: Callable[[], None],
        *,
        matches: Callable[[Event], bool],
        since_ns: int | None,
    ) -> Subscription:
        """Begin to queue events."""

    def unsubscribe(self, subscription: Subscription) -> None:
        """Stop."""


def router(source: Source, streams: Streams) -> APIRouter:
    """Return the events route."""

    async def events(request: Request) -> Response:
        since_ns, until_ns = _moment(request, "since"), _moment(request, "until")
        if since_ns is not None and until_ns is not None and since_ns > until_ns:
            raise InvalidRequestError(
                f"`since` time ({request.query_params['since']}) cannot be after "
                f"`until` time ({request.query_params['until']})"
            )
        if since_ns is None and until_ns is not None:
            since_ns = 0  # an end alone asks for what has been until then
        wanted = event_filter(filters.parse(request))

        def matches(event: Event) -> bool:
            return (not until_ns or event.time_ns <= until_ns) and wanted(event)

        async def lines() -> AsyncIterator[bytes]:
            with streams.member():
                async for event in _events(source, matches, since_ns, until_ns):
                    yield json.dumps(event.to_wire(), separators=(",", ":")).encode() + b"\n"

        return StreamingResponse(lines(), media_type="application/json")

    routes = APIRouter()
    routes.add_route("/events", events, ["GET"])
    return routes


def _moment(request: Request, name: str) -> int | None:
    """Return the time asked for; 0 is one too here: ``since=0`` is everything there is."""
    value = request.query_params.get(name, "")
    return query.parse_timestamp_ns(value) if value else None


async def _events(
    source: Source,
    matches: Callable[[Event], bool],
    since_ns: int | None,
    until_ns: int | None,
) -> AsyncIterator[Event]:
    """Yield events until ``until``, or until the client has fallen too far behind."""
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()

    def wake() -> None:
        with suppress(RuntimeError):  # the loop may be closed by then
            loop.call_soon_threadsafe(arrived.set)

    subscription = source.subscribe(wake, matches=matches, since_ns=since_ns)
    deadline = None if until_ns is None else loop.time() + until_ns / _NS - time.time()
    try:
        while True:
            arrived.clear()
            for event in subscription.take():
                yield event
            if subscription.overrun:
                return
            async with asyncio.timeout_at(deadline):
                await arrived.wait()
    except TimeoutError:
        for event in subscription.take():
            yield event
    finally:
        source.unsubscribe(subscription)
