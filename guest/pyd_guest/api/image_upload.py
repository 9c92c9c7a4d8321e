"""A request body on its way from the event loop to a worker thread, in bounded memory."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from threading import Condition

from starlette.requests import ClientDisconnect

from pyd_api.errors import InvalidRequestError

_HELD_MAX_BYTES = 4 << 20
_IDLE_TIMEOUT_S = 600.0


class Upload:
    """A file of what the client sends: `fill` in the event loop, `read` in one worker thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Event()
        self._room.set()
        self._condition = Condition()
        self._chunks: deque[bytes] = deque()
        self._held = 0
        self._ended = False
        self._fault: str | None = None

    async def fill(self, stream: AsyncIterator[bytes]) -> None:
        """Take everything from the client, no faster than it is read."""
        fault: str | None = "the upload was given up"
        try:
            async for chunk in stream:
                await self._room.wait()
                if chunk:
                    self._put(chunk)
            fault = None
        except ClientDisconnect:
            fault = "unexpected EOF"
        finally:
            with self._condition:
                self._ended, self._fault = True, fault
                self._condition.notify_all()

    def _put(self, chunk: bytes) -> None:
        with self._condition:
            self._chunks.append(chunk)
            self._held += len(chunk)
            if self._held >= _HELD_MAX_BYTES:
                self._room.clear()
            self._condition.notify_all()

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes, b"" at the end (worker thread).

        Raises InvalidRequestError when the client went away or sends nothing for ten minutes.
        """
        with self._condition:
            if not self._condition.wait_for(self._is_ready, _IDLE_TIMEOUT_S):
                raise InvalidRequestError("the request body did not arrive in time")
            if not self._chunks:
                if self._fault is not None:
                    raise InvalidRequestError(self._fault)
                return b""
            data = self._take(size)
            full = self._held >= _HELD_MAX_BYTES
        if not full:
            with suppress(RuntimeError):  # the loop may be closed by then
                self._loop.call_soon_threadsafe(self._make_room)
        return data

    def _make_room(self) -> None:
        """Let the client go on, unless more has come since this was asked for."""
        with self._condition:
            if self._held < _HELD_MAX_BYTES:
                self._room.set()

    def _is_ready(self) -> bool:
        return bool(self._chunks) or self._ended

    def _take(self, size: int) -> bytes:
        parts = []
        while self._chunks and size:
            chunk = self._chunks.popleft()
            if len(chunk) > size:
                self._chunks.appendleft(chunk[size:])
                chunk = chunk[:size]
            parts.append(chunk)
            size -= len(chunk)
            self._held -= len(chunk)
        return parts[0] if len(parts) == 1 else b"".join(parts)
