"""Logs and events over the real server: heads at once, following, ends."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyd_api.framing import STDERR, STDOUT, Deframer
from pyd_guest.engine.events import QUEUE_MAX
from pyd_guest.engine.logs import format_time
from support.served_api import Served, serving


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path) as it:
        yield it


class Reader:
    """Reads a chunked answer as it comes."""

    def __init__(self, client: socket.socket, target: str, method: str = "GET") -> None:
        client.sendall(f"{method} {target} HTTP/1.1\r\nHost: d\r\n\r\n".encode())
        self._file = client.makefile("rb")
        self.head = b""
        while not self.head.endswith(b"\r\n\r\n"):
            line = self._file.readline()
            assert line
            self.head += line

    def chunk(self) -> bytes:
        """The next chunk, ``b""`` for the last one."""
        size = int(self._file.readline(), 16)
        data = self._file.read(size)
        assert self._file.readline() == b"\r\n"
        return data

    def rest(self) -> bytes:
        out = b""
        while data := self.chunk():
            out += data
        return out

    def close(self) -> None:
        self._file.close()


def append(served: Served, name: str, *rows: tuple[str, str, bytes]) -> None:
    with (served.containers.directory / f"{name}.log").open("ab") as log:
        for stream, tag, text in rows:
            stamp = format_time(time.time_ns())
            log.write(stamp + f" {stream} {tag} ".encode() + text + b"\n")


def frames(data: bytes) -> list[tuple[int, bytes]]:
    return list(Deframer().feed(data))


def test_logs_that_are_there(served: Served) -> None:
    served.containers.add("c")
    append(served, "c", ("stdout", "F", b"one"), ("stderr", "F", b"two"))
    with served.connect() as client:
        reader = Reader(client, "/containers/c/logs?stdout=1&stderr=1")
        assert b"application/vnd.docker.multiplexed-stream" in reader.head
        assert frames(reader.rest()) == [(STDOUT, b"one\n"), (STDERR, b"two\n")]
        reader.close()
    with served.connect() as client:
        reader = Reader(client, "/v1.41/containers/c/logs?stderr=1&tail=1")
        assert b"application/vnd.docker.raw-stream" in reader.head
        assert frames(reader.rest()) == [(STDERR, b"two\n")]
        reader.close()


@pytest.mark.parametrize("exists", [True, False])
def test_following_ends_with_the_container_and_misses_nothing(served: Served, exists: bool) -> None:
    served.containers.add("c", tty=True)
    if exists:
        append(served, "c", ("stdout", "F", b"old"))
    with served.connect() as client:
        reader = Reader(client, "/containers/c/logs?stdout=1&follow=1&tail=0")
        append(served, "c", ("stdout", "P", b"ne"))
        got = reader.chunk()
        append(served, "c", ("stdout", "F", b"w"), ("stderr", "F", b"hidden"))
        while not got.endswith(b"w\n"):
            got += reader.chunk()
        append(served, "c", ("stdout", "F", b"last"))
        served.containers.ended["c"].set_result(None)
        assert (got + reader.rest()).endswith(b"new\nlast\n")
        reader.close()


def test_following_to_a_time(served: Served) -> None:
    served.containers.add("c", tty=True)
    append(served, "c", ("stdout", "F", b"old"))
    until = time.time() + 0.5
    with served.connect() as client:
        reader = Reader(client, f"/containers/c/logs?stdout=1&follow=1&until={until:.6f}")
        assert reader.rest() == b"old\n"
        assert time.time() >= until
        reader.close()


def test_g12_a_long_log_is_streamed(served: Served) -> None:
    served.containers.add("c", tty=True)
    append(served, "c", *[("stdout", "P", b"x" * 8000)] * 2000)
    with served.connect() as client:
        reader = Reader(client, "/containers/c/logs?stdout=1")
        assert len(reader.rest()) == 16_000_000
        reader.close()


def test_followers_that_leave_give_everything_back(served: Served) -> None:
    served.containers.add("c", tty=True)
    append(served, "c", ("stdout", "F", b"x"))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        with served.connect() as client:
            reader = Reader(client, "/containers/c/logs?stdout=1&follow=1")
            assert reader.chunk() == b"x\n"
            reader.close()
    deadline = time.monotonic() + 5
    while len(list(Path("/proc/self/fd").iterdir())) > before + 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_attach_replays_the_log(served: Served) -> None:
    served.containers.add("c", tty=True)
    append(served, "c", ("stdout", "F", b"before"))
    with served.connect() as client:
        client.sendall(
            b"POST /containers/c/attach?logs=1&stdout=1 HTTP/1.1\r\nHost: d\r\n"
            b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
        )
        data = b""
        while part := client.recv(1000):
            data += part
    assert data.endswith(b"\r\n\r\nbefore\n")


def test_events_replay_and_go_on(served: Served) -> None:
    served.events.publish("container", "create", "id1", {"name": "n", "image": "bb"})
    with served.connect() as client:
        reader = Reader(client, "/events?since=1")
        assert b"content-type: application/json" in reader.head.lower()
        first = json.loads(reader.chunk())
        assert (first["status"], first["from"]) == ("create", "bb")
        served.events.publish("container", "start", "id1", {"name": "n", "image": "bb"})
        assert json.loads(reader.chunk())["Action"] == "start"
        reader.close()


def test_events_until(served: Served) -> None:
    served.events.publish("container", "create", "id1", {})
    with served.connect() as client:
        reader = Reader(client, "/events?since=1&until=2")
        assert reader.rest() == b""
        reader.close()
    with served.connect() as client:
        until = time.time() + 0.3
        reader = Reader(client, f'/events?until={until}&filters={{"event":["start"]}}')
        served.events.publish("container", "create", "id1", {})
        served.events.publish("container", "start", "id1", {})
        assert [json.loads(row)["Action"] for row in reader.rest().splitlines()] == ["start"]
        reader.close()


def test_bad_event_queries(served: Served) -> None:
    for query, words in (
        ("since=abc", "invalid syntax"),
        ("since=10&until=5", "`since` time (10) cannot be after `until` time (5)"),
        ("filters={bad", "invalid filter"),
    ):
        with served.connect() as client:
            client.sendall(
                f"GET /events?{query} HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n".encode()
            )
            answer = client.makefile("rb").read()
        assert b" 400 " in answer[:20]
        assert words in json.loads(answer.rpartition(b"\r\n\r\n")[2])["message"]


def test_e15_listeners_that_do_not_read_are_cut_off(served: Served) -> None:
    with served.connect() as lazy:
        reader = Reader(lazy, "/events")
        done = threading.Event()

        def publish() -> None:
            label = {"x": "y" * 1000}
            for _ in range(4 * QUEUE_MAX):
                served.events.publish("container", "x", "c", label)
            done.set()

        threading.Thread(target=publish).start()
        assert done.wait(10)
        received = reader.rest()  # the stream has an end: something was missed
        assert 0 < received.count(b"\n") < 4 * QUEUE_MAX
        reader.close()
    assert served.events.listeners == 0


def test_stop_ends_logs_and_events_cleanly_and_cuts_waits(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        served.containers.add("c", tty=True)
        append(served, "c", ("stdout", "F", b"x"))
        clients = [served.connect() for _ in range(3)]
        logs = Reader(clients[0], "/containers/c/logs?stdout=1&follow=1")
        events = Reader(clients[1], "/events")
        wait = Reader(clients[2], "/containers/c/wait", "POST")
        assert logs.chunk() == b"x\n"
    assert logs.rest() == b""
    assert events.rest() == b""
    with pytest.raises(ValueError, match="invalid literal"):
        wait.chunk()  # no end that could be taken for an answer
    for reader, client in zip((logs, events, wait), clients, strict=True):
        reader.close()
        client.close()
