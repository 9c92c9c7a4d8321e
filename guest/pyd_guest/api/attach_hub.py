"""Attached clients of one container (or exec): one connection to its monitor, many readers.

conmon's attach socket (SOCK_SEQPACKET)::

    from conmon   byte 0: 2 stdout, 3 stderr (a terminal: all is stdout); then up to 8192 bytes
    to conmon     input, raw; shutdown(SHUT_WR) ends it

conmon writes to its attach sockets before it writes its log's next line, and blocks: whoever is
connected must read. So a hub reads until the monitor closes, whether or not anybody listens, and
each client lags in a spool of its own. A client that fills its spool and takes nothing any more is
dropped; one that is merely slow holds the container back once its spool is full, and loses
nothing.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Final, Protocol

from anyio import CapacityLimiter

from pyd_api import framing
from pyd_guest.api.crossing import settled
from pyd_guest.api.spool import FILE_BYTES, MEMORY_BYTES, Spool

_log = logging.getLogger(__name__)

_PACKET_BYTES: Final = 8192
_PACKETS_PER_TURN: Final = 64
_STUCK_S: Final = 2.0
_STREAMS: Final = {2: framing.STDOUT, 3: framing.STDERR}


class Attachment(Protocol):
    """What the engine says about a process that clients attach to."""

    @property
    def key(self) -> str:
        """Name the container or exec: one hub each."""

    @property
    def tty(self) -> bool:
        """Whether it has a terminal."""

    @property
    def stdin_open(self) -> bool:
        """Whether it takes input."""

    @property
    def stdin_once(self) -> bool:
        """Whether the end of a client's input ends the process's."""

    @property
    def console(self) -> Future[socket.socket]:
        """The monitor's attach socket, once the monitor is up; the same for all clients of a run.

        The hub closes it.
        """


class Client:
    """One reader of a hub."""

    def __init__(self, hub: "Hub", spool: Spool, *, stdout: bool, stderr: bool) -> None:
        self._hub = hub
        self._wanted = {framing.STDOUT: stdout, framing.STDERR: stderr}
        self._framed = not hub.tty
        self._spool = spool
        self._took_at = asyncio.get_running_loop().time()

    def offer(self, stream: int, payload: bytes) -> None:
        """Queue output of the process."""
        if self._wanted[stream]:
            self._spool.push(framing.frame(stream, payload) if self._framed else payload)

    async def read(self) -> bytes:
        """Return the next bytes for the client, or ``b""`` when there will be none."""
        data = await self._spool.pop()
        self._took_at = asyncio.get_running_loop().time()
        return data

    @property
    def full(self) -> bool:
        """Whether the process must be held back for this client."""
        return self._spool.full

    def is_lost(self, now: float) -> bool:
        """Whether the client has stopped reading altogether, or its spool has failed."""
        return self._spool.failed or (self._spool.exhausted and now - self._took_at > _STUCK_S)

    def end(self) -> None:
        """Let the client read what is queued and then see the end."""
        self._spool.end()

    async def leave(self) -> None:
        """Give up the place at the hub."""
        self._hub.remove(self)
        await self._spool.close()


class Hub:
    """The one connection to a monitor and the clients behind it; lives in the event loop."""

    def __init__(self, attachment: Attachment, on_end: Callable[["Hub"], None]) -> None:
        self.key = attachment.key
        self.tty = attachment.tty
        self._attachment = attachment
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._clients: list[Client] = []
        self._console: socket.socket | None = None
        self._reading = False
        self._ready = asyncio.Event()
        self._input_lock = asyncio.Lock()
        self._input_ended = False
        self._input_room = asyncio.Event()
        self._recheck: asyncio.TimerHandle | None = None
        self.ended = False
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        console = self._attachment.console
        await settled(console)
        if console.cancelled() or console.exception() is not None:
            self._end()  # the start failed, and whoever started it has been told
            return
        self._console = console.result()
        self._console.settimeout(0)
        self._ready.set()
        self._resume()

    # Output

    def add(self, client: Client) -> None:
        """Let ``client`` see what comes from now on."""
        self._clients.append(client)
        if self.ended:
            client.end()

    def remove(self, client: Client) -> None:
        """Forget ``client``."""
        if client in self._clients:
            self._clients.remove(client)
        self.check_room()

    def _readable(self) -> None:
        console = self._console
        if console is None:
            return
        for _ in range(_PACKETS_PER_TURN):
            try:
                packet = console.recv(_PACKET_BYTES + 1)
            except BlockingIOError:
                return
            except OSError as error:
                _log.info("the attach socket of %s failed: %s", self.key[:12], error)
                packet = b""
            if not packet:
                self._end()
                return
            stream = _STREAMS.get(packet[0])
            if stream is None:
                continue
            for client in self._clients:
                client.offer(stream, packet[1:])
            if any(client.full for client in self._clients):
                self.check_room()
                if not self._reading:
                    return

    def check_room(self) -> None:
        """Drop lost clients, then read on or hold the process back."""
        if self._console is None:
            return
        now = self._loop.time()
        for client in [client for client in self._clients if client.is_lost(now)]:
            _log.warning("dropped a client of %s that does not read", self.key[:12])
            self._clients.remove(client)
            client.end()
        if any(client.full for client in self._clients):
            self._pause()
        else:
            self._resume()

    def _pause(self) -> None:
        if self._reading and self._console is not None:
            self._loop.remove_reader(self._console.fileno())
            self._reading = False
        if self._recheck is None:
            self._recheck = self._loop.call_later(_STUCK_S, self._check_again)

    def _check_again(self) -> None:
        self._recheck = None
        self.check_room()

    def _resume(self) -> None:
        if self._recheck is not None:
            self._recheck.cancel()
            self._recheck = None
        if not self._reading and self._console is not None:
            self._loop.add_reader(self._console.fileno(), self._readable)
            self._reading = True

    def _end(self) -> None:
        """Close the connection; clients read on until their spools are empty."""
        if self.ended:
            return
        self.ended = True
        if self._recheck is not None:
            self._recheck.cancel()
            self._recheck = None
        if self._console is not None:
            if self._reading:
                self._loop.remove_reader(self._console.fileno())
            self._loop.remove_writer(self._console.fileno())
            self._console.close()
            self._console = None
        self._reading = False
        self._ready.set()
        self._input_room.set()
        for client in self._clients:
            client.end()
        self._on_end(self)

    # Input

    async def write(self, data: bytes) -> bool:
        """Send input once the process runs; False when it takes no more."""
        await self._ready.wait()
        if not self._attachment.stdin_open:
            return True  # a process without stdin: input goes nowhere
        async with self._input_lock:
            for at in range(0, len(data), _PACKET_BYTES):
                if not await self._send(data[at : at + _PACKET_BYTES]):
                    return False
        return True

    async def _send(self, packet: bytes) -> bool:
        while self._console is not None and not self._input_ended:
            try:
                self._console.send(packet, socket.MSG_NOSIGNAL)
            except BlockingIOError:
                await self._writable()
            except OSError:
                return False
            else:
                return True
        return False

    async def _writable(self) -> None:
        """Wait until the monitor takes input again, or is gone."""
        if self._console is None:
            return
        self._input_room.clear()
        self._loop.add_writer(self._console.fileno(), self._on_writable)
        await self._input_room.wait()

    def _on_writable(self) -> None:
        if self._console is not None:
            self._loop.remove_writer(self._console.fileno())
        self._input_room.set()

    async def end_input(self) -> None:
        """Note the end of a client's input; it is the process's only where stdin is opened once."""
        await self._ready.wait()
        if not (self._attachment.stdin_open and self._attachment.stdin_once):
            return
        async with self._input_lock:
            if self._console is not None and not self._input_ended:
                self._input_ended = True
                try:
                    self._console.shutdown(socket.SHUT_WR)
                except OSError as error:
                    _log.debug("shutdown of %s: %s", self.key[:12], error)


class AttachHubs:
    """The hubs of this daemon, by container or exec."""

    def __init__(
        self, directory: Path, *, memory_bytes: int = MEMORY_BYTES, file_bytes: int = FILE_BYTES
    ) -> None:
        self._directory = directory
        self._memory_bytes = memory_bytes
        self._file_bytes = file_bytes
        self._limiter = CapacityLimiter(4)
        self._hubs: dict[str, Hub] = {}

    def open(self, attachment: Attachment) -> Hub:
        """Return the hub of ``attachment``, made if there is none; it reads without clients too.

        For whoever has asked the engine for an attachment, before anything can fail: a console
        that is connected and not read blocks the monitor and, behind it, the process.
        """
        hub = self._hubs.get(attachment.key)
        if hub is None or hub.ended:
            hub = self._hubs[attachment.key] = Hub(attachment, self._forget)
        return hub

    def join(self, attachment: Attachment, *, stdout: bool, stderr: bool) -> tuple[Hub, Client]:
        """Add a client to the hub of ``attachment``, which is made if there is none."""
        hub = self.open(attachment)
        spool = Spool(
            self._directory,
            self._limiter,
            memory_bytes=self._memory_bytes,
            file_bytes=self._file_bytes,
            on_room=hub.check_room,
        )
        client = Client(hub, spool, stdout=stdout, stderr=stderr)
        hub.add(client)
        return hub, client

    def _forget(self, hub: Hub) -> None:
        if self._hubs.get(hub.key) is hub:
            del self._hubs[hub.key]
