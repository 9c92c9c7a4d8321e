"""The wire itself: heads, streams and half-closes that no client library shows."""

import json
import socket
import threading
import time
from contextlib import closing

import pytest

from support.engine import Engine

pytestmark = pytest.mark.needs("root", "docker", "conmon")


def _create(engine: Engine, *command: str, **config: object) -> str:
    body = {"Image": engine.image, "Cmd": list(command), **config}
    answer = engine.request("POST", "/containers/create", body)
    assert answer.status == 201, answer
    return str(answer.json()["Id"])


def _ask(bare: socket.socket, method: str, path: str, *heads: str, body: bytes = b"") -> bytes:
    """Send a request and return the answer's head and whatever came with it."""
    lines = [f"{method} {path} HTTP/1.1", "Host: docker", *heads]
    if method == "POST":
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    bare.sendall("\r\n".join([*lines, "", ""]).encode() + body)
    seen = b""
    while b"\r\n\r\n" not in seen:
        more = bare.recv(65536)
        assert more, seen
        seen += more
    return seen


def _to_the_end(bare: socket.socket, seen: bytes) -> bytes:
    while more := bare.recv(65536):
        seen += more
    return seen.partition(b"\r\n\r\n")[2]


_UPGRADE = ("Connection: Upgrade", "Upgrade: tcp")
_ATTACH = "stream=1&stdin=1&stdout=1&stderr=1"


def test_ping_heads(engine: Engine) -> None:
    for method in ("GET", "HEAD"):
        answer = engine.request(method, "/_ping")
        heads = {name.lower(): value for name, value in answer.headers.items()}
        assert answer.status == 200
        assert answer.body == (b"OK" if method == "GET" else b"")
        assert heads["api-version"].startswith("1.5")
        assert heads["cache-control"] == "no-cache, no-store, must-revalidate"
        assert heads["pragma"] == "no-cache"
        assert heads["ostype"] == "linux"
        assert heads["docker-experimental"] == "false"
        assert "builder-version" in heads
        assert heads["server"]


@pytest.mark.parametrize("prefix", ["", "/v1.24", "/v1.41", "/v1.50"])
def test_version_prefixes(engine: Engine, prefix: str) -> None:
    assert engine.request("GET", f"{prefix}/version").json()["Os"] == "linux"


def test_attach_upgrades_when_asked_and_not_when_not(engine: Engine) -> None:
    box = _create(engine, "cat", OpenStdin=True, StdinOnce=True)
    for heads, first, kind in (
        (_UPGRADE, b"HTTP/1.1 101 ", b"upgrade: tcp"),
        ((), b"HTTP/1.1 200 ", b""),
    ):
        with closing(engine.connect()) as bare:
            seen = _ask(bare, "POST", f"/containers/{box}/attach?{_ATTACH}", *heads)
            assert seen.startswith(first)
            assert kind in seen.lower()
            assert b"application/vnd.docker." in seen
            assert engine.request("POST", f"/containers/{box}/start").status == 204
            bare.sendall(b"data")
            bare.shutdown(socket.SHUT_WR)
            assert _to_the_end(bare, seen) == b"\x01\0\0\0\0\0\0\x04data"
        assert engine.request("POST", f"/containers/{box}/wait").json()["StatusCode"] == 0


def test_half_close_ends_stdin_and_not_the_output(engine: Engine) -> None:
    script = "cat; sleep 0.3; echo after; echo wrong >&2"
    box = _create(engine, "sh", "-c", script, OpenStdin=True, StdinOnce=True)
    with closing(engine.connect()) as bare:
        seen = _ask(bare, "POST", f"/containers/{box}/attach?{_ATTACH}", *_UPGRADE)
        bare.sendall(b"early ")  # before the start: kept until there is a process
        bare.shutdown(socket.SHUT_WR)
        assert engine.request("POST", f"/containers/{box}/start").status == 204
        rest = _to_the_end(bare, seen)
    frames: dict[int, bytes] = {}
    while rest:
        size = int.from_bytes(rest[4:8], "big")
        frames[rest[0]] = frames.get(rest[0], b"") + rest[8 : 8 + size]
        rest = rest[8 + size :]
    assert frames == {1: b"early after\n", 2: b"wrong\n"}


def test_the_head_of_wait_comes_at_once(engine: Engine) -> None:
    box = _create(engine, "sh", "-c", "read x; exit 3", OpenStdin=True)
    engine.request("POST", f"/containers/{box}/start")
    with closing(engine.connect(5)) as bare:
        seen = _ask(bare, "POST", f"/containers/{box}/wait", "Connection: close")
        assert seen.startswith(b"HTTP/1.1 200 ")
        assert not seen.partition(b"\r\n\r\n")[2]
        engine.docker("attach", box, stdin="\n", check=False)
        assert b'"StatusCode":3' in _to_the_end(bare, seen).replace(b" ", b"")


def test_the_head_of_events_comes_at_once(engine: Engine) -> None:
    with closing(engine.connect(5)) as bare:
        assert _ask(bare, "GET", "/events").startswith(b"HTTP/1.1 200 ")


def test_the_head_of_followed_logs_comes_at_once(engine: Engine) -> None:
    box = _create(engine, "sleep", "600")
    engine.request("POST", f"/containers/{box}/start")
    with closing(engine.connect(5)) as bare:
        path = f"/containers/{box}/logs?follow=1&stdout=1"
        assert _ask(bare, "GET", path).startswith(b"HTTP/1.1 200 ")


def test_wait_for_the_next_exit_and_for_removal(engine: Engine) -> None:
    box = _create(engine, "sh", "-c", "exit 8")
    answers: dict[str, object] = {}

    def wait(condition: str) -> None:
        path = f"/containers/{box}/wait?condition={condition}"
        answers[condition] = engine.request("POST", path).json()["StatusCode"]

    waiting = [threading.Thread(target=wait, args=(one,)) for one in ("next-exit", "removed")]
    for thread in waiting:
        thread.start()
    engine.request("POST", f"/containers/{box}/start")
    waiting[0].join(20)
    assert answers == {"next-exit": 8}
    engine.request("DELETE", f"/containers/{box}")
    waiting[1].join(20)
    assert answers == {"next-exit": 8, "removed": 8}


def test_a_wait_for_removal_is_answered_whenever_it_comes(engine: Engine) -> None:
    """Asked before, during or after the removal: the status or 404, never silence."""
    for turn in range(30):
        box = _create(engine, "sh", "-c", "exit 6", HostConfig={"AutoRemove": True})
        engine.request("POST", f"/containers/{box}/start")
        time.sleep(turn % 10 / 1000)
        path = f"/containers/{box}/wait?condition=removed"
        answer = engine.request("POST", path, timeout_s=10)
        if answer.status != 404:
            assert answer.json()["StatusCode"] == 6


def test_a_failed_start_ends_waits_and_attachments(engine: Engine) -> None:
    box = _create(engine, "/no/such", OpenStdin=True, HostConfig={"AutoRemove": True})
    with closing(engine.connect(20)) as attached, closing(engine.connect(20)) as waited:
        seen = _ask(attached, "POST", f"/containers/{box}/attach?{_ATTACH}", *_UPGRADE)
        path = f"/containers/{box}/wait?condition=removed"
        head = _ask(waited, "POST", path, "Connection: close")
        started = engine.request("POST", f"/containers/{box}/start")
        assert started.status == 400
        assert "/no/such" in started.message
        _to_the_end(attached, seen)
        _to_the_end(waited, head)


def test_exec_start_with_its_body_behind_the_upgrade(engine: Engine) -> None:
    box = _create(engine, "sleep", "600")
    engine.request("POST", f"/containers/{box}/start")
    body = {"Cmd": ["wc", "-c"], "AttachStdin": True, "AttachStdout": True}
    exec_id = engine.request("POST", f"/containers/{box}/exec", body).json()["Id"]
    with closing(engine.connect()) as bare:
        raw = json.dumps({"Detach": False, "Tty": False}).encode()
        seen = _ask(bare, "POST", f"/exec/{exec_id}/start", *_UPGRADE, body=raw)
        assert seen.startswith(b"HTTP/1.1 101 ")
        bare.sendall(b"12345678")
        bare.shutdown(socket.SHUT_WR)
        assert _to_the_end(bare, seen) == b"\x01\0\0\0\0\0\0\x028\n"
    assert engine.request("GET", f"/exec/{exec_id}/json").json()["ExitCode"] == 0


def test_a_slow_reader_blocks_neither_the_container_nor_the_log(engine: Engine) -> None:
    size = 8_000_000
    script = f"head -c {size} /dev/zero; echo done >&2"
    box = _create(engine, "sh", "-c", script)
    with closing(engine.connect()) as slow:
        _ask(slow, "POST", f"/containers/{box}/attach?stream=1&stdout=1&stderr=1", *_UPGRADE)
        engine.request("POST", f"/containers/{box}/start")
        if not engine.foreign:  # dockerd's container stands still here
            waited = engine.request("POST", f"/containers/{box}/wait", timeout_s=60)
            assert waited.json()["StatusCode"] == 0
            logs = engine.request("GET", f"/containers/{box}/logs?stderr=1", timeout_s=60)
            assert logs.body.endswith(b"done\n")


def test_keep_alive_serves_many_requests(engine: Engine) -> None:
    with closing(engine.connect()) as bare:
        for _ in range(50):
            seen = _ask(bare, "GET", "/_ping")
            while not seen.endswith(b"OK"):
                seen += bare.recv(4096)
            assert seen.startswith(b"HTTP/1.1 200 ")


def test_null_and_empty(engine: Engine) -> None:
    assert engine.request("GET", "/plugins").json() == []
    if not engine.foreign:
        listed = engine.request("GET", "/containers/json?all=1")
        assert listed.body.strip() == b"[]"
    box = _create(engine, "true")
    seen = engine.request("GET", f"/containers/{box}/json").json()
    assert seen["State"]["StartedAt"] == "0001-01-01T00:00:00Z"
    assert seen["State"]["FinishedAt"] == "0001-01-01T00:00:00Z"
    assert seen["Mounts"] == []
