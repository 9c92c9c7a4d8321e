"""Signal spellings."""

import pytest

from pyd_api.errors import InvalidRequestError
from pyd_guest.engine import signals


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("TERM", 15),
        ("SIGTERM", 15),
        ("sigterm", 15),
        ("15", 15),
        ("64", 64),
        ("KILL", 9),
        ("SIGRTMIN", 34),
        ("sigrtmin+3", 37),
        ("RTMAX-1", 63),
        ("RTMAX", 64),
    ],
)
def test_spellings(text: str, number: int) -> None:
    assert signals.parse(text) == number


@pytest.mark.parametrize(
    "text",
    ["", "0", "65", "99", "-1", "FOO", "SIG", "RTMIN-1", "RTMAX+1", "9x", "\uff11", "1" * 50],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(
        InvalidRequestError, match=r"invalid signal: |the linux daemon does not support signal "
    ):
        signals.parse(text)


@pytest.mark.parametrize("number", range(1, 65))
def test_names_read_back(number: int) -> None:
    assert signals.parse(signals.name(number)) == number
