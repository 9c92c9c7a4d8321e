"""An engine of plain objects behind the API: what the routers and the server are tested against."""

import socket
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from pyd_api.errors import ConflictError, NotFoundError, NotModifiedError
from pyd_guest.engine.logs import LogSource

JsonObject = dict[str, object]


@dataclass(frozen=True)
class Created:
    id: str
    warnings: list[str]


@dataclass(frozen=True)
class Waited:
    status_code: int
    error: str | None = None


@dataclass(frozen=True)
class FakeAttachment:
    key: str
    tty: bool = False
    stdin_open: bool = True
    stdin_once: bool = True
    console: "Future[socket.socket]" = field(default_factory=Future)


class Monitor:
    """The far end of an attach socket: writes as conmon does, sees the input."""

    def __init__(self, attachment: FakeAttachment) -> None:
        near, self.socket = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        near.setblocking(False)
        self.socket.settimeout(5)
        attachment.console.set_result(near)

    def stdout(self, data: bytes) -> None:
        self.socket.send(b"\x02" + data)

    def stderr(self, data: bytes) -> None:
        self.socket.send(b"\x03" + data)

    def input(self) -> bytes:
        return self.socket.recv(65536)

    def close(self) -> None:
        self.socket.close()


class FakeContainers:
    """Containers by name; records calls."""

    def __init__(self, directory: Path = Path("/nonexistent")) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.names: dict[str, FakeAttachment] = {}
        self.waits: dict[str, Future[Waited]] = {}
        self.ended: dict[str, Future[None]] = {}
        self.running: set[str] = set()
        self.directory = directory
        self.on_start: Callable[[str], None] = lambda _: None

    def add(self, name: str, *, tty: bool = False, stdin_once: bool = True) -> FakeAttachment:
        self.names[name] = made = FakeAttachment(name, tty=tty, stdin_once=stdin_once)
        self.waits[name], self.ended[name] = Future(), Future()
        return made

    def _get(self, ref: str) -> str:
        if ref not in self.names:
            raise NotFoundError(f"No such container: {ref}")
        return ref

    def list(
        self,
        *,
        all: bool,  # noqa: A002 - the word of the API
        limit: int | None,
        size: bool,
        filters: Mapping[str, list[str]],
    ) -> list[JsonObject]:
        self.calls.append(("list", all, limit, size, dict(filters)))
        return [{"Id": name} for name in self.names]

    def create(
        self, name: str | None, body: Mapping[str, object], *, platform: str | None
    ) -> Created:
        self.calls.append(("create", name, dict(body), platform))
        if name in self.names:
            raise ConflictError(f'Conflict. The container name "/{name}" is already in use')
        self.add(name or "unnamed")
        if body.get("Tty") is True:
            self.names[name or "unnamed"] = FakeAttachment(name or "unnamed", tty=True)
        return Created(name or "unnamed", [])

    def inspect(self, ref: str, *, size: bool) -> JsonObject:
        return {"Id": self._get(ref), "Size": size}

    def start(self, ref: str) -> None:
        if self._get(ref) in self.running:
            raise NotModifiedError("already started")
        self.running.add(ref)
        self.on_start(ref)

    def stop(self, ref: str, *, signal: str | None, timeout_s: int | None) -> None:
        self.calls.append(("stop", self._get(ref), signal, timeout_s))

    def restart(self, ref: str, *, signal: str | None, timeout_s: int | None) -> None:
        self.calls.append(("restart", self._get(ref), signal, timeout_s))

    def kill(self, ref: str, signal: str | None) -> None:
        self.calls.append(("kill", self._get(ref), signal))

    def remove(self, ref: str, *, force: bool, volumes: bool, link: bool) -> None:
        self.calls.append(("remove", self._get(ref), force, volumes, link))

    def rename(self, ref: str, name: str) -> None:
        self.calls.append(("rename", self._get(ref), name))

    def resize(self, ref: str, *, height: int, width: int) -> None:
        self.calls.append(("resize", self._get(ref), height, width))

    def wait(self, ref: str, condition: str) -> "Future[Waited]":
        self.calls.append(("wait", self._get(ref), condition))
        return self.waits[ref]

    def attach(self, ref: str) -> FakeAttachment:
        return self.names[self._get(ref)]

    def log_source(self, ref: str) -> LogSource:
        name = self._get(ref)
        return LogSource(self.directory / f"{name}.log", self.names[name].tty, self.ended[name])


class FakeExecs:
    """Execs whose console a test holds."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.attachments: dict[str, FakeAttachment] = {}
        self.failure: Exception | None = None

    def create(self, ref: str, body: Mapping[str, object]) -> str:
        self.calls.append(("create", ref, dict(body)))
        self.attachments["e1"] = FakeAttachment("e1", tty=body.get("Tty") is True)
        return "e1"

    def start(
        self, exec_id: str, *, detach: bool, tty: bool, size: tuple[int, int] | None
    ) -> FakeAttachment | None:
        self.calls.append(("start", exec_id, detach, tty, size))
        if self.failure is not None:
            raise self.failure
        return None if detach else self.attachments[exec_id]

    def inspect(self, exec_id: str) -> JsonObject:
        if exec_id not in self.attachments:
            raise NotFoundError(f"No such exec instance: {exec_id}")
        return {"ID": exec_id, "OpenStdin": True, "OpenStdout": True, "OpenStderr": True}

    def resize(self, exec_id: str, *, height: int, width: int) -> None:
        self.calls.append(("resize", exec_id, height, width))


class FakeSystem:
    """Answers of the right shape, not of the right content."""

    def version(self) -> JsonObject:
        return {"Version": "0.1.0", "ApiVersion": "1.50", "MinAPIVersion": "1.24"}

    def info(self) -> JsonObject:
        return {"ID": "x", "Swarm": {"LocalNodeState": "inactive"}}
