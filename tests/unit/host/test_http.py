"""The client's HTTP: framing, reuse of connections, taking them over, versions, errors."""
# ruff: noqa: E501 - tables of command lines and messages, one row a line

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from pyd_api.errors import (
    ConflictError,
    InternalError,
    InvalidRequestError,
    NotFoundError,
    UnavailableError,
)
from pyd_host.client.address import parse_address
from pyd_host.client.engine import Engine, encode_query, escape, segment
from pyd_host.client.http import Connection, ConnectionLostError
from unit.host.scripted import Request, ScriptedEngine, answer


@pytest.fixture
def pair() -> Iterator[tuple[Connection, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Connection(ours), theirs


@pytest.fixture
def engine(scripted: ScriptedEngine) -> Iterator[Engine]:
    with closing(Engine(parse_address(f"unix://{scripted.path}"))) as engine:
        yield engine


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b"Content-Length: 5\r\n\r\nhello", b"hello"),
        (b"content-length:0\r\n\r\n", b""),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;ext=1\r\nllo\r\n0\r\n\r\n", b"hello"),
        (
            b"Transfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n",
            b"0123456789",
        ),
    ],
)
def test_a_body_is_read_however_it_is_cut(
    pair: tuple[Connection, socket.socket], raw: bytes, body: bytes
) -> None:
    connection, theirs = pair
    for piece in (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n" + raw,):
        for byte in piece:
            theirs.send(bytes([byte]))
    response = connection.response()
    assert (response.status, response.read()) == (200, body)
    assert connection.reusable()


def test_a_body_without_length_ends_with_the_connection(
    pair: tuple[Connection, socket.socket],
) -> None:
    connection, theirs = pair
    theirs.sendall(b"HTTP/1.1 200 OK\r\n\r\nall of it")
    theirs.close()
    assert connection.response().read() == b"all of it"
    assert not connection.reusable()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200",
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
)
def test_a_broken_answer_is_an_error(pair: tuple[Connection, socket.socket], raw: bytes) -> None:
    connection, theirs = pair
    theirs.sendall(raw)
    theirs.close()
    with pytest.raises(ConnectionLostError):
        connection.response().read()


def test_a_head_has_a_limit(pair: tuple[Connection, socket.socket]) -> None:
    connection, theirs = pair

    def flood() -> None:
        try:
            while True:
                theirs.sendall(b"x" * 65536)
        except OSError:
            pass

    thread = threading.Thread(target=flood)
    thread.start()
    with pytest.raises(ConnectionLostError, match="no end"):
        connection.response()
    connection.close()
    thread.join(5)


def test_a_connection_is_used_again(scripted: ScriptedEngine, engine: Engine) -> None:
    scripted.on("GET", "/a", answer(200, {"n": 1}))
    assert [engine.get("/a") for _ in range(3)] == [{"n": 1}] * 3
    assert scripted.connections == 1


def test_a_connection_the_engine_closed_is_not(scripted: ScriptedEngine, engine: Engine) -> None:
    scripted.on("GET", "/a", answer(200, {"n": 1}, Connection="close"))
    assert engine.get("/a") == engine.get("/a")
    assert scripted.connections == 2


def test_a_connection_that_went_stale_is_noticed(scripted: ScriptedEngine, engine: Engine) -> None:
    closed = threading.Event()

    def once(_request: Request, client: socket.socket) -> None:
        client.sendall(answer(200, {}))
        client.shutdown(socket.SHUT_RDWR)
        closed.set()

    scripted.on("GET", "/a", once)
    scripted.on("POST", "/b", answer(204))
    engine.get("/a")
    assert closed.wait(5)
    assert engine.post("/b") is None
    assert scripted.connections == 2


def test_another_request_may_run_beside_one_that_waits(
    scripted: ScriptedEngine, engine: Engine
) -> None:
    release = threading.Event()

    def wait(_request: Request, client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        release.wait(5)
        client.sendall(b"2\r\n{}\r\n0\r\n\r\n")
        client.close()

    scripted.on("POST", "/wait", wait)
    scripted.on("POST", "/start", answer(204))
    waiting = engine.submit("/wait")  # the head has been answered
    engine.post("/start")
    release.set()
    assert waiting.read() == b"{}"


def test_an_older_engine_is_spoken_to_in_its_own_version(
    scripted: ScriptedEngine, engine: Engine
) -> None:
    def gate(request: Request, _client: socket.socket) -> bytes:
        if request.target.startswith("/v1.43/"):
            return answer(200, {"ok": True})
        words = "client version 1.50 is too new. Maximum supported API version is 1.43"
        return answer(400, {"message": words})

    scripted.on("GET", "/a", gate)
    assert engine.get("/a") == {"ok": True}
    assert engine.get("/a") == {"ok": True}
    assert [request.target for request in scripted.requests] == ["/v1.50/a", "/v1.43/a", "/v1.43/a"]


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (answer(404, {"message": "No such container: x"}), NotFoundError, "Error response from daemon: No such container: x"),
        (answer(409, {"message": "busy"}), ConflictError, "busy"),
        (answer(418, {"message": "odd"}), InternalError, "odd"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\nnope", InternalError, "nope"),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", InternalError, "500 Oops"),
    ],
)  # fmt: skip
def test_a_refusal_becomes_the_error_of_its_status(
    scripted: ScriptedEngine, engine: Engine, reply: bytes, error: type[Exception], words: str
) -> None:
    scripted.on("GET", "/a", reply)
    with pytest.raises(error, match=words):
        engine.get("/a")


def test_no_engine_is_said_with_a_hint() -> None:
    with pytest.raises(UnavailableError, match=r"unix:///nope\. Is the pyd daemon") as caught:
        Engine(parse_address("unix:///nope")).get("/a")
    assert "pyd daemon" in str(caught.value.hint)


def test_an_engine_that_dies_in_between_is_said(scripted: ScriptedEngine, engine: Engine) -> None:
    def die(_request: Request, client: socket.socket) -> None:
        client.close()

    scripted.on("GET", "/a", die)
    with pytest.raises(UnavailableError, match="lost the connection"):
        engine.get("/a")


def test_an_upload_goes_out_in_chunks(scripted: ScriptedEngine, engine: Engine) -> None:
    scripted.on("POST", "/load", answer(200, {}))
    engine.request("POST", "/load", body=iter([b"ab", b"", b"c" * 70000])).read()
    assert scripted.requests[0].body == b"ab" + b"c" * 70000


def test_a_taken_over_connection_keeps_what_came_early(
    scripted: ScriptedEngine, engine: Engine
) -> None:
    head = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"

    def hijack(_request: Request, client: socket.socket) -> None:
        client.sendall(head + b"early")
        time.sleep(0)
        client.sendall(b" late")
        client.close()

    scripted.on("POST", "/attach", hijack)
    raw, early, headers = engine.hijack("/attach")
    with closing(raw):
        data = early
        while piece := raw.recv(100):
            data += piece
    assert (data, headers["upgrade"]) == (b"early late", "tcp")
    assert scripted.requests[0].headers["upgrade"] == "tcp"


def test_query_values_are_escaped() -> None:
    assert escape("a/b c:é") == "a%2Fb%20c%3A%C3%A9"
    assert escape("a/b:1@x", b"/:@") == "a/b:1@x"
    query = {"a": True, "b": False, "c": None, "d": 3, "e": "x&y", "f": {"name": ["a b"]}, "g": {}, "h": ["1", "2"]}  # fmt: skip
    assert encode_query(query) == (
        "?a=1&b=0&d=3&e=x%26y&f=%7B%22name%22%3A%20%5B%22a%20b%22%5D%7D&h=1&h=2"
    )
    assert encode_query({}) == ""


@pytest.mark.parametrize(
    ("text", "host", "port", "path"),
    [
        ("unix:///x", "", 0, "/x"), ("/x", "", 0, "/x"), ("unix://", "", 0, "/run/pyd/pyd.sock"),
        ("tcp://h:1", "h", 1, ""), ("tcp://h", "h", 2375, ""), ("h", "h", 2375, ""),
        ("tcp://[::1]:5", "::1", 5, ""), ("tcp://[::1]", "::1", 2375, ""), ("tcp://:5", "127.0.0.1", 5, ""),
    ],
)  # fmt: skip
def test_addresses(text: str, host: str, port: int, path: str) -> None:
    address = parse_address(text)
    assert (address.host, address.port, address.path) == (host, port, path)


@pytest.mark.parametrize(
    "text", ["ssh://x", "npipe:////./pipe/x", "foo://x", "unix://x", "tcp://h:x", "tcp://h:99999"]
)
def test_bad_addresses(text: str) -> None:
    from pyd_api.errors import PydError

    with pytest.raises(PydError) as caught:
        parse_address(text)
    assert caught.value.hint


def test_an_upload_refused_half_way_still_gets_its_answer(
    pair: tuple[Connection, socket.socket],
) -> None:
    connection, theirs = pair

    def refuse() -> None:
        theirs.recv(1000)
        theirs.sendall(answer(400, {"message": "no archive"}))
        theirs.close()

    thread = threading.Thread(target=refuse)
    thread.start()
    connection.send("POST", "/load", {}, iter(lambda: b"x" * 65536, b""))  # without end
    thread.join(5)
    assert connection.response().status == 400


def test_an_empty_name_never_becomes_a_path() -> None:
    with pytest.raises(InvalidRequestError, match="value is empty"):
        segment("")
    assert segment("..") == ".."
    assert segment("a/../b?c#d") == "a%2F..%2Fb%3Fc%23d"
