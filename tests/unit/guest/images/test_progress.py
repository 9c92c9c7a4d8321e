import pytest

from pyd_guest.images.progress import Bar, human_size, status


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (999, "999B"), (1000, "1kB"), (1986560, "1.987MB"), (12_345_678_901, "12.35GB")],
)
def test_sizes(size: int, text: str) -> None:
    assert human_size(size) == text


def test_a_bar_moves_at_most_ten_times_a_second_and_always_to_its_end() -> None:
    seen: list[object] = []
    bar = Bar(seen.append, "Downloading", "abc", 1000)
    for current in range(0, 1001, 10):
        bar(current)
    assert len(seen) <= 4
    assert seen[-1] == {
        "status": "Downloading",
        "progressDetail": {"current": 1000, "total": 1000},
        "progress": "[" + "=" * 50 + ">]      1kB/1kB",
        "id": "abc",
    }


def test_a_total_that_is_wrong_or_unknown_is_left_out() -> None:
    seen: list[object] = []
    Bar(seen.append, "x", "y", 0)(5)
    assert seen == [
        {"status": "x", "progressDetail": {"current": 5}, "progress": "      5B", "id": "y"}
    ]


def test_plain_messages() -> None:
    assert status("a") == {"status": "a"}
    assert status("a", "b") == {"status": "a", "progressDetail": {}, "id": "b"}
