"""Raw streams in place of an HTTP answer: attach and exec start.

Docker Engine API, "Hijacking". With an Upgrade header the answer is ``101 UPGRADED``, without one
``200`` and the stream follows the head. The server offers ``scope["extensions"]["pyd.hijack"]``,
a function that gives the transport to a protocol together with what has already been read.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pyd_api.errors import UnsupportedError
from pyd_guest.api.edge import ENGINE_HEADERS
from pyd_guest.linux.hangup import watch_hangup

RAW: Final = "application/vnd.docker.raw-stream"
MULTIPLEXED: Final = "application/vnd.docker.multiplexed-stream"

_INPUT_HIGH_BYTES: Final = 256 * 1024
_HEAD_LEAD_S: Final = 0.003  # see RawStream.write_head


class RawStream(asyncio.Protocol):
    """A hijacked connection: reads in order, writes with back-pressure, half-close both ways."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._input: deque[bytes] = deque()
        self._input_bytes = 0
        self._input_ended = False
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._unwatch: Callable[[], None] = lambda: None
        self._head_at = 0.0
        self.closed = asyncio.Event()
        """Set when the connection is gone altogether."""

    # Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport from the HTTP connection."""
        # uvloop's transports have the methods of asyncio.Transport, but not the base class
        self._transport = cast("asyncio.Transport", transport)
        if transport.is_closing():  # the client went while its request was handled
            self.connection_lost(None)

    def data_received(self, data: bytes) -> None:
        """Queue input; stop reading when nobody takes it."""
        self._input.append(data)
        self._input_bytes += len(data)
        self._arrived.set()
        if self._input_bytes > _INPUT_HIGH_BYTES and self._transport is not None:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Note the end of input; output goes on.

        A transport that resumes reading may report the end once more.
        """
        if self._input_ended:
            return True
        self._input_ended = True
        self._arrived.set()
        if self._transport is not None:
            self._unwatch = watch_hangup(self._loop, self._transport, self.abort)
        return True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """End both directions."""
        self._unwatch()
        self._input_ended = True
        self._arrived.set()
        self._writable.set()
        self.closed.set()

    def pause_writing(self) -> None:
        """Hold writers: the transport's buffer is full."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let writers go on."""
        self._writable.set()

    # Use

    async def read(self) -> bytes:
        """Return the next bytes, or ``b""`` at the end of input."""
        while not self._input:
            if self._input_ended:
                return b""
            self._arrived.clear()
            await self._arrived.wait()
        data = b"".join(self._input)
        self._input.clear()
        self._input_bytes = 0
        if self._transport is not None and not self._input_ended:
            self._transport.resume_reading()
        return data

    def write_head(self, head: bytes) -> None:
        """Send the response head.

        Some clients read the head through a buffer and then the bare socket, and lose what came
        in the same read. The first output therefore keeps a short distance from the head.
        """
        if self._transport is not None and self._is_open():
            self._transport.write(head)
            self._head_at = time.monotonic()

    async def write(self, data: bytes) -> bool:
        """Send ``data`` and wait until more is welcome; False when the client is gone."""
        if self._head_at and (lead := self._head_at + _HEAD_LEAD_S - time.monotonic()) > 0:
            await asyncio.sleep(lead)
        self._head_at = 0.0
        if self._transport is None or not self._is_open():
            return False
        self._transport.write(data)
        await self._writable.wait()
        return not self.closed.is_set()

    def _is_open(self) -> bool:
        """Whether writing is allowed; an aborted transport reports its loss only later."""
        return (
            self._transport is not None
            and not self._transport.is_closing()
            and not self.closed.is_set()
        )

    def close(self) -> None:
        """Send what is buffered, then close."""
        self._unwatch()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close without sending what is buffered."""
        self._unwatch()
        if self._transport is not None:
            self._transport.abort()


class HijackResponse(Response):
    """Answer with a raw stream that ``session`` fills; the stream is closed after it."""

    def __init__(
        self,
        session: Callable[[RawStream], Awaitable[None]],
        *,
        media_type: str,
    ) -> None:
        super().__init__()
        self._session = session
        self._media_type = media_type

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Take the connection over."""
        hijack = scope.get("extensions", {}).get("pyd.hijack")
        if hijack is None:
            raise UnsupportedError("this connection cannot carry a raw stream")
        stream = RawStream()
        hijack(stream)
        stream.write_head(self._head(scope))
        try:
            await self._session(stream)
        finally:
            stream.close()

    def _head(self, scope: Scope) -> bytes:
        if wants_upgrade(scope):
            lines = ["HTTP/1.1 101 UPGRADED", f"Content-Type: {self._media_type}"]
            lines += ["Connection: Upgrade", "Upgrade: tcp"]
        else:
            lines = ["HTTP/1.1 200 OK", f"Content-Type: {RAW}"]
        headers: dict[str, str] = scope.get(ENGINE_HEADERS, {})
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


def wants_upgrade(scope: Scope) -> bool:
    """Whether the request has an Upgrade header; as with dockerd, Connection is not looked at."""
    return any(name == b"upgrade" for name, _ in scope["headers"])
