"""The HTTP server: uvicorn's connection handling with hijacked streams and limits added.

RFC 9112 is left to llhttp (through httptools) and uvicorn. Added here, for the Docker Engine API:

- *Hijacking.* ``scope["extensions"]["pyd.hijack"]`` takes a protocol and hands it the transport,
  with every byte that followed the request and an end of input that came early. Requests that may
  be hijacked are known by method and path, since bytes after them must not be parsed as HTTP::

      head CRLF CRLF | Content-Length bytes of body | raw bytes, kept for the hijacker
                     ^ with Upgrade the parser stops here, without it at the next bar

- *Limits.* A request head has a size and a time; an idle connection has a time.
- *No clock.* uvicorn's own Server wakes ten times a second; `serve` sleeps until it is told.
"""

import asyncio
import contextlib
import json
import logging
import re
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from email.utils import formatdate
from typing import Final

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from pyd_guest.linux.hangup import watch_hangup

_log = logging.getLogger(__name__)

HEAD_MAX_BYTES: Final = 64 * 1024
HEAD_TIMEOUT_S: Final = 30.0
KEEP_ALIVE_S: Final = 60
FINISH_TIMEOUT_S: Final = 10.0
BACKLOG: Final = 1024

_HEAD_END = re.compile(rb"\n\r?\n")  # llhttp refuses the bare forms, but must see them to do so
_HIJACKABLE = re.compile(r"(?:/v[0-9.]+)?/(?:containers/.+/attach|exec/.+/start|session|grpc)")

Hijack = Callable[[asyncio.Protocol], None]
App = Callable[..., Awaitable[None]]


class _State(ServerState):
    """What uvicorn shares between connections, with a Date that is made when it is asked for."""

    def __init__(self) -> None:
        self._date_at = 0
        self._headers: list[tuple[bytes, bytes]] = []
        super().__init__()

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """The Date of this second."""
        if (now := int(time.time())) != self._date_at:
            self._date_at = now
            self._headers = [(b"date", formatdate(now, usegmt=True).encode())]
        return self._headers

    @default_headers.setter
    def default_headers(self, value: list[tuple[bytes, bytes]]) -> None:
        """Ignore uvicorn's initial value."""


class Connection(HttpToolsProtocol):
    """One client connection; see the module's docstring for what it adds."""

    server_state: _State

    def __init__(
        self,
        config: Config,
        server_state: _State,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._head = bytearray()
        self._in_head = True
        self._head_timer: asyncio.TimerHandle | None = None
        self._body_left: int | None = None  # of this request; None: chunked, the parser knows
        self._may_hijack = False
        self._upgrade = False
        self._chunked = False
        self._message_complete = False
        self._raw = bytearray()  # what came after a request that may be hijacked
        self._eof = False
        self._unwatch: Callable[[], None] | None = None

    # Connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock of the first request head."""
        super().connection_made(transport)
        self._arm_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        self._disarm_head_timer()
        self._unset_keepalive_if_required()
        self._end_watch()
        super().connection_lost(exc)

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Keep the sending side open while an answer is due: the client may only end its input.

        A client that goes away altogether is noticed by the hang-up of its socket.
        """
        self._eof = True
        if self._in_head and (self.cycle is None or self.cycle.response_complete):
            return None
        if self._unwatch is None:  # a transport that resumes reading reports the end once more
            self._unwatch = watch_hangup(self.loop, self.transport, self.transport.abort)
        return True

    def _end_watch(self) -> None:
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None

    def _arm_head_timer(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._head_too_slow)

    def _disarm_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_too_slow(self) -> None:
        self._head_timer = None
        if self._in_head and not self.transport.is_closing():
            self.transport.close()

    # Bytes

    def data_received(self, data: bytes) -> None:
        """Cut the stream into heads, bodies and what must not be parsed."""
        self._unset_keepalive_if_required()
        while data and not self.transport.is_closing():
            if self._in_head:
                data = self._take_head(data)
            elif self._may_hijack:
                data = self._take_hijackable(data)
            elif self._body_left:
                part, data = data[: self._body_left], data[self._body_left :]
                self._body_left -= len(part)
                self._feed(part)
                self._in_head = self._body_left == 0
            else:  # chunked: where it ends only the parser knows, so it is the last one
                self._feed(data)
                return

    def _take_head(self, data: bytes) -> bytes:
        self._arm_head_timer()
        searched = max(0, len(self._head) - 3)
        self._head += data
        end = _HEAD_END.search(self._head, searched)
        if (end.end() if end else len(self._head)) > HEAD_MAX_BYTES:
            self._refuse(431, "Request Header Fields Too Large", "request header is too large")
            return b""
        if end is None:
            return b""
        head, rest = bytes(self._head[: end.end()]), bytes(self._head[end.end() :])
        self._head.clear()
        self._disarm_head_timer()
        if head.strip():
            self._begin(head)
        return rest

    def _begin(self, head: bytes) -> None:
        self._may_hijack = self._upgrade = self._chunked = self._message_complete = False
        self._body_left = 0
        before = self.cycle
        self._feed(head)
        if self.transport.is_closing() or self.cycle is before:
            return
        self._in_head = self._body_left == 0 and not self._chunked and not self._may_hijack

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._upgrade = True
            if not self._may_hijack:
                self._fresh_parser()  # the offer is declined; the next request is plain HTTP
        except httptools.HttpParserError as error:
            _log.debug("refused a request: %s", error)
            self._refuse(400, "Bad Request", "malformed HTTP request")

    def _fresh_parser(self) -> None:
        self.parser = httptools.HttpRequestParser(self)

    def _take_hijackable(self, data: bytes) -> bytes:
        if self._chunked and not self._message_complete:
            # A byte at a time, so that nothing behind the last chunk reaches the parser.
            for at in range(len(data)):
                self._feed(data[at : at + 1])
                if self._message_complete or self.transport.is_closing():
                    return data[at + 1 :]
            return b""
        if self._body_left:
            part, data = data[: self._body_left], data[self._body_left :]
            self._body_left -= len(part)
            if not self.cycle.response_complete:
                self.cycle.body += part
                self.cycle.more_body = self._body_left > 0
                self.cycle.message_event.set()
            return data
        self._raw += data
        if len(self._raw) > HEAD_MAX_BYTES:
            self.flow.pause_reading()
        return b""

    # Parser callbacks

    def on_headers_complete(self) -> None:
        """Start the request; note how its body is framed and whether it may be hijacked."""
        length, expects_upgrade = 0, False
        for name, value in self.headers:
            if name == b"content-length":
                length = int(value)  # llhttp has checked that it is one number
            elif name == b"transfer-encoding":
                self._chunked = True
            elif name == b"upgrade":
                expects_upgrade = True
        super().on_headers_complete()
        self._body_left = length
        method, path = self.scope["method"], self.scope["path"]
        self._may_hijack = method == "POST" and _HIJACKABLE.fullmatch(path) is not None
        if self._may_hijack or self._chunked:
            self.cycle.keep_alive = False
        if self._may_hijack:
            if self._chunked and expects_upgrade:
                raise ValueError("a chunked body cannot precede an upgrade")
            extensions = {"pyd.hijack": self._hijack}
            self.scope["extensions"] = extensions  # type: ignore[typeddict-item]
            self.cycle.more_body = length > 0 or self._chunked

    def on_message_complete(self) -> None:
        """End the body, unless its bytes are still to come behind an Upgrade head."""
        self._message_complete = True
        if self._may_hijack and self._body_left and not self._chunked:
            return
        super().on_message_complete()

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: clients offer upgrades freely."""

    # Answers

    def _refuse(self, status: int, phrase: str, message: str) -> None:
        body = json.dumps({"message": message}).encode() + b"\n"
        self.transport.write(
            b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
            b"connection: close\r\n\r\n%s" % (status, phrase.encode(), len(body), body)
        )
        self.transport.close()

    def _hijack(self, protocol: asyncio.Protocol) -> None:
        """Give the transport to ``protocol``, then what has already arrived."""
        self._unset_keepalive_if_required()
        self._end_watch()
        self.cycle.disconnected = self.cycle.response_started = True
        self.cycle.message_event.set()
        self.server_state.connections.discard(self)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        if self._raw:
            protocol.data_received(bytes(self._raw))
            self._raw.clear()
        self.flow.resume_reading()
        if self._eof:
            protocol.eof_received()


def _config(app: App) -> Config:
    """Configure uvicorn for connections only: no logging set-up, no lifespan, no proxies."""
    config = Config(
        app,
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        interface="asgi3",
    )
    config.load()
    return config


async def serve(
    app: App,
    sockets: Sequence[socket.socket],
    *,
    stop: asyncio.Event,
    on_ready: Callable[[], None] = lambda: None,
    on_stopping: Callable[[], None] = lambda: None,
    finish_timeout_s: float = FINISH_TIMEOUT_S,
) -> None:
    """Serve ``app`` on listening ``sockets`` until ``stop`` is set; closes the sockets.

    ``on_stopping`` is called once nothing is accepted any more and must end every stream that
    would not end by itself; other requests then have ``finish_timeout_s`` to finish.
    """
    loop = asyncio.get_running_loop()
    state = _State()
    config = _config(app)
    async with contextlib.AsyncExitStack() as stack:
        for sock in sockets:
            server = await loop.create_server(
                lambda: Connection(config, state, {}, loop), sock=sock, backlog=BACKLOG
            )
            stack.callback(server.close)
        on_ready()
        await stop.wait()
    on_stopping()
    for connection in list(state.connections):
        connection.shutdown()
    tasks = set(state.tasks)
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=finish_timeout_s)
    for task in late:
        task.cancel("the daemon stops")
    if late:
        _log.warning("ended %d requests that did not finish in time", len(late))
        await asyncio.wait(late, timeout=1.0)


@contextlib.contextmanager
def signal_handlers(handlers: Mapping[signal.Signals, Callable[[], None]]) -> Iterator[None]:
    """Call ``handlers`` in the running event loop when their signals arrive."""
    loop = asyncio.get_running_loop()
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)
