"""An engine that answers from a script, on a unix socket."""

import json
import re
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Request:
    """What the client sent."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> object:
        return json.loads(self.body)


def answer(status: int = 200, body: object = None, **headers: str) -> bytes:
    """Return the bytes of a JSON answer."""
    payload = b"" if body is None else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(payload)}"]
    lines.extend(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())
    return "\r\n".join(lines).encode() + _HEAD_END + payload


def hijacked(kind: str = "application/vnd.docker.multiplexed-stream") -> bytes:
    """Return the head that gives the connection away."""
    head = f"HTTP/1.1 101 UPGRADED\r\nContent-Type: {kind}\r\nConnection: Upgrade\r\n"
    return head.encode() + b"Upgrade: tcp\r\n\r\n"


Script = Callable[[Request, socket.socket], bytes | None]


@dataclass
class ScriptedEngine:
    """Answers by method and path; a script may take the socket and return None."""

    path: Path
    routes: list[tuple[str, re.Pattern[str], bytes | Script]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    talks: list[tuple[socket.socket, threading.Thread]] = field(default_factory=list)

    def on(self, method: str, pattern: str, reply: bytes | Script) -> None:
        """Answer ``method`` on paths (without version and query) that match; latest wins."""
        self.routes.insert(0, (method, re.compile(pattern), reply))

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._talk, args=(client,), daemon=True)
            self.talks.append((client, thread))
            thread.start()

    def end(self) -> None:
        """Hang up on every client and wait for the threads that served them."""
        for client, thread in self.talks:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
            thread.join(10)

    def _talk(self, client: socket.socket) -> None:
        with client:
            pending = b""
            while True:
                request, pending = _read(client, pending)
                if request is None:
                    return
                self.requests.append(request)
                reply = self._find(request)
                if not isinstance(reply, bytes):
                    try:
                        result = reply(request, client)
                    except OSError:  # the client has left in the middle, as it may
                        return
                    if result is None:
                        return
                    reply = result
                try:
                    client.sendall(reply)
                except OSError:
                    return
                if b"Connection: close" in reply:
                    return

    def _find(self, request: Request) -> bytes | Script:
        path = re.sub(r"^/v[\d.]+", "", request.target).partition("?")[0]
        for method, pattern, reply in self.routes:
            if method == request.method and pattern.fullmatch(path):
                return reply
        return answer(404, {"message": f"page not found: {request.method} {path}"})

    def sent(self, method: str, pattern: str) -> list[Request]:
        """Return the requests so far whose target contains ``pattern``."""
        return [r for r in self.requests if r.method == method and re.search(pattern, r.target)]


def _read(client: socket.socket, pending: bytes) -> tuple[Request | None, bytes]:
    try:
        while _HEAD_END not in pending:
            if not (piece := client.recv(65536)):
                return None, b""
            pending += piece
        head, _, rest = pending.partition(_HEAD_END)
        first, *lines = head.decode().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {
            name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)
        }
        body = b""
        if headers.get("transfer-encoding") == "chunked":
            while True:
                while b"\r\n" not in rest:
                    rest += client.recv(65536)
                size, _, rest = rest.partition(b"\r\n")
                count = int(size, 16)
                while len(rest) < count + 2:
                    rest += client.recv(65536)
                body, rest = body + rest[:count], rest[count + 2 :]
                if count == 0:
                    break
        else:
            length = int(headers.get("content-length", "0"))
            while len(rest) < length:
                rest += client.recv(65536)
            body, rest = rest[:length], rest[length:]
    except OSError:
        return None, b""
    return Request(method, target, headers, body), rest


@dataclass(frozen=True, slots=True)
class Done:
    """One command line, run to its end."""

    status: int
    out: str
    err: str
