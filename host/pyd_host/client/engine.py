"""The Engine API as a client calls it: versioned targets, JSON bodies, errors mapped back.

Nothing is asked before the first real request: the version in the path is the newest that pyd
knows, and an engine that is older says so in its refusal, which names its own (Docker's client
pings first, one round trip for every command).
"""

import json
import os
import socket
from collections.abc import Iterable, Mapping, Sequence

from pyd_host.client.address import Address
from pyd_host.client.connect import dial
from pyd_host.client.http import Connection, ConnectionLostError, Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

API_VERSION = "1.50"
_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")
_TOO_NEW = "Maximum supported API version is "

Query = Mapping[str, "str | int | bool | Mapping[str, Sequence[str]] | Sequence[str] | None"]


def escape(text: str, safe: bytes = b"") -> str:
    """Percent-encode for a path segment or a query value (RFC 3986)."""
    raw = text.encode("utf-8", "surrogateescape")
    return "".join(chr(c) if c in _SAFE or c in safe else f"%{c:02X}" for c in raw)


def segment(name: str, safe: bytes = b"") -> str:
    """Encode a name or id for a path. Raises InvalidRequestError for an empty one."""
    if not name:
        from pyd_api.errors import InvalidRequestError

        raise InvalidRequestError("invalid container name or ID: value is empty")
    return escape(name, safe)


def image_segment(name: str) -> str:
    """Encode an image's name for a path, where its slashes stay."""
    return segment(name, b"/:@")


def encode_query(query: Query) -> str:
    """Write a query string; None is left out, truths become 1 and 0, filters become JSON."""
    parts: list[str] = []
    for name, value in query.items():
        if value is None:
            continue
        if isinstance(value, bool):
            value = "1" if value else "0"
        elif isinstance(value, Mapping):
            if not value:
                continue
            value = json.dumps({key: list(items) for key, items in value.items()})
        items = [str(value)] if isinstance(value, str | int) else value
        parts.extend(f"{name}={escape(item)}" for item in items)
    return "?" + "&".join(parts) if parts else ""


class Engine:
    """One engine; connections are made when needed and reused when free."""

    __slots__ = ("_connections", "_version", "address", "headers")

    def __init__(self, address: Address) -> None:
        self.address = address
        self.headers = {"Host": "docker", "User-Agent": "pyd"}
        self._version = os.environ.get("DOCKER_API_VERSION") or API_VERSION
        self._connections: list[Connection] = []

    def request(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send one request and return its answer's head. Raises the PydError of a refusal."""
        target = path + (encode_query(query) if query else "")
        response = self._exchange(method, target, body, headers or {})
        if response.status < 400:
            return response
        message = _message(response)
        if response.status == 400 and _TOO_NEW in message and not _one_shot(body):
            self._version = message.partition(_TOO_NEW)[2].strip()
            response = self._exchange(method, target, body, headers or {})
            if response.status < 400:
                return response
            message = _message(response)
        from pyd_api.errors import from_status

        raise from_status(response.status, f"Error response from daemon: {message}")

    def get(self, path: str, query: Query | None = None) -> "Any":  # noqa: ANN401 - parsed JSON; the caller names its wire shape
        """GET a JSON document."""
        return json.loads(self.request("GET", path, query).read())

    def post(
        self,
        path: str,
        query: Query | None = None,
        body: Mapping[str, object] | None = None,
    ) -> "Any":  # noqa: ANN401 - parsed JSON; the caller names its wire shape
        """POST a JSON document (or nothing); return the JSON answered, None for an empty one."""
        return _parsed(self.submit(path, query, body).read())

    def submit(
        self,
        path: str,
        query: Query | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Response:
        """POST a JSON document (or nothing) and return the answer's head."""
        encoded = None if body is None else json.dumps(body).encode()
        headers = None if body is None else {"Content-Type": "application/json"}
        return self.request("POST", path, query, encoded, headers)

    def delete(self, path: str, query: Query | None = None) -> "Any":  # noqa: ANN401 - parsed JSON; the caller names its wire shape
        """DELETE; return the JSON answered, None for an empty one."""
        return _parsed(self.request("DELETE", path, query).read())

    def hijack(
        self, path: str, query: Query | None = None, body: Mapping[str, object] | None = None
    ) -> tuple[socket.socket, bytes, Mapping[str, str]]:
        """POST and take the connection over: socket, bytes that came early, answer's headers."""
        headers = {"Connection": "Upgrade", "Upgrade": "tcp"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        encoded = b"" if body is None else json.dumps(body).encode()
        response = self.request("POST", path, query, encoded, headers)
        raw, early = response.take_over()
        return raw, early, response.headers

    def close(self) -> None:
        """Close every connection that has not been taken over."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def _exchange(
        self,
        method: str,
        target: str,
        body: bytes | Iterable[bytes] | None,
        headers: Mapping[str, str],
    ) -> Response:
        connection = self._connection()
        merged = {**self.headers, **headers}
        try:
            connection.send(method, f"/v{self._version}{target}", merged, body)
            return connection.response()
        except (ConnectionLostError, ConnectionResetError, BrokenPipeError) as error:
            connection.close()
            from pyd_api.errors import UnavailableError

            raise UnavailableError(
                f"lost the connection to the pyd daemon at {self.address.text}: {error}",
                hint="see the daemon's log",
            ) from error

    def _connection(self) -> Connection:
        for connection in self._connections:
            if connection.reusable():
                return connection
        connection = Connection(dial(self.address))
        self._connections.append(connection)
        return connection


def _one_shot(body: bytes | Iterable[bytes] | None) -> bool:
    return body is not None and not isinstance(body, bytes)


def _parsed(text: bytes) -> object:
    return json.loads(text) if text.strip() else None


def _message(response: Response) -> str:
    """Return the words of a refusal; an answer that is not the API's is shown as it stands."""
    text = response.read()
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = None
    if isinstance(parsed, dict) and isinstance(message := parsed.get("message"), str):
        return message
    return text.decode("utf-8", "replace").strip() or f"{response.status} {response.reason}"
