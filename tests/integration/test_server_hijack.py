"""Hijacked streams over the real server, byte by byte, as raw clients see them."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyd_api.errors import ConflictError
from pyd_api.framing import STDERR, STDOUT, frame
from support.fakes_api import Monitor
from support.served_api import Served, serving


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path) as it:
        yield it


UPGRADE = b"Connection: Upgrade\r\nUpgrade: tcp\r\n"


def request(path: str, extra: bytes = b"", body: bytes = b"") -> bytes:
    length = (
        b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body) if body else b""
    )
    return b"POST %s HTTP/1.1\r\nHost: d\r\n%s%s\r\n%s" % (path.encode(), extra, length, body)


def read_head(client: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = client.recv(1)
        assert byte, head
        head += byte
    return head


def read_all(client: socket.socket) -> bytes:
    data = b""
    while part := client.recv(65536):
        data += part
    return data


ALL = "?stream=1&stdin=1&stdout=1&stderr=1"


@pytest.mark.parametrize("upgrade", [True, False])
def test_attach_carries_both_streams_and_outlives_the_end_of_input(
    served: Served, upgrade: bool
) -> None:
    attachment = served.containers.add("c")
    with served.connect() as client:
        client.sendall(request(f"/v1.50/containers/c/attach{ALL}", UPGRADE if upgrade else b""))
        head = read_head(client)
        if upgrade:
            assert head.startswith(b"HTTP/1.1 101 UPGRADED\r\n")
            assert b"application/vnd.docker.multiplexed-stream" in head
        else:
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"application/vnd.docker.raw-stream" in head
        assert b"Api-Version: 1.50" in head
        monitor = Monitor(attachment)
        client.sendall(b"hello")
        assert monitor.input() == b"hello"
        client.shutdown(socket.SHUT_WR)
        assert monitor.input() == b""
        monitor.stdout(b"out")
        monitor.stderr(b"err")
        monitor.close()
        assert read_all(client) == frame(STDOUT, b"out") + frame(STDERR, b"err")


@pytest.mark.parametrize("upgrade", [True, False])
def test_input_and_its_end_sent_with_the_head_are_kept(served: Served, upgrade: bool) -> None:
    attachment = served.containers.add("c")
    with served.connect() as client:
        head = request(f"/containers/c/attach{ALL}", UPGRADE if upgrade else b"")
        client.sendall(head + b"GET /early HTTP/1.1\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        read_head(client)
        monitor = Monitor(attachment)
        assert monitor.input() == b"GET /early HTTP/1.1\r\n\r\n"
        assert monitor.input() == b""
        monitor.stdout(b"done")
        monitor.close()
        assert read_all(client) == frame(STDOUT, b"done")


@pytest.mark.parametrize("framing", ["length", "chunked", "upgrade"])
def test_exec_start_body_is_not_taken_for_input(served: Served, framing: str) -> None:
    exec_id = served.execs.create("c", {"Cmd": ["x"]})
    body = b'{"Detach": false, "Tty": false}'
    if framing == "chunked":
        raw = (
            b"POST /exec/e1/start HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        )
    else:
        raw = request(f"/exec/{exec_id}/start", UPGRADE if framing == "upgrade" else b"", body)
    for cut in (0, 1, len(raw) - len(body) // 2, len(raw)):
        served.execs.create("c", {"Cmd": ["x"]})
        with served.connect() as client:
            client.sendall(raw[:cut])
            client.sendall(raw[cut:] + b"typed")
            read_head(client)
            monitor = Monitor(served.execs.attachments["e1"])
            assert monitor.input() == b"typed"
            monitor.stdout(b"x")
            monitor.close()
            assert read_all(client) == frame(STDOUT, b"x")


def test_failed_start_ends_the_stream(served: Served) -> None:
    attachment = served.containers.add("c")
    with served.connect() as client:
        client.sendall(request(f"/containers/c/attach{ALL}", UPGRADE))
        read_head(client)
        attachment.console.cancel()
        assert read_all(client) == b""


def test_unknown_container_is_an_ordinary_answer(served: Served) -> None:
    with served.connect() as client:
        client.sendall(request(f"/containers/none/attach{ALL}", UPGRADE))
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert json.loads(answer.rpartition(b"\r\n\r\n")[2]) == {"message": "No such container: none"}


def test_detach_keys_end_the_session_only(served: Served) -> None:
    attachment = served.containers.add("c", tty=True)
    monitor = Monitor(attachment)
    with served.connect() as client:
        client.sendall(request(f"/containers/c/attach{ALL}", UPGRADE))
        assert b"raw-stream" in read_head(client)
        monitor.stdout(b"$ ")
        assert client.recv(100) == b"$ "
        client.sendall(b"ls\x10")
        assert monitor.input() == b"ls"
        client.sendall(b"\x11")
        assert read_all(client) == b""
    with served.connect() as client:  # the same console serves the next client
        client.sendall(request(f"/containers/c/attach{ALL}", UPGRADE))
        read_head(client)
        client.sendall(b"again")
        assert monitor.input() == b"again"
        monitor.close()
        assert read_all(client) == b""


def test_g13_a_client_that_does_not_read_holds_nobody_up(tmp_path: Path) -> None:
    with serving(tmp_path, memory_bytes=64 * 1024, file_bytes=1024 * 1024) as served:
        attachment = served.containers.add("c", tty=True)
        with served.connect() as stuck, served.connect() as good:
            for client in (stuck, good):
                client.sendall(request("/containers/c/attach?stream=1&stdout=1", UPGRADE))
                read_head(client)
            monitor = Monitor(attachment)
            total = 8 * 1024 * 1024
            received = []
            reader = threading.Thread(target=lambda: received.append(len(read_all(good))))
            reader.start()
            for _ in range(total // 8192):
                monitor.stdout(bytes(8192))
            monitor.close()
            reader.join(20)
            assert received == [total]


def test_a_slow_client_loses_nothing(tmp_path: Path) -> None:
    with serving(tmp_path, memory_bytes=64 * 1024, file_bytes=256 * 1024) as served:
        attachment = served.containers.add("c", tty=True)
        with served.connect() as client:
            client.sendall(request("/containers/c/attach?stream=1&stdout=1", UPGRADE))
            read_head(client)
            monitor = Monitor(attachment)
            blocks = [bytes([number % 251]) * 8192 for number in range(500)]

            def produce() -> None:
                for block in blocks:
                    monitor.stdout(block)
                monitor.close()

            producer = threading.Thread(target=produce)
            producer.start()
            data = b""
            while part := client.recv(100_000):
                data += part
            producer.join(5)
            assert data == b"".join(blocks)


def test_exec_failure_after_the_head_is_a_line_of_the_stream(served: Served) -> None:
    served.execs.create("c", {"Cmd": ["x"]})
    served.execs.failure = ConflictError("exec command e1 has already run")
    with served.connect() as client:
        client.sendall(request("/exec/e1/start", UPGRADE, b"{}"))
        read_head(client)
        assert read_all(client) == frame(STDOUT, b"exec command e1 has already run\r\n")


def test_stop_ends_streams(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        served.containers.add("c")
        attached, waiting = served.connect(), served.connect()
        attached.sendall(request(f"/containers/c/attach{ALL}", UPGRADE))
        waiting.sendall(request("/containers/c/wait"))
        read_head(attached)
        assert b"200 OK" in read_head(waiting)
    assert attached.recv(10) == b""
    attached.close()
    waiting.close()


def test_g19_half_closed_sessions_give_everything_back(served: Served) -> None:
    fds = Path("/proc/self/fd")
    before = 0
    for turn in range(12):
        attachment = served.containers.add(f"c{turn}")
        with served.connect() as client:
            client.sendall(request(f"/containers/c{turn}/attach{ALL}", UPGRADE))
            read_head(client)
            monitor = Monitor(attachment)
            client.sendall(b"x" * 400_000)  # enough to stop reading for a while
            client.shutdown(socket.SHUT_WR)
            while monitor.input():
                pass
            monitor.stdout(b"done")
            monitor.close()
            assert read_all(client) == frame(STDOUT, b"done")
        if turn == 1:
            before = len(list(fds.iterdir()))
    assert len(list(fds.iterdir())) <= before + 1
