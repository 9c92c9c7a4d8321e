"""Parts of the Docker Engine API 1.50 that pyd does not have, answered so that clients understand.

Swarm answers 503 as an engine outside a swarm does, plugins are an empty list, the rest 501 with
the name of the part. A router that serves one of these paths comes first and wins.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pyd_api.errors import InvalidRequestError, NotFoundError, UnavailableError, UnsupportedError

_NOT_A_MANAGER: Final = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect '
    "this node to swarm and try again."
)
_NOT_IN_A_SWARM: Final = "This node is not part of a swarm"

_SWARM: Final = ("swarm", "nodes", "services", "tasks", "secrets", "configs")

_PREDEFINED: Final = ("bridge", "host", "none")

# what is missing -> method and path
_MISSING: Final[dict[str, tuple[str, ...]]] = {
    "container export": ("GET /containers/{name:path}/export",),
    "container changes": ("GET /containers/{name:path}/changes",),
    "container stats": ("GET /containers/{name:path}/stats",),
    "container top": ("GET /containers/{name:path}/top",),
    "container pause": (
        "POST /containers/{name:path}/pause",
        "POST /containers/{name:path}/unpause",
    ),
    "container update": ("POST /containers/{name:path}/update",),
    "container checkpoints": (
        "GET /containers/{name:path}/checkpoints",
        "POST /containers/{name:path}/checkpoints",
        "DELETE /containers/{name:path}/checkpoints/{checkpoint}",
    ),
    "copying to and from containers": (
        "HEAD /containers/{name:path}/archive",
        "GET /containers/{name:path}/archive",
        "PUT /containers/{name:path}/archive",
    ),
    "attach over WebSocket": ("GET /containers/{name:path}/attach/ws",),
    "pruning containers": ("POST /containers/prune",),
    "committing containers": ("POST /commit",),
    "building images": ("POST /build", "POST /build/prune", "POST /build/cancel"),
    "BuildKit": ("POST /grpc",),
    "saving images": ("GET /images/get", "GET /images/{name:path}/get"),
    "pushing images": ("POST /images/{name:path}/push",),
    "searching images": ("GET /images/search",),
    "pruning images": ("POST /images/prune",),
    "image attestations": ("GET /images/{name:path}/attestations",),
    "distribution": ("GET /distribution/{name:path}/json",),
    "registry logins": ("POST /auth",),
    "disk usage": ("GET /system/df",),
    "networks": (
        "GET /networks",
        "POST /networks/create",
        "POST /networks/prune",
        "POST /networks/{id:path}/connect",
        "POST /networks/{id:path}/disconnect",
        "DELETE /networks/{id:path}",
    ),
    "volumes": (
        "POST /volumes/create",
        "POST /volumes/prune",
        "PUT /volumes/{name:path}",
    ),
    "plugins": (
        "GET /plugins/privileges",
        "POST /plugins/pull",
        "POST /plugins/create",
        "POST /plugins/{name:path}/set",
        "POST /plugins/{name:path}/push",
        "POST /plugins/{name:path}/upgrade",
    ),
}


def router() -> APIRouter:
    """Return the routes of everything that is missing."""
    routes = APIRouter()
    for noun in _SWARM:
        routes.add_route(f"/{noun}", _swarm, ["GET", "POST"])
        routes.add_route(f"/{noun}/{{rest:path}}", _swarm, ["GET", "POST", "DELETE"])
    routes.add_route("/session", _session, ["POST"])
    routes.add_route("/plugins", _empty_list, ["GET"])
    routes.add_route("/volumes", _no_volumes, ["GET"])
    for noun, operations in _MISSING.items():
        for operation in operations:
            method, path = operation.split(" ")
            routes.add_route(path, _missing(noun), [method])
    routes.add_route("/plugins/{name:path}/{verb}", _no_plugin, ["GET", "POST"])
    routes.add_route("/plugins/{name:path}", _no_plugin, ["DELETE"])
    routes.add_route("/volumes/{name:path}", _no_volume, ["GET", "DELETE"])
    routes.add_route("/networks/{id:path}", _network, ["GET"])
    return routes


def _missing(noun: str) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_request: Request) -> Response:
        raise UnsupportedError(f"{noun}: not implemented by pyd")

    return answer


async def _session(request: Request) -> Response:
    if "upgrade" not in request.headers:
        raise InvalidRequestError("no upgrade proto in request")
    raise UnsupportedError("BuildKit sessions: not implemented by pyd")


async def _swarm(request: Request) -> Response:
    path = request.scope["path"]
    if path == "/swarm/leave":
        raise UnavailableError(_NOT_IN_A_SWARM)
    if path in ("/swarm/init", "/swarm/join"):
        raise UnsupportedError("pyd does not form swarms; use Kubernetes beyond one machine")
    raise UnavailableError(_NOT_A_MANAGER)


async def _empty_list(_request: Request) -> Response:
    return JSONResponse([])


async def _no_plugin(request: Request) -> Response:
    raise NotFoundError(f'plugin "{request.path_params["name"]}" not found')


async def _no_volumes(_request: Request) -> Response:
    return JSONResponse({"Volumes": [], "Warnings": None})


async def _network(request: Request) -> Response:
    """Say that there is no such network: ``docker inspect NAME`` asks here as well."""
    name = request.path_params["id"]
    if name in _PREDEFINED:
        raise UnsupportedError("networks: not implemented by pyd")
    raise NotFoundError(f"network {name} not found")


async def _no_volume(request: Request) -> Response:
    raise NotFoundError(f"get {request.path_params['name']}: no such volume")
