"""What happens to every request before a router sees it, as one plain ASGI layer.

- The version prefix ``/v1.24`` to ``/v1.50``, or none, is checked and removed (Docker Engine API,
  "Versioning"). The path was decoded once by the server and is not decoded again.
- Browsers are kept out: a page on the web may not talk to the engine behind the user's back.
- Every answer carries the engine's headers, and no exception leaves as anything but an answer.
"""

import ipaddress
import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pyd_guest.api.errors import NOT_FOUND, error_response, log_bug

API_VERSION: Final = "1.50"
MIN_API_VERSION: Final = "1.24"

_PREFIX = re.compile(r"/v([0-9.]+)(/.*)", re.DOTALL)
_VERSION = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})*")
_UNCLEAN = re.compile(r"//|/\.{1,2}(?:/|$)|[\x00-\x1f\x7f]")
_OWN_HOSTS: Final = frozenset(("localhost", "docker"))

_KEY: Final = "pyd.api_version"
ENGINE_HEADERS: Final = "pyd.engine_headers"
"""Where a handler that writes its own head finds the headers of every answer."""

Version = tuple[int, ...]


def parse_version(text: str) -> Version:
    """Turn ``1.24`` into (1, 24)."""
    return tuple(int(part) for part in text.split("."))


_MAX: Final = parse_version(API_VERSION)
_MIN: Final = parse_version(MIN_API_VERSION)


def api_version(request: Request) -> Version:
    """Return the version the client speaks; the newest when it did not say."""
    version: Version = request.scope.get(_KEY, _MAX)
    return version


class Edge:
    """The outermost application."""

    def __init__(self, app: ASGIApp, *, headers: dict[str, str]) -> None:
        self._app = app
        self._headers = headers
        self._raw_headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in headers.items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, route and always answer."""
        if scope["type"] != "http":
            return
        started = False
        scope[ENGINE_HEADERS] = self._headers

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message = {**message, "headers": [*message.get("headers", ()), *self._raw_headers]}
            await send(message)

        refusal = _refuse(scope)
        if refusal is not None:
            await refusal(scope, receive, send_with_headers)
            return
        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:  # noqa: BLE001 - the request handler: the daemon must live on
            log_bug(scope["method"], scope["path"], error)
            if not started:
                answer = error_response(500, "internal error: see the log of the daemon")
                await answer(scope, receive, send_with_headers)


def _refuse(scope: Scope) -> Response | None:
    """Return the refusal, or None after the version prefix has been taken off ``scope``."""
    fault = _from_a_browser(scope)
    if fault is not None:
        return error_response(403, fault)
    path: str = scope["path"]
    prefix = _PREFIX.fullmatch(path)
    if prefix is not None:
        fault = _set_version(scope, prefix[1])
        if fault is not None:
            return error_response(400, fault)
        path = scope["path"] = prefix[2]
    if _UNCLEAN.search(path):
        return error_response(404, NOT_FOUND)
    return None


def _set_version(scope: Scope, text: str) -> str | None:
    shown = text[:40]
    if not _VERSION.fullmatch(text):
        return f"invalid API version: {shown}"
    version = parse_version(text)
    if version < _MIN:
        return (
            f"client version {shown} is too old. Minimum supported API version is "
            f"{MIN_API_VERSION}, please upgrade your client to a newer version"
        )
    if version > _MAX:
        return f"client version {shown} is too new. Maximum supported API version is {API_VERSION}"
    scope[_KEY] = version
    return None


def _from_a_browser(scope: Scope) -> str | None:
    """Say why a request looks like the work of a foreign web page, or return None."""
    host = origin = site = ""
    for name, value in scope["headers"]:
        if name == b"host":
            host = value.decode("latin-1")
        elif name == b"origin":
            origin = value.decode("latin-1")
        elif name == b"sec-fetch-site":
            site = value.decode("latin-1")
    if site not in ("", "none", "same-origin"):
        return f"requests from web pages are refused (Sec-Fetch-Site: {site[:40]})"
    if origin and origin.partition("://")[2] != host:
        return f"requests from web pages are refused (Origin: {origin[:100]})"
    over_tcp = (scope.get("server") or ("", None))[1] is not None
    if over_tcp and scope["scheme"] == "http" and not _is_own_host(host):
        return f"the host name {host[:100]!r} is not one of this engine"
    return None


def _is_own_host(host: str) -> bool:
    """Whether a Host header is an address or a local name, which DNS rebinding cannot use."""
    name = host.lower().rpartition(":")[0] if re.search(r":[0-9]+$", host) else host.lower()
    if not name or name in _OWN_HOSTS or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
