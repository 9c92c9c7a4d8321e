"""The lag of one reader: output that has been produced and not yet taken, in order.

::

    push ─▶ newest (memory) ─▶ file (unlinked, on disk) ─▶ oldest (memory) ─▶ pop

Memory holds about a mebibyte on either side; what exceeds it goes through the file, in a worker
thread. A reader that keeps up never touches the file.
"""

import asyncio
import os
import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

import anyio.to_thread
from anyio import CapacityLimiter

MEMORY_BYTES: Final = 1024 * 1024
FILE_BYTES: Final = 1024 * 1024 * 1024
_BLOCK_BYTES: Final = 256 * 1024
_NEWEST_BYTES: Final = 4 * 1024 * 1024  # how far memory may run ahead of a slow disk


class Spool:
    """A queue of bytes that spills to disk; used from the event loop only."""

    def __init__(
        self,
        directory: Path,
        limiter: CapacityLimiter,
        *,
        memory_bytes: int = MEMORY_BYTES,
        file_bytes: int = FILE_BYTES,
        on_room: Callable[[], None] = lambda: None,
    ) -> None:
        self._directory = directory
        self._limiter = limiter
        self._memory_bytes = memory_bytes
        self._file_max = file_bytes
        self._on_room = on_room
        self._oldest: deque[bytes] = deque()
        self._oldest_bytes = 0
        self._newest: deque[bytes] = deque()
        self._newest_bytes = 0
        self._file: BinaryIO | None = None
        self._file_bytes = 0  # in the file and not yet read back
        self._read_at = self._write_at = 0
        self._file_lock = asyncio.Lock()
        self._spill: asyncio.Task[None] | None = None
        self._arrived = asyncio.Event()
        self._ended = False
        self.failed = False
        """Set when the disk refused; what was lost with it cannot be had back."""

    @property
    def full(self) -> bool:
        """Whether the next push should wait for room."""
        return self._file_bytes >= self._file_max or self._newest_bytes >= _NEWEST_BYTES

    @property
    def exhausted(self) -> bool:
        """Whether only the reader can make room."""
        return self._file_bytes >= self._file_max

    def push(self, data: bytes) -> None:
        """Append ``data``."""
        in_order = not (self._newest or self._file_bytes or self._spill)
        if in_order and self._oldest_bytes < self._memory_bytes:
            self._oldest.append(data)
            self._oldest_bytes += len(data)
        else:
            self._newest.append(data)
            self._newest_bytes += len(data)
            if self._newest_bytes >= self._memory_bytes and self._spill is None:
                self._spill = asyncio.create_task(self._write_newest())
        self._arrived.set()

    def end(self) -> None:
        """Note that nothing more will be pushed."""
        self._ended = True
        self._arrived.set()

    async def pop(self) -> bytes:
        """Return the oldest bytes, or ``b""`` after the end."""
        while True:
            if self._oldest:
                return self._take_oldest()
            if self.failed:
                return b""
            if self._file_bytes:
                async with self._file_lock:
                    block = await self._read_block()
                self._on_room()
                return block
            if self._spill is None and self._newest:
                self._oldest, self._newest = self._newest, deque()
                self._oldest_bytes, self._newest_bytes = self._newest_bytes, 0
                self._on_room()
            elif self._spill is None and self._ended:
                return b""
            else:  # a spill under way comes before what is newer
                self._arrived.clear()
                await self._arrived.wait()

    async def close(self) -> None:
        """Give memory and disk back."""
        if self._spill is not None:
            self._spill.cancel()
            await asyncio.wait([self._spill])
        async with self._file_lock:
            if self._file is not None:
                self._file.close()
                self._file = None
        self._oldest.clear()
        self._newest.clear()
        self.end()

    def _take_oldest(self) -> bytes:
        parts = []
        size = 0
        while self._oldest and size < _BLOCK_BYTES:
            parts.append(part := self._oldest.popleft())
            size += len(part)
        self._oldest_bytes -= size
        return b"".join(parts)

    async def _write_newest(self) -> None:
        """Move the newest bytes to the file until they are few again."""
        try:
            while self._newest_bytes >= self._memory_bytes and not self.failed:
                async with self._file_lock:
                    block = b"".join(self._newest)
                    self._newest.clear()
                    self._newest_bytes = 0
                    await anyio.to_thread.run_sync(self._write, block, limiter=self._limiter)
                    self._file_bytes += len(block)
                self._arrived.set()
                self._on_room()
        except OSError:
            self.failed = True
        finally:
            self._spill = None
            self._arrived.set()

    def _write(self, block: bytes) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._directory, buffering=0)  # noqa: SIM115
        view = memoryview(block)
        while view:
            count = os.pwrite(self._file.fileno(), view, self._write_at)
            self._write_at += count
            view = view[count:]

    async def _read_block(self) -> bytes:
        block = await anyio.to_thread.run_sync(self._read, limiter=self._limiter)
        self._file_bytes -= len(block)
        return block

    def _read(self) -> bytes:
        if self._file is None:
            return b""
        block = os.pread(self._file.fileno(), _BLOCK_BYTES, self._read_at)
        self._read_at += len(block)
        if self._read_at == self._write_at:  # empty: give the blocks back
            os.ftruncate(self._file.fileno(), 0)
            self._read_at = self._write_at = 0
        return block
