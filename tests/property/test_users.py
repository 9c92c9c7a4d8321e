"""Laws of account look-ups: whatever the image and the request say, ids are in range."""

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pyd_api.errors import InvalidRequestError
from pyd_guest.runtime import users

_field = st.sampled_from(["", "a", "b", "0", "1", "5", "-1", "2147483648", "9" * 30, "x,y", "/r"])
_line = st.lists(_field, max_size=8).map(":".join)
_file = st.lists(_line, max_size=6).map("\n".join)


@given(_file, _file, st.lists(_field, max_size=3).map(":".join), st.lists(_field, max_size=2))
def test_ids_are_in_range_or_the_request_is_refused(
    passwd: str, group: str, user: str, added: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "etc").mkdir()
        (root / "etc/passwd").write_text(passwd)
        (root / "etc/group").write_text(group)
        try:
            found = users.resolve(root, user, added)
        except InvalidRequestError:
            return
    for number in (found.uid, found.gid, *found.additional_gids):
        assert 0 <= number <= users.ID_MAX
    assert found.gid == found.additional_gids[0]
    assert len(set(found.additional_gids)) == len(found.additional_gids)
    asked = user.partition(":")[0]
    if asked.isdigit():
        assert found.uid == int(asked)  # a number is itself, whatever the file calls it
