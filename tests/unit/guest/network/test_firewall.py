"""Names that reach the text of a rule."""

import pytest

from pyd_api.errors import InvalidRequestError
from pyd_guest.network.firewall import checked_interface


@pytest.mark.parametrize("name", ["pyd0", "br-1234567890ab", "a", "virbr0.10", "under_score"])
def test_good_interface_names(name: str) -> None:
    assert checked_interface(name) == name


@pytest.mark.parametrize(
    "name", ["", "-x", "a b", "a;b", 'a"', "a/b", "0123456789abcdef", "x\n", "é", "a{b}", "lo\0"]
)
def test_bad_interface_names(name: str) -> None:
    with pytest.raises(InvalidRequestError, match="invalid interface name"):
        checked_interface(name)
