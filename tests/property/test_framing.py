"""Frames survive any cut; a wrong header is refused before memory is spent on it."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyd_api.errors import InvalidRequestError
from pyd_api.framing import PAYLOAD_MAX_BYTES, Deframer, frame

FRAMES = st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=200)), max_size=10)


@given(FRAMES, st.lists(st.integers(0, 500), max_size=20))
def test_frames_survive_any_cut(frames: list[tuple[int, bytes]], cuts: list[int]) -> None:
    data = b"".join(frame(stream, payload) for stream, payload in frames)
    bounds = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    deframer = Deframer()
    seen: list[tuple[int, bytes]] = []
    for begin, end in itertools.pairwise(bounds):
        seen += deframer.feed(data[begin:end])
    assert seen == frames
    assert not deframer.partial


@given(st.binary(min_size=8, max_size=300))
def test_noise_is_frames_or_refused(data: bytes) -> None:
    deframer = Deframer()
    try:
        for stream, payload in deframer.feed(data):
            assert 0 <= stream <= 3
            assert len(payload) <= len(data)
    except InvalidRequestError:
        assert data[0] > 3 or len(data) >= 8


def test_a_hostile_length_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="broken stream"):
        list(Deframer().feed(b"\x01\0\0\0" + (PAYLOAD_MAX_BYTES + 1).to_bytes(4, "big")))


def test_a_cut_frame_is_partial() -> None:
    deframer = Deframer()
    assert list(deframer.feed(frame(1, b"abc")[:-1])) == []
    assert deframer.partial
