import re

import pytest

from pyd_guest.engine.index import parse_name
from pyd_guest.engine.names import free_name


def test_a_free_name_is_a_valid_one() -> None:
    for _ in range(50):
        name = free_name(lambda _: True)
        assert parse_name(name) == name
        assert re.fullmatch(r"[a-z]+_[a-z]+", name)


def test_a_number_is_added_when_names_get_rare() -> None:
    assert re.fullmatch(r"[a-z]+_[a-z]+\d+", free_name(lambda name: name[-1].isdigit()))


def test_it_does_not_try_for_ever() -> None:
    with pytest.raises(AssertionError):
        free_name(lambda _: False)
