"""A server that answers a Docker client at once: what remains is the client's own time.

It knows just the calls that `docker run --rm` and `docker exec` make, and does nothing for them.
Run as a program: ``python -m bench.instant SOCKET``; it says ``ready``.
"""

import json
import re
import socket
import sys
import threading
from pathlib import Path

_CONTAINER = "c" * 64
_EXEC = "e" * 64
_UPGRADED = (
    b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
    b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
)


class InstantServer:
    """Serves one socket with a thread for each connection."""

    def __init__(self) -> None:
        self._started = threading.Condition()
        self._starts = 0

    def serve(self, path: Path) -> None:
        """Accept connections for ever."""
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen(64)
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            while (line := lines.readline()).strip():
                method, path, _ = line.decode().split(" ", 2)
                length = 0
                while (header := lines.readline()).strip():
                    name, _, value = header.decode().partition(":")
                    length = int(value) if name.lower() == "content-length" else length
                lines.read(length)
                if not self._answer(connection, method, re.sub(r"^/v[\d.]+", "", path)):
                    return

    def _answer(self, connection: socket.socket, method: str, path: str) -> bool:
        """Answer one request; False ends the connection."""
        kind = path.partition("?")[0].rpartition("/")[2]
        if kind == "attach":
            seen = self._starts
            connection.sendall(_UPGRADED)
            self._wait_for_start(seen)
            return False
        if kind == "wait":
            seen = self._starts
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            connection.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
            self._wait_for_start(seen)
            result = b'{"StatusCode":0}\n'
            connection.sendall(b"%x\r\n%s\r\n0\r\n\r\n" % (len(result), result))
            return True
        if kind == "start" and path.startswith("/exec/"):
            connection.sendall(_UPGRADED)
            return False
        status, body = self._plain(method, kind, path)
        if kind == "start":
            with self._started:
                self._starts += 1
                self._started.notify_all()
        text = b"" if body is None else json.dumps(body).encode()
        length = b"" if status == 204 else b"Content-Length: %d\r\n" % len(text)
        head = b"HTTP/1.1 %d OK\r\nApi-Version: 1.50\r\nOstype: linux\r\n" % status
        payload = b"" if method == "HEAD" else text
        connection.sendall(
            head + b"Content-Type: application/json\r\n" + length + b"\r\n" + payload
        )
        return True

    @staticmethod
    def _plain(method: str, kind: str, path: str) -> tuple[int, dict[str, object] | None]:
        if kind == "create":
            return 201, {"Id": _CONTAINER, "Warnings": []}
        if kind == "start":
            return 204, None
        if kind == "exec" and method == "POST":
            return 201, {"Id": _EXEC}
        if path.startswith("/exec/"):
            return 200, {"ID": _EXEC, "Running": False, "ExitCode": 0}
        if kind == "json":
            state = {"Running": True, "Status": "running"}
            return 200, {"Id": _CONTAINER, "State": state, "Config": {"Tty": False}}
        return 200, {}

    def _wait_for_start(self, seen: int) -> None:
        with self._started:
            self._started.wait_for(lambda: self._starts > seen, timeout=10)


if __name__ == "__main__":
    InstantServer().serve(Path(sys.argv[1]))
