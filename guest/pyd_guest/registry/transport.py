"""HTTP/1.1 towards registries: pooled connections, deadlines, a say in which address is dialled.

The standard library's client, imported when the first pull asks for it (docs/adr/0003). Redirects
and authorization are not handled here: `client` decides about each hop.
"""

import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from urllib.parse import urlsplit

from pyd_api.errors import InternalError, InvalidRequestError

_CONNECT_TIMEOUT_S = 15.0
_IDLE_TIMEOUT_S = 30.0
_SLOW_AFTER_S = 60.0
_SLOW_BYTES_PER_S = 1024
_URL_MAX = 8192

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class ConnectionFailedError(InternalError):
    """The other side cannot be reached, hung up or is too slow."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request goes."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> "Origin":
        """Read the origin of an absolute URL; raise InvalidRequestError for any other."""
        if len(url) > _URL_MAX or any(ord(char) <= 0x20 for char in url):
            raise InvalidRequestError("the registry answered with a bad URL")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise InvalidRequestError("the registry answered with a bad URL") from error
        if parts.scheme not in ("http", "https") or not host or parts.username is not None:
            raise InvalidRequestError(f"the registry answered with a bad URL: {url[:200]}")
        return cls(parts.scheme, host, port or (443 if parts.scheme == "https" else 80))


@dataclass(slots=True)
class Response:
    """One answer; read it to its end or close it."""

    status: int
    headers: Mapping[str, str]
    url: str
    address: Address
    _raw: http.client.HTTPResponse
    _done: Callable[[bool], None]
    _began: float = field(default_factory=time.monotonic)
    _bytes: int = 0
    _finished: bool = False

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes, b"" at the end; raise ConnectionFailedError."""
        try:
            data = self._raw.read1(size)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise ConnectionFailedError(f'Get "{self.url}": {_reason(error)}') from error
        self._bytes += len(data)
        elapsed = time.monotonic() - self._began
        if elapsed > _SLOW_AFTER_S and self._bytes / elapsed < _SLOW_BYTES_PER_S:
            self.close()
            raise ConnectionFailedError(f'Get "{self.url}": the registry sends too slowly')
        if not data:
            whole = not self._raw.length
            self._finish(whole=whole)
            if not whole:
                raise ConnectionFailedError(f'Get "{self.url}": unexpected EOF')
        return data

    def read_all(self, limit: int) -> bytes:
        """Return the whole body; raise InvalidRequestError past ``limit`` bytes."""
        parts, size = [], 0
        while data := self.read(min(limit + 1, 1 << 16)):
            size += len(data)
            if size > limit:
                self.close()
                raise InvalidRequestError(f"{self.url} is larger than {limit} bytes")
            parts.append(data)
        return b"".join(parts)

    def close(self) -> None:
        """Give the connection up, unless the answer was read to its end."""
        self._finish(whole=False)

    def _finish(self, *, whole: bool) -> None:
        if self._finished:
            return
        self._finished = True
        self._raw.close()
        self._done(whole)


class Transport:
    """Connections for one pull; safe to use from its threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._idle: dict[Origin, list[http.client.HTTPConnection]] = {}
        self._open: set[http.client.HTTPConnection] = set()
        self._closed = False

    def request(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        allow: Callable[[Address], None],
        verify: bool = True,
    ) -> Response:
        """GET ``url``; ``allow`` raises if the address that was dialled is not acceptable.

        Without ``verify`` any certificate will do.
        """
        origin = Origin.of(url)
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        while True:
            connection, fresh = self._take(origin, url, verify=verify)
            try:
                address = _peer(connection)
                allow(address)
                connection.request("GET", target, headers={**headers})
                raw = connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                self._drop(connection)
                if fresh:
                    raise ConnectionFailedError(f'Get "{url}": {_reason(error)}') from error
                continue  # the server had closed the idle connection
            except BaseException:
                self._drop(connection)
                raise
            done = partial(self._give_back, origin, connection, raw)
            headers_in = {name.lower(): value for name, value in raw.getheaders()}
            return Response(raw.status, headers_in, url, address, raw, done)

    def close(self) -> None:
        """Close every connection, also under the hands of other threads, which then fail."""
        with self._lock:
            self._closed = True
            idle = [connection for some in self._idle.values() for connection in some]
            self._idle.clear()
            busy = self._open.difference(idle)
        for connection in idle:
            self._drop(connection)
        for connection in busy:
            if (sock := connection.sock) is not None:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # not connected any more

    def _take(
        self, origin: Origin, url: str, *, verify: bool
    ) -> tuple[http.client.HTTPConnection, bool]:
        with self._lock:
            if self._closed:
                raise ConnectionFailedError("the pull was given up")
            if idle := self._idle.get(origin):
                return idle.pop(), False
        connection = self._connect(origin, url, verify=verify)
        with self._lock:
            self._open.add(connection)
        return connection, True

    def _connect(self, origin: Origin, url: str, *, verify: bool) -> http.client.HTTPConnection:
        if origin.scheme == "https":
            context = ssl.create_default_context()
            if not verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                origin.host, origin.port, timeout=_CONNECT_TIMEOUT_S, context=context
            )
        else:
            connection = http.client.HTTPConnection(
                origin.host, origin.port, timeout=_CONNECT_TIMEOUT_S
            )
        try:
            connection.connect()
        except ssl.SSLError:
            connection.close()
            raise
        except OSError as error:
            connection.close()
            where = f"{origin.host}:{origin.port}"
            raise ConnectionFailedError(
                f'Get "{url}": dial tcp {where}: {_reason(error)}'
            ) from error
        connection.sock.settimeout(_IDLE_TIMEOUT_S)
        return connection

    def _give_back(
        self,
        origin: Origin,
        connection: http.client.HTTPConnection,
        raw: http.client.HTTPResponse,
        whole: bool,
    ) -> None:
        if not whole or raw.will_close:
            self._drop(connection)
            return
        with self._lock:
            idle = self._idle.setdefault(origin, [])
            if not self._closed:
                idle.append(connection)
                return
        self._drop(connection)

    def _drop(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            self._open.discard(connection)
        connection.close()


def _peer(connection: http.client.HTTPConnection) -> Address:
    text: str = connection.sock.getpeername()[0]
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _reason(error: Exception) -> str:
    """Say what happened, as Go does where clients look for it."""
    if isinstance(error, ConnectionRefusedError):
        return "connect: connection refused"
    if isinstance(error, socket.gaierror):
        return "lookup: no such host"
    if isinstance(error, TimeoutError):
        return "i/o timeout"
    if isinstance(error, http.client.IncompleteRead | http.client.RemoteDisconnected):
        return "unexpected EOF"
    return str(error) or type(error).__name__
