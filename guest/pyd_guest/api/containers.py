"""``/containers``: list, create, inspect and the verbs of a container's life.

Docker Engine API 1.50, "Container". Streams are elsewhere: `attach`, `logs`, `exec`.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Final, Protocol

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from pyd_api.errors import InvalidRequestError
from pyd_guest.api import filters, query
from pyd_guest.api.body import JsonObject, read_json
from pyd_guest.api.crossing import Outcome, Streams, Workers, settled
from pyd_guest.api.detach import parse_keys
from pyd_guest.api.edge import api_version

_NOT_RUNNING: Final = "not-running"
_CONDITIONS: Final = (_NOT_RUNNING, "next-exit", "removed")


class CreateResult(Protocol):
    """What a create answers."""

    @property
    def id(self) -> str:
        """The new container's id."""

    @property
    def warnings(self) -> list[str]:
        """What was accepted and cannot be had on this machine."""


class WaitResult(Protocol):
    """What a wait answers."""

    @property
    def status_code(self) -> int:
        """The exit code."""

    @property
    def error(self) -> str | None:
        """Why there is no proper exit code."""


class Containers(Protocol):
    """The engine's calls behind this router.

    All are synchronous and raise PydError to refuse. ``ref`` is an id, an unambiguous beginning
    of one, or a name with or without its slash.
    """

    def list(
        self,
        *,
        all: bool,  # noqa: A002 - the word of the API
        limit: int | None,
        size: bool,
        filters: Mapping[str, list[str]],
    ) -> list[JsonObject]:
        """Return the rows of the list."""

    def create(
        self, name: str | None, body: Mapping[str, object], *, platform: str | None
    ) -> CreateResult:
        """Make a container."""

    def inspect(self, ref: str, *, size: bool) -> JsonObject:
        """Return everything about one container."""

    def start(self, ref: str) -> None:
        """Start it; NotModifiedError when it runs."""

    def stop(self, ref: str, *, signal: str | None, timeout_s: int | None) -> None:
        """Stop it; NotModifiedError when it does not run."""

    def restart(self, ref: str, *, signal: str | None, timeout_s: int | None) -> None:
        """Stop and start it."""

    def kill(self, ref: str, signal: str | None) -> None:
        """Send a signal."""

    def remove(self, ref: str, *, force: bool, volumes: bool, link: bool) -> None:
        """Remove it."""

    def rename(self, ref: str, name: str) -> None:
        """Give it another name."""

    def resize(self, ref: str, *, height: int, width: int) -> None:
        """Set the size of its terminal."""

    def wait(self, ref: str, condition: str) -> Outcome[WaitResult]:
        """Return a future of the exit; the refusal of an unknown container comes at once."""


def router(containers: Containers, workers: Workers, streams: Streams) -> APIRouter:
    """Return the routes over ``containers``."""
    handlers = _Handlers(containers, workers, streams)
    routes = APIRouter()
    one = "/containers/{ref:path}"
    routes.add_route(f"{one}/wait", handlers.wait, ["POST"])
    routes.add_route("/containers/create", handlers.create, ["POST"])
    routes.add_route(f"{one}/start", handlers.start, ["POST"])
    routes.add_route("/containers/json", handlers.list, ["GET"])
    routes.add_route(f"{one}/json", handlers.inspect, ["GET"])
    routes.add_route(f"{one}/stop", handlers.stop, ["POST"])
    routes.add_route(f"{one}/restart", handlers.restart, ["POST"])
    routes.add_route(f"{one}/kill", handlers.kill, ["POST"])
    routes.add_route(f"{one}/rename", handlers.rename, ["POST"])
    routes.add_route(f"{one}/resize", handlers.resize, ["POST"])
    routes.add_route(one, handlers.remove, ["DELETE"])
    return routes


class _Handlers:
    """One method per operation: read the request, call the engine, shape the answer."""

    def __init__(self, containers: Containers, workers: Workers, streams: Streams) -> None:
        self._containers = containers
        self._workers = workers
        self._streams = streams

    async def list(self, request: Request) -> Response:
        limit = query.integer(request, "limit")
        rows = await self._workers.quick(
            self._containers.list,
            all=query.boolean(request, "all"),
            limit=limit if limit is not None and limit > 0 else None,
            size=query.boolean(request, "size"),
            filters=filters.containers(request),
        )
        return JSONResponse(rows)

    async def create(self, request: Request) -> Response:
        body = await read_json(request, required=True, go_type="container.CreateRequest")
        if not body:
            raise InvalidRequestError("config cannot be empty in order to create a container")
        platform = query.text(request, "platform") if api_version(request) >= (1, 41) else None
        created = await self._workers.quick(
            self._containers.create, query.text(request, "name"), body, platform=platform
        )
        return JSONResponse({"Id": created.id, "Warnings": created.warnings}, 201)

    async def inspect(self, request: Request) -> Response:
        size = query.boolean(request, "size")
        return JSONResponse(
            await self._workers.quick(self._containers.inspect, _ref(request), size=size)
        )

    async def start(self, request: Request) -> Response:
        parse_keys(query.text(request, "detachKeys"))
        await self._workers.quick(self._containers.start, _ref(request))
        return Response(status_code=204)

    async def stop(self, request: Request) -> Response:
        await self._workers.slow(
            self._containers.stop,
            _ref(request),
            signal=query.text(request, "signal"),
            timeout_s=query.integer(request, "t"),
        )
        return Response(status_code=204)

    async def restart(self, request: Request) -> Response:
        await self._workers.slow(
            self._containers.restart,
            _ref(request),
            signal=query.text(request, "signal"),
            timeout_s=query.integer(request, "t"),
        )
        return Response(status_code=204)

    async def kill(self, request: Request) -> Response:
        await self._workers.slow(
            self._containers.kill, _ref(request), query.text(request, "signal")
        )
        return Response(status_code=204)

    async def rename(self, request: Request) -> Response:
        name = request.query_params.get("name", "")
        await self._workers.quick(self._containers.rename, _ref(request), name)
        return Response(status_code=204)

    async def resize(self, request: Request) -> Response:
        height, width = query.size(request)
        await self._workers.quick(
            self._containers.resize, _ref(request), height=height, width=width
        )
        return Response(status_code=200)

    async def remove(self, request: Request) -> Response:
        await self._workers.slow(
            self._containers.remove,
            _ref(request),
            force=query.boolean(request, "force"),
            volumes=query.boolean(request, "v"),
            link=query.boolean(request, "link"),
        )
        return Response(status_code=204)

    async def wait(self, request: Request) -> Response:
        """Answer with the head at once, with the exit code when there is one."""
        condition = _condition(request)
        outcome = await self._workers.quick(self._containers.wait, _ref(request), condition)

        async def answer() -> AsyncIterator[bytes]:
            try:
                with self._streams.member():
                    await settled(outcome)
            finally:
                outcome.cancel()  # does nothing once it is done
            if self._streams.ending:
                raise asyncio.CancelledError  # an empty answer would read as an exit
            result = outcome.result(0)
            body: dict[str, object] = {"StatusCode": result.status_code}
            if result.error:
                body["Error"] = {"Message": result.error}
            yield json.dumps(body, separators=(",", ":")).encode() + b"\n"

        return StreamingResponse(answer(), media_type="application/json")


def _condition(request: Request) -> str:
    if api_version(request) < (1, 30):
        return _NOT_RUNNING
    condition = query.text(request, "condition") or _NOT_RUNNING
    if condition not in _CONDITIONS:
        raise InvalidRequestError(f"invalid condition: {query.go_quote(condition[:100])}")
    return condition


def _ref(request: Request) -> str:
    ref: str = request.path_params["ref"]
    return ref
