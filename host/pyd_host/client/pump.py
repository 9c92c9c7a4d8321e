"""Carry bytes between this process's streams and a hijacked connection until it ends.

One implementation per kind of system: Unix waits for both sides at once; Windows cannot wait for
a console, so a thread reads it.
"""

import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress

from pyd_host.client.detach import DetachFilter

_PIECE = 1 << 16

Output = Callable[[bytes], None]


class Pump:
    """One attached session. ``stdin`` is a descriptor, or None when no input is sent."""

    __slots__ = ("_connection", "_detach", "_output", "_stdin")

    def __init__(
        self,
        connection: socket.socket,
        output: Output,
        *,
        stdin: int | None,
        detach: DetachFilter | None,
    ) -> None:
        self._connection = connection
        self._output = output
        self._stdin = stdin
        self._detach = detach

    def run(self, early: bytes) -> bool:
        """Carry until the engine closes its side; True when the user detached instead.

        ``early`` is output that arrived together with the head of the answer.
        """
        if early:
            self._output(early)
        with self._connection:
            return self._carry()

    def _filtered(self, data: bytes) -> bytes:
        return data if self._detach is None else self._detach.feed(data)

    def _detached(self) -> bool:
        return self._detach is not None and self._detach.detached

    def _end_input(self) -> None:
        with suppress(OSError):  # the engine may have gone already
            self._connection.shutdown(socket.SHUT_WR)

    if sys.platform == "win32":

        def _carry(self) -> bool:
            from threading import Thread

            if self._stdin is not None:
                Thread(target=self._copy_input, args=(self._stdin,), daemon=True).start()
            while True:
                try:
                    data = self._connection.recv(_PIECE)
                except OSError:
                    data = b""
                if not data:
                    return self._detached()
                self._output(data)

        def _copy_input(self, stdin: int) -> None:
            try:
                while data := os.read(stdin, _PIECE):
                    self._connection.sendall(self._filtered(data))
                    if self._detached():
                        self._connection.shutdown(socket.SHUT_RDWR)
                        return
            except OSError:
                return  # the session has ended
            self._end_input()

    else:

        def _carry(self) -> bool:
            from select import POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, poll

            wire, stdin = self._connection.fileno(), self._stdin
            self._connection.settimeout(0)
            pending = b""
            while True:
                poller = poll()
                poller.register(wire, POLLIN | (POLLOUT if pending else 0))
                if stdin is not None and not pending:
                    poller.register(stdin, POLLIN)
                ready = dict(poller.poll())
                if ready.get(wire, 0) & POLLOUT:
                    pending = self._send(pending)
                if stdin is not None and ready.get(stdin):
                    data = b"" if ready[stdin] & POLLNVAL else _read(stdin)
                    if data:
                        pending = self._send(pending + self._filtered(data))
                        if self._detached():
                            return True
                    else:
                        stdin = None
                        self._end_input()
                if ready.get(wire, 0) & (POLLIN | POLLHUP | POLLERR):
                    output = self._receive()
                    if output == b"":
                        return False
                    if output:
                        self._output(output)

        def _send(self, data: bytes) -> bytes:
            """Send what fits; return the rest, nothing when the engine takes no more input."""
            try:
                return data[self._connection.send(data) :] if data else b""
            except BlockingIOError:
                return data
            except OSError:
                return b""

        def _receive(self) -> bytes | None:
            try:
                return self._connection.recv(_PIECE)
            except BlockingIOError:
                return None
            except OSError:  # reset: the engine died or dropped the session
                return b""


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _PIECE)
    except OSError:  # EIO: the terminal is gone
        return b""
