import time

import pytest

from pyd_guest.images.listing import glob


@pytest.mark.parametrize(
    ("pattern", "text", "wanted"),
    [
        ("alpine", "alpine", True),
        ("alp*", "alpine", True),
        ("alp*", "library/alpine", False),
        ("*/alpine", "library/alpine", True),
        ("*", "a/b", False),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("*:t*", "x:two", True),
        ("**a", "bba", True),
        ("", "", True),
        ("*", "", True),
        ("a", "", False),
    ],
)
def test_glob(pattern: str, text: str, wanted: object) -> None:
    assert glob(pattern, text) is wanted


def test_e6_patterns_cannot_backtrack_for_long() -> None:
    began = time.perf_counter()
    assert not glob("*a" * 500 + "b", "a" * 2000)
    assert time.perf_counter() - began < 5
