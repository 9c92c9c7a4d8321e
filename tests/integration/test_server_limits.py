"""What strangers send to the server: limits, timeouts, broken HTTP; others are still served."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from pyd_guest.daemon import server
from support.fakes_api import Waited
from support.served_api import Served, serving


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path) as it:
        yield it


def exchange(served: Served, *pieces: bytes) -> bytes:
    """Send pieces, return all until the server closes."""
    with served.connect() as client:
        for piece in pieces:
            client.sendall(piece)
        return read_all(client)


def read_all(client: socket.socket) -> bytes:
    data = b""
    while True:
        try:
            part = client.recv(65536)
        except ConnectionResetError:
            return data
        if not part:
            return data
        data += part


def read_answer(client: socket.socket) -> tuple[int, bytes]:
    """Read one answer with a Content-Length, leaving the connection open."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = client.recv(1)
        assert byte, head
        head += byte
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    body = b""
    while len(body) < length:
        body += client.recv(length - len(body))
    return int(head.split(b" ")[1]), body


def assert_alive(served: Served) -> None:
    begin = time.monotonic()
    with served.connect() as client:
        client.sendall(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
        assert read_answer(client) == (200, b"OK")
    assert time.monotonic() - begin < 1


@pytest.mark.parametrize(
    "raw",
    [
        b"POST /x HTTP/1.1\r\nHost: d\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: d\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: d\r\nContent-Length: -1\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: d\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"GET /_ping HTTP/1.1\nHost: d\n\n",
        b"GET /_ping HTTP/1.1\r\nHost : d\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nA: b\r\n folded\r\nB: \x00\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: d\r\n\r\n",
        b"GET http:// HTTP/1.1\r\nHost: d\r\n\r\n",
        b"GET /_ping HTTP/9.9\r\nHost: d\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\n\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nHost: d\r\n\r\n",
        (
            b"POST /exec/x/start HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
        ),
    ],
)
def test_e1_malformed_requests_are_refused_and_closed(served: Served, raw: bytes) -> None:
    answer = exchange(served, raw)
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 404 ")), answer
    assert_alive(served)


def test_e1_a_broken_chunk_is_refused(served: Served) -> None:
    head = (
        b"POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    assert exchange(served, head, b"zz\r\n{}\r\n").startswith(b"HTTP/1.1 400 ")
    assert_alive(served)


@pytest.mark.parametrize("where", ["header", "url", "many"])
def test_e3_a_huge_head_is_refused(served: Served, where: str) -> None:
    filler = b"a" * (server.HEAD_MAX_BYTES + 1)
    raw = {
        "header": b"GET /_ping HTTP/1.1\r\nX: " + filler + b"\r\n\r\n",
        "url": b"GET /" + filler + b" HTTP/1.1\r\n\r\n",
        "many": b"GET /_ping HTTP/1.1\r\n" + b"a: b\r\n" * 20_000 + b"\r\n",
    }[where]
    with served.connect() as client:
        with suppress(BrokenPipeError, ConnectionResetError):  # closed before all was sent
            client.sendall(raw)
        assert read_all(client).startswith(b"HTTP/1.1 431 ")
    assert_alive(served)


def test_e3_slow_heads_are_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_TIMEOUT_S", 0.2)
    with serving(tmp_path) as served, served.connect() as silent, served.connect() as slow:
        slow.sendall(b"GET /_ping HT")
        assert silent.recv(10) == b""
        assert read_all(slow) == b""
        assert_alive(served)


def test_e3_many_idle_connections_hinder_nobody(served: Served) -> None:
    with ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(served.connect())
        assert_alive(served)


def test_e4_a_body_without_end_is_413(served: Served) -> None:
    head = (
        b"POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
        b"Content-Length: 1073741824\r\n\r\n"
    )
    with served.connect() as client:
        client.sendall(head)
        sent = 0
        block = b'{"a":"' + b"x" * 65530
        try:
            while sent < 64 * 1024 * 1024:
                client.sendall(block)
                sent += len(block)
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            pass
        assert b"413" in client.recv(100)
    assert_alive(served)


def test_requests_one_after_another_and_pipelined(served: Served) -> None:
    served.containers.add("c")
    ping = b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n"
    body = json.dumps({"Image": "x"}).encode()
    create = (
        b"POST /containers/create?name=n HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    with served.connect() as client:
        for _ in range(3):
            client.sendall(ping)
            assert read_answer(client) == (200, b"OK")
        client.sendall(ping + create + ping)
        assert read_answer(client) == (200, b"OK")
        status, answer = read_answer(client)
        assert (status, json.loads(answer)["Id"]) == (201, "n")
        assert read_answer(client) == (200, b"OK")
        for at in range(len(create)):
            client.sendall(create[at : at + 1])
        assert read_answer(client)[0] == 409


def test_e2_http_1_0(served: Served) -> None:
    answer = exchange(served, b"GET /_ping HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b"OK")


def test_expect_100_continue(served: Served) -> None:
    body = b'{"Image":"x"}'
    with served.connect() as client:
        client.sendall(
            b"POST /containers/create?name=n HTTP/1.1\r\nHost: d\r\nExpect: 100-continue\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        assert read_answer(client)[0] == 201


def test_an_offered_upgrade_is_declined(served: Served) -> None:
    with served.connect() as client:
        for _ in range(2):
            client.sendall(
                b"GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
            )
            assert read_answer(client) == (200, b"OK")


def test_a_request_is_answered_after_the_end_of_input(served: Served) -> None:
    served.containers.add("c")
    with served.connect() as client:
        client.sendall(b"POST /containers/c/wait HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        served.containers.waits["c"].set_result(Waited(3))
        assert b'{"StatusCode":3}' in read_all(client)


def test_a_client_that_goes_away_ends_its_wait(served: Served) -> None:
    served.containers.add("c")
    cancelled = served.containers.waits["c"]
    with served.connect() as client:
        client.sendall(b"POST /containers/c/wait HTTP/1.1\r\nHost: d\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")
    deadline = time.monotonic() + 5
    while not cancelled.cancelled() and time.monotonic() < deadline:
        assert_alive(served)
    assert cancelled.cancelled()


def test_every_answer_has_a_date_and_a_server(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"GET /nope HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")
        answer = read_all(client).lower()
    assert b"\r\ndate: " in answer
    assert b"\r\nserver: pyd/0.1.0 (linux)\r\n" in answer
    assert answer.count(b"\r\nserver:") == 1
