"""``/images``: list, inspect, history, tag, remove, and the three ways in: load, import, pull.

Docker Engine API 1.50, "Image". Shapes of older versions are made here from the newest.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pyd_api.errors import InvalidRequestError, PydError, UnsupportedError
from pyd_guest.api import filters, query
from pyd_guest.api.crossing import Workers
from pyd_guest.api.edge import api_version
from pyd_guest.api.image_upload import Upload
from pyd_guest.api.stream import Progress, json_stream

_FILTERS: Final = ("before", "dangling", "label", "reference", "since")
_LINGER_S: Final = 0.2
_OLD_CONFIG: Final[Mapping[str, object]] = {
    "AttachStderr": False,
    "AttachStdin": False,
    "AttachStdout": False,
    "Domainname": "",
    "Hostname": "",
    "Image": "",
    "OpenStdin": False,
    "StdinOnce": False,
    "Tty": False,
}
_NO_CONFIG: Final[Mapping[str, object]] = {
    **_OLD_CONFIG,
    "Cmd": None,
    "Entrypoint": None,
    "Env": None,
    "Labels": None,
    "OnBuild": None,
    "User": "",
    "Volumes": None,
    "WorkingDir": "",
}


class File(Protocol):
    """What an archive is read from."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes, b"" at the end."""


class Images(Protocol):
    """The calls behind this router: synchronous, PydError to refuse."""

    def list(
        self, filters: Mapping[str, Sequence[str]], *, shared_size: bool
    ) -> Sequence[dict[str, object]]:
        """List images, newest first."""

    def inspect(self, name: str) -> dict[str, object]:
        """Describe one image."""

    def history(self, name: str) -> Sequence[dict[str, object]]:
        """List how an image came about."""

    def tag(self, name: str, repository: str, tag: str) -> None:
        """Give an image another name."""

    def remove(self, name: str, *, force: bool) -> Sequence[dict[str, str]]:
        """Remove a name, and the image with its last one."""

    def load(self, file: File, progress: Progress, *, quiet: bool) -> None:
        """Load an archive of images."""

    def import_archive(
        self,
        file: File,
        progress: Progress,
        *,
        repository: str,
        tag: str,
        message: str,
        changes: Sequence[str],
        platform: str | None,
    ) -> None:
        """Make an image of a file system archive."""

    def pull(
        self, name: str, tag: str, progress: Progress, *, auth: str | None, platform: str | None
    ) -> None:
        """Get an image from its registry."""


def router(images: Images, workers: Workers) -> APIRouter:
    """Return the routes over ``images``."""
    routes = APIRouter()

    @routes.get("/images/json")
    async def listed(request: Request) -> Response:
        """List images."""
        wanted = filters.parse(request, known=_FILTERS)
        shared = query.boolean(request, "shared-size")
        found = await workers.quick(images.list, wanted, shared_size=shared)
        return JSONResponse([_old_summary(request, summary) for summary in found])

    @routes.post("/images/create")
    async def create(request: Request) -> Response:
        """Pull or import."""
        name, source = query.text(request, "fromImage"), query.text(request, "fromSrc")
        if name is not None:
            return await _pull(images, request, name)
        if source is None:
            raise InvalidRequestError("fromImage or fromSrc is required")
        if source != "-":
            raise UnsupportedError("importing from a URL is not supported: send the archive itself")
        return await _import(images, request)

    @routes.post("/images/load")
    async def load(request: Request) -> Response:
        """Load an archive."""
        _refuse(request, "platform", "loading one platform of an archive")
        quiet = query.boolean(request, "quiet", default=True)
        return await _uploaded(
            request, lambda file, progress: images.load(file, progress, quiet=quiet)
        )

    @routes.get("/images/{name:path}/json")
    async def inspect(name: str, request: Request) -> Response:
        """Describe one image."""
        _refuse(request, "platform", "inspecting one platform of an image")
        document = await workers.quick(images.inspect, name)
        return JSONResponse(_old_document(request, document))

    @routes.get("/images/{name:path}/history")
    async def history(name: str, request: Request) -> Response:
        """List the steps of an image."""
        _refuse(request, "platform", "the history of one platform of an image")
        return JSONResponse(await workers.quick(images.history, name))

    @routes.post("/images/{name:path}/tag")
    async def tag(name: str, request: Request) -> Response:
        """Name an image once more."""
        repository, word = query.text(request, "repo") or "", query.text(request, "tag") or ""
        await workers.quick(images.tag, name, repository, word)
        return Response(status_code=201)

    @routes.delete("/images/{name:path}")
    async def remove(name: str, request: Request) -> Response:
        """Remove a name or an image."""
        _refuse(request, "platforms", "removing one platform of an image")
        force = query.boolean(request, "force")
        return JSONResponse(await workers.quick(images.remove, name, force=force))

    return routes


def _refuse(request: Request, parameter: str, what: str) -> None:
    if query.text(request, parameter) is not None:
        raise UnsupportedError(f"{what} is not supported ({parameter})")


async def _pull(images: Images, request: Request, name: str) -> Response:
    tag, platform = query.text(request, "tag") or "", query.text(request, "platform")
    auth = request.headers.get("x-registry-auth")
    return await json_stream(
        lambda progress: images.pull(name, tag, progress, auth=auth, platform=platform)
    )


async def _import(images: Images, request: Request) -> Response:
    options = {key: query.text(request, key) or "" for key in ("repo", "tag", "message")}
    changes = request.query_params.getlist("changes")
    platform = query.text(request, "platform")
    return await _uploaded(
        request,
        lambda file, progress: images.import_archive(
            file,
            progress,
            repository=options["repo"],
            tag=options["tag"],
            message=options["message"],
            changes=changes,
            platform=platform,
        ),
    )


async def _uploaded(request: Request, work: Callable[[File, Progress], None]) -> Response:
    """Run ``work`` in a thread over the request's body; its reports are the answer.

    No report comes before the body was read to its end, so that the answer does not begin while
    the client is still sending.
    """
    upload = Upload()
    filling = asyncio.create_task(upload.fill(request.stream()))
    try:
        return await json_stream(lambda progress: work(upload, progress))
    except PydError:
        # A client that is still sending would meet a closed connection instead of the answer.
        await asyncio.wait({filling}, timeout=_LINGER_S)
        raise
    finally:
        filling.cancel()
        await asyncio.gather(filling, return_exceptions=True)


def _old_summary(request: Request, summary: dict[str, object]) -> dict[str, object]:
    version = api_version(request)
    if version < (1, 44):
        summary = {**summary, "VirtualSize": summary["Size"]}
    if version < (1, 43) and not summary["RepoDigests"]:
        nameless = not summary["RepoTags"]
        summary["RepoDigests"] = ["<none>@<none>"] if nameless else None
        summary["RepoTags"] = ["<none>:<none>"] if nameless else summary["RepoTags"]
    return summary


def _old_document(request: Request, document: dict[str, object]) -> dict[str, object]:
    version = api_version(request)
    config = document["Config"]
    if version < (1, 50) and isinstance(config, dict):
        document = {**document, "Config": {**_OLD_CONFIG, **config}}
    if version < (1, 45):
        document["ContainerConfig"] = dict(_NO_CONFIG)
    if version < (1, 44):
        document["VirtualSize"] = document["Size"]
    return document
