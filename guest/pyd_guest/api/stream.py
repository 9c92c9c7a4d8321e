"""Progress streams: JSON objects, one a line, from a producer in a worker thread.

Docker Engine API, image operations ("jsonmessage"). A failure before the first message is an
ordinary error answer; after it, the last line is
``{"errorDetail": {"message": ...}, "error": ...}`` under the status 200 that has been sent.
"""

import asyncio
import json
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import Final

import anyio.to_thread
from anyio import CapacityLimiter
from starlette.responses import Response, StreamingResponse

from pyd_api.errors import PydError, UnavailableError

_log = logging.getLogger(__name__)

_QUEUE_MAX: Final = 256
_STALL_TIMEOUT_S: Final = 60.0

Message = Mapping[str, object]
Progress = Callable[[Message], None]


class ClientGoneError(UnavailableError):
    """Nobody reads the stream any more; raised inside the producer to make it give up."""


class _Pipe:
    """A bounded queue from one worker thread to the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._room = threading.Semaphore(_QUEUE_MAX)
        self._messages: deque[bytes] = deque()
        self._arrived = asyncio.Event()
        self._abandoned = False
        self._done = False

    def put(self, message: Message) -> None:
        """Queue one message (worker thread); raises ClientGoneError when nobody reads."""
        line = encode(message)
        if not self._room.acquire(timeout=_STALL_TIMEOUT_S) or self._abandoned:
            raise ClientGoneError("the client does not read the progress stream")
        self._messages.append(line)
        self._wake()

    def finish(self) -> None:
        """Note that the producer has returned (worker thread or event loop)."""
        self._done = True
        self._wake()

    def _wake(self) -> None:
        with suppress(RuntimeError):  # the loop may be closed by then
            self._loop.call_soon_threadsafe(self._arrived.set)

    def abandon(self) -> None:
        """Make the producer's next message fail (event loop)."""
        self._abandoned = True
        self._room.release()

    async def wait(self) -> bool:
        """Return True once there is a message, False when there will be none."""
        while not self._messages:
            if self._done:
                return bool(self._messages)
            self._arrived.clear()
            if not self._messages and not self._done:
                await self._arrived.wait()
        return True

    def take(self) -> bytes:
        """Return all queued lines."""
        lines = []
        while self._messages:
            lines.append(self._messages.popleft())
            self._room.release()
        return b"".join(lines)


def encode(message: Message) -> bytes:
    """Return one line of the stream."""
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode() + b"\r\n"


async def json_stream(producer: Callable[[Progress], None]) -> Response:
    """Answer with what ``producer`` reports; it runs in a thread of its own.

    Once the client is gone, the producer's next report raises ClientGoneError.
    """
    pipe = _Pipe()
    failure: list[BaseException] = []

    def work() -> None:
        try:
            producer(pipe.put)
        except BaseException as error:  # noqa: BLE001 - carried to the stream, logged if a bug
            failure.append(error)
        finally:
            pipe.finish()

    task = asyncio.create_task(anyio.to_thread.run_sync(work, limiter=CapacityLimiter(1)))
    try:
        begun = await pipe.wait()
    except asyncio.CancelledError:
        pipe.abandon()
        raise
    if not begun:
        await task
        if failure:
            raise failure[0]
        return Response(status_code=200, media_type="application/json")

    async def lines() -> AsyncIterator[bytes]:
        try:
            while await pipe.wait():
                yield pipe.take()
            await task
            if failure:
                yield encode(error_message(failure[0]))
        finally:
            pipe.abandon()

    return StreamingResponse(lines(), media_type="application/json")


def error_message(error: BaseException) -> Message:
    """Return the line that reports ``error``; a bug is logged and shown as a plain sentence."""
    if isinstance(error, PydError):
        words = error.message
    else:
        _log.error("a progress stream failed", exc_info=error)
        words = "internal error: see the log of the daemon"
    return {"errorDetail": {"message": words}, "error": words}
