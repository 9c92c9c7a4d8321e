"""A small HTTP/1.1 client over a connected socket (RFC 9112), for one engine at the other end.

Only what the Engine API uses: requests with a known body or a chunked one, responses with a
length, chunks, or an end by closing, keep-alive, and connections taken over after a ``101`` (or,
from old engines, ``200``) for raw streams. The standard library's client costs three times the
rest of ``pyd ps`` to import.
"""

import socket
from collections.abc import Iterable, Iterator, Mapping

_HEAD_MAX = 1 << 20
_RECEIVE = 1 << 16


class ConnectionLostError(OSError):
    """The engine closed the connection in the middle of an answer, or before one."""


class Response:
    """A status, headers with lower-case names, and a body that is still on its way."""

    __slots__ = ("_connection", "headers", "reason", "status")

    def __init__(
        self, connection: "Connection", status: int, reason: str, headers: Mapping[str, str]
    ) -> None:
        self._connection = connection
        self.status = status
        self.reason = reason
        self.headers = headers

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it arrives."""
        return self._connection.body(self)

    def read(self) -> bytes:
        """Return the whole body."""
        return b"".join(self.pieces())

    def close(self) -> None:
        """Give up what has not been read."""
        self._connection.close()

    def take_over(self) -> tuple[socket.socket, bytes]:
        """Return the socket and what arrived behind the head; the caller closes it."""
        return self._connection.take_over()


class Connection:
    """One socket with at most one exchange under way."""

    __slots__ = ("_buffer", "_socket", "_taken", "idle")

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._taken = False
        self._buffer = b""
        self.idle = True  # no answer under way, may carry another request

    def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes] | None,
    ) -> None:
        """Write one request; a body of unknown length goes out in chunks."""
        self.idle = False
        lines = [f"{method} {target} HTTP/1.1"]
        lines.extend(f"{name}: {value}" for name, value in headers.items())
        if isinstance(body, bytes):
            lines.append(f"Content-Length: {len(body)}")
        elif body is not None:
            lines.append("Transfer-Encoding: chunked")
        elif method == "POST":
            lines.append("Content-Length: 0")
        head = "\r\n".join((*lines, "", "")).encode("latin-1", "surrogateescape")
        if isinstance(body, bytes):
            self._socket.sendall(head + body)
            return
        self._socket.sendall(head)
        if body is not None:
            self._send_chunks(body)

    def _send_chunks(self, body: Iterable[bytes]) -> None:
        """Send until the end of the body, or until the engine, having answered, hangs up."""
        for piece in body:
            if not piece:
                continue
            try:
                self._socket.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
            except (BrokenPipeError, ConnectionResetError):
                return  # the answer says why
        self._socket.sendall(b"0\r\n\r\n")

    def response(self) -> Response:
        """Read the head of the answer. Raises ConnectionLostError."""
        while True:
            head = self._until(b"\r\n\r\n").decode("latin-1")
            first, *lines = head.split("\r\n")
            version, _, rest = first.partition(" ")
            code, _, reason = rest.partition(" ")
            if not version.startswith("HTTP/1.") or not code.isdigit():
                raise ConnectionLostError(f"not an HTTP answer: {first[:80]!r}")
            if code != "100":
                break
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return Response(self, int(code), reason, headers)

    def body(self, response: Response) -> Iterator[bytes]:
        """Yield the body's bytes, then mark the connection as free for the next request."""
        headers = response.headers
        if response.status in {204, 304}:
            pass
        elif "chunked" in headers.get("transfer-encoding", "").lower():
            yield from self._chunks()
        elif "content-length" in headers:
            yield from self._exactly(int(headers["content-length"]))
        else:
            while piece := self._some():
                yield piece
            self.close()
            return
        if headers.get("connection", "").lower() == "close":
            self.close()
        else:
            self.idle = True

    def reusable(self) -> bool:
        """Tell whether another request may be sent: idle, and not closed by the other side."""
        if not self.idle or self._buffer:
            return False
        self._socket.settimeout(0)
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            self._socket.settimeout(None)
            return True
        except OSError:
            pass
        self.close()
        return False

    def take_over(self) -> tuple[socket.socket, bytes]:
        """Hand over the socket and the bytes already read from it."""
        early, self._buffer = self._buffer, b""
        self._taken = True
        return self._socket, early

    def close(self) -> None:
        """Close the socket unless it was taken over; closing twice is fine."""
        self.idle = False
        if not self._taken:
            self._socket.close()

    def _some(self) -> bytes:
        if self._buffer:
            piece, self._buffer = self._buffer, b""
            return piece
        return self._socket.recv(_RECEIVE)

    def _more(self) -> None:
        piece = self._socket.recv(_RECEIVE)
        if not piece:
            raise ConnectionLostError("the engine closed the connection")
        self._buffer += piece

    def _until(self, mark: bytes) -> bytes:
        start = 0
        while (end := self._buffer.find(mark, start)) < 0:
            if len(self._buffer) > _HEAD_MAX:
                raise ConnectionLostError("the engine's answer has no end of line")
            start = max(0, len(self._buffer) - len(mark))
            self._more()
        found = self._buffer[:end]
        self._buffer = self._buffer[end + len(mark) :]
        return found

    def _exactly(self, count: int) -> Iterator[bytes]:
        while count:
            if not self._buffer:
                self._more()
            piece, self._buffer = self._buffer[:count], self._buffer[count:]
            count -= len(piece)
            yield piece

    def _chunks(self) -> Iterator[bytes]:
        while True:
            size = self._until(b"\r\n").partition(b";")[0]
            try:
                count = int(size, 16)
            except ValueError:
                raise ConnectionLostError(f"bad chunk size {size[:20]!r}") from None
            if count == 0:
                break
            yield from self._exactly(count)
            self._until(b"\r\n")
        while self._until(b"\r\n"):  # trailers
            pass
