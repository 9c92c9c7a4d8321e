"""Attached streams: pump, detach keys, progress and JSON streams."""

import io
import os
import socket
import threading

import pytest

from pyd_api.errors import InternalError, NotFoundError
from pyd_api.framing import frame
from pyd_host.cli.progress import Display
from pyd_host.client.detach import DetachFilter, parse_keys
from pyd_host.client.jsonstream import documents
from pyd_host.client.output import SplitOutput
from pyd_host.client.pump import Pump


def test_output_comes_and_input_goes_and_its_end_too() -> None:
    ours, theirs = socket.socketpair()
    reader, writer = os.pipe()
    seen: list[bytes] = []

    def engine() -> None:
        data = b""
        while piece := theirs.recv(65536):  # up to the half-close
            data += piece
        theirs.sendall(b"got %d" % len(data))
        theirs.close()

    def user() -> None:
        left = b"x" * 1_000_000
        while left:
            left = left[os.write(writer, left) :]
        os.close(writer)

    threads = [threading.Thread(target=work) for work in (engine, user)]
    for thread in threads:
        thread.start()
    assert Pump(ours, seen.append, stdin=reader, detach=None).run(b"early ") is False
    for thread in threads:
        thread.join(5)
    os.close(reader)
    assert b"".join(seen) == b"early got 1000000"


def test_output_goes_on_while_the_engine_takes_no_input() -> None:
    ours, theirs = socket.socketpair()
    reader, writer = os.pipe()
    seen: list[bytes] = []

    def user() -> None:
        try:
            while True:
                os.write(writer, b"x" * 65536)
        except OSError:
            pass

    def engine() -> None:
        for _ in range(50):
            theirs.sendall(b"y" * 65536)
        theirs.close()  # without having read a byte

    threads = [threading.Thread(target=work) for work in (engine, user)]
    for thread in threads:
        thread.start()
    assert Pump(ours, seen.append, stdin=reader, detach=None).run(b"") is False
    os.close(reader)
    for thread in threads:
        thread.join(5)
    os.close(writer)
    assert sum(map(len, seen)) == 50 * 65536


def test_detach_keys_end_the_session_and_are_not_sent() -> None:
    ours, theirs = socket.socketpair()
    reader, writer = os.pipe()
    os.write(writer, b"ls\n\x10\x11more")
    pump = Pump(ours, lambda _data: None, stdin=reader, detach=DetachFilter(b"\x10\x11"))
    assert pump.run(b"") is True
    assert theirs.recv(100) == b"ls\n"
    theirs.close()
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize(
    ("pieces", "sent", "detached"),
    [
        ([b"abc"], b"abc", False),
        ([b"\x10\x11"], b"", True),
        ([b"a\x10", b"\x11b"], b"a", True),
        ([b"a\x10", b"b"], b"a\x10b", False),
        ([b"\x10\x10\x11"], b"\x10", True),
        ([b"\x10"], b"", False),
        ([b"\x11\x10x"], b"\x11\x10x", False),
    ],
)
def test_what_may_become_the_sequence_is_held_back(
    pieces: list[bytes], sent: bytes, *, detached: bool
) -> None:
    keys = DetachFilter(b"\x10\x11")
    assert b"".join(keys.feed(piece) for piece in pieces) == sent
    assert keys.detached is detached


def test_detach_keys_are_read() -> None:
    assert parse_keys("ctrl-p,ctrl-q") == b"\x10\x11"
    assert parse_keys("a,ctrl-@,ctrl-[,ctrl-_") == b"a\x00\x1b\x1f"
    for bad in ("ctrl-foo", "ctrl-", "ab", "", "ctrl-1", "é"):
        with pytest.raises(ValueError, match="Unknown character"):
            parse_keys(bad)


def test_frames_go_to_their_streams(capfd: pytest.CaptureFixture[str]) -> None:
    output = SplitOutput()
    data = frame(1, b"out") + frame(2, b"err") + frame(1, b"!")
    for byte in data:
        output(bytes([byte]))
    assert tuple(capfd.readouterr()) == ("out!", "err")
    with pytest.raises(InternalError, match="broken log"):
        output(frame(3, b"broken log"))


def test_documents_are_found_however_they_are_cut() -> None:
    raw = '{"a":"}é{"}\r\n{"b":{"c":[1,{}]}} {"d":1}\n'.encode()
    expected = [{"a": "}é{"}, {"b": {"c": [1, {}]}}, {"d": 1}]
    assert list(documents([raw])) == expected
    assert list(documents(bytes([byte]) for byte in raw)) == expected
    assert list(documents([])) == []
    for broken in (b'{"a":', b"junk", b'{"a":1}{"b'):
        with pytest.raises(InternalError, match="middle of a message"):
            list(documents([broken]))


MESSAGES: list[dict[str, object]] = [
    {"status": "Pulling from x", "id": "latest"},
    {"status": "Downloading", "id": "aa", "progressDetail": {"current": 500, "total": 1000}},
    {"status": "Pull complete", "id": "aa", "progressDetail": {}},
    {"status": "Status: done"},
    {"stream": "Loaded image: y\n"},
]


def test_progress_is_plain_where_there_is_no_terminal() -> None:
    out = io.StringIO()
    Display(out).show(MESSAGES)
    assert out.getvalue() == (
        "latest: Pulling from x\naa: Pull complete\nStatus: done\nLoaded image: y\n"
    )


class _Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_redrawn_on_a_terminal() -> None:
    out = _Screen()
    Display(out).show(MESSAGES)
    shown = out.getvalue()
    assert "aa: Downloading     500B/1kB" in shown.replace("500B/1kB", "    500B/1kB")
    assert "\x1b[1A\x1b[2K\raa: Pull complete" in shown


@pytest.mark.parametrize(
    ("message", "error", "words"),
    [
        ({"errorDetail": {"message": "no"}, "error": "no"}, InternalError, "no"),
        ({"errorDetail": {"code": 404, "message": "gone"}}, NotFoundError, "gone"),
        ({"error": "old"}, InternalError, "old"),
    ],
)
def test_an_error_in_the_stream_is_raised(
    message: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        Display(io.StringIO()).show([message])
