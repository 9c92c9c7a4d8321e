import pytest

from pyd_guest.engine.times import now_ns, rfc3339


@pytest.mark.parametrize(
    ("moment_ns", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_795_526_253_123_456_789, "2026-11-24T13:17:33.123456789Z"),
        (1_795_526_253_120_000_000, "2026-11-24T13:17:33.12Z"),
        (1_000_000_001, "1970-01-01T00:00:01.000000001Z"),
    ],
)
def test_a_moment_is_written_as_go_does(moment_ns: int, text: str) -> None:
    assert rfc3339(moment_ns) == text


def test_now_is_after_this_was_written() -> None:
    assert rfc3339(now_ns()) > "2026"
