import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest
from anyio import CapacityLimiter

from pyd_guest.api.spool import Spool


def with_spool(
    directory: Path,
    body: Callable[[Spool], Coroutine[None, None, None]],
    memory_bytes: int = 1024 * 1024,
) -> None:
    async def main() -> None:
        spool = Spool(directory, CapacityLimiter(2), memory_bytes=memory_bytes)
        try:
            async with asyncio.timeout(10):
                await body(spool)
        finally:
            await spool.close()

    asyncio.run(main())


async def drain(spool: Spool) -> bytes:
    out = b""
    while part := await spool.pop():
        out += part
    return out


def test_a_reader_that_keeps_up_uses_no_file(tmp_path: Path) -> None:
    async def body(spool: Spool) -> None:
        for number in range(1000):
            spool.push(b"%d" % number)
            assert await spool.pop() == b"%d" % number
        assert spool._file is None

    with_spool(tmp_path, body)


def test_order_is_kept_through_the_file(tmp_path: Path) -> None:
    async def body(spool: Spool) -> None:
        blocks = [bytes([number % 256]) * 1000 for number in range(500)]
        for number, block in enumerate(blocks):
            spool.push(block)
            if number % 50 == 0:
                await asyncio.sleep(0.001)
        spool.end()
        assert await drain(spool) == b"".join(blocks)
        assert spool._file is not None

    with_spool(tmp_path, body, memory_bytes=10_000)
    assert list(tmp_path.iterdir()) == []


def test_full_means_wait_and_room_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        room = asyncio.Event()
        spool = Spool(
            tmp_path, CapacityLimiter(2), memory_bytes=1000, file_bytes=5000, on_room=room.set
        )
        count = 0
        while not spool.full:
            spool.push(bytes(1000))
            count += 1
            await asyncio.sleep(0.002)
        assert spool.exhausted
        room.clear()
        spool.end()
        assert len(await drain(spool)) == count * 1000
        assert room.is_set()
        await spool.close()

    asyncio.run(main())


def test_end_wakes_the_reader(tmp_path: Path) -> None:
    async def body(spool: Spool) -> None:
        reader = asyncio.create_task(spool.pop())
        await asyncio.sleep(0)
        spool.end()
        assert await reader == b""

    with_spool(tmp_path, body)


def test_g7_a_full_disk_fails_the_spool_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(spool: Spool) -> None:
        for _ in range(10):
            spool.push(bytes(1000))
        await asyncio.sleep(0.05)
        assert spool.failed
        spool.end()
        assert await drain(spool) in (b"", bytes(1000))

    def refuse(self: Spool, block: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Spool, "_write", refuse)
    with_spool(tmp_path, body, memory_bytes=1000)


def test_closing_during_a_write_leaves_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        spool = Spool(tmp_path, CapacityLimiter(1), memory_bytes=1000)
        for _ in range(100):
            spool.push(bytes(1000))
        await asyncio.sleep(0)
        await spool.close()
        assert await spool.pop() == b""

    asyncio.run(main())
    assert list(tmp_path.iterdir()) == []
