"""The real server in a thread, over the fake engine, on a unix socket of its own."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import uvloop
from blockbuster import blockbuster_ctx

from pyd_guest.api import attach, containers, events, execs, logs, system
from pyd_guest.api.app import build_app
from pyd_guest.api.attach_hub import AttachHubs
from pyd_guest.api.crossing import Streams, Workers
from pyd_guest.api.edge import Edge
from pyd_guest.daemon import server
from pyd_guest.engine.events import Events
from support.fakes_api import FakeContainers, FakeExecs, FakeSystem


@dataclass
class Served:
    path: Path
    containers: FakeContainers
    execs: FakeExecs = field(default_factory=FakeExecs)
    events: Events = field(default_factory=Events)
    streams: Streams = field(default_factory=Streams)

    def app(self, **limits: int) -> Edge:
        hubs, workers = AttachHubs(self.containers.directory, **limits), Workers()
        return build_app(
            system.router(cast("system.System", FakeSystem()), workers),
            containers.router(self.containers, workers, self.streams),
            attach.router(self.containers, hubs, workers, self.streams),
            logs.router(self.containers, workers, self.streams),
            events.router(self.events, self.streams),
            execs.router(self.execs, hubs, workers, self.streams),
            version="0.1.0",
        )

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(5)
        client.connect(str(self.path))
        return client


@contextlib.contextmanager
def serving(directory: Path, **limits: int) -> Iterator[Served]:
    """Serve until the block is left; the server must then stop by itself."""
    served = Served(directory / "api.sock", FakeContainers(directory))
    ready = threading.Event()
    handles: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def main() -> None:
        stop = asyncio.Event()
        handles.append((asyncio.get_running_loop(), stop))
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(served.path))
        await server.serve(
            served.app(**limits),
            [listener],
            stop=stop,
            on_ready=ready.set,
            on_stopping=served.streams.end,
            finish_timeout_s=2,
        )

    def run() -> None:
        with (
            blockbuster_ctx("pyd_guest"),
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            runner.run(main())

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(5)
    try:
        yield served
    finally:
        loop, stop = handles[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        assert not thread.is_alive(), "the server did not stop"
