import pytest

from pyd_api.errors import InvalidRequestError
from pyd_guest.api.detach import DEFAULT, Detector, parse_keys


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (None, DEFAULT),
        ("", DEFAULT),
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("ctrl-a,a", b"\x01a"),
        ("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", b"\x00\x1b\x1c\x1d\x1e\x1f"),
        ("CTRL-C", b"\x03"),
    ],
)
def test_keys(text: str | None, keys: bytes) -> None:
    assert parse_keys(text) == keys


@pytest.mark.parametrize("text", ["foo", "ctrl-1,foo", "ctrl-!", ",", "a,", "é", "ctrl-"])
def test_bad_keys_are_named(text: str) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        parse_keys(text)
    assert raised.value.message == f"Invalid detach keys ({text}) provided"


@pytest.mark.parametrize(
    ("pieces", "passed", "detached"),
    [
        ([b"ls\n"], b"ls\n", False),
        ([b"\x10\x11"], b"", True),
        ([b"\x10", b"\x11"], b"", True),
        ([b"ab\x10", b"\x11cd"], b"ab", True),
        ([b"\x10", b"x"], b"\x10x", False),
        ([b"\x10\x10\x11"], b"\x10", True),
        ([b"\x10", b"\x10", b"\x11"], b"\x10", True),
        ([b"\x11\x10"], b"\x11", False),
    ],
)
def test_the_sequence_is_found_however_it_is_cut(
    pieces: list[bytes], passed: bytes, detached: bool
) -> None:
    detector = Detector(DEFAULT)
    out, seen = b"", False
    for piece in pieces:
        part, seen = detector.feed(piece)
        out += part
        if seen:
            break
    assert (out, seen) == (passed, detached)
