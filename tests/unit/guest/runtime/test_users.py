"""Account look-ups in an image that may be hostile."""

import os
import resource
import threading
from pathlib import Path

import pytest

from pyd_api.errors import InvalidRequestError
from pyd_guest.runtime import users

PASSWD = """\
# a comment
root:x:0:0:root:/root:/bin/sh
alice:x:1000:1000::/home/alice:/bin/sh
short:x:7
bad:x:99999999999:1::/:
4000000000:x:0:0::/root:/bin/sh

twice:x:1:1::/one:
twice:x:2:2::/two:
"""
GROUP = "root:x:0:\nalice:x:1000:\naudio:x:29:bob,alice\nempty:x:30\n5:x:77:\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(PASSWD)
    (tmp_path / "etc/group").write_text(GROUP)
    return tmp_path


@pytest.mark.parametrize(
    ("user", "uid", "gid", "gids", "home"),
    [
        ("", 0, 0, (0,), "/root"),
        ("root", 0, 0, (0,), "/root"),
        ("0", 0, 0, (0,), "/root"),
        ("alice", 1000, 1000, (1000, 29), "/home/alice"),
        ("1000", 1000, 1000, (1000, 29), "/home/alice"),
        ("alice:", 1000, 1000, (1000, 29), "/home/alice"),
        ("alice:29", 1000, 29, (29,), "/home/alice"),
        ("alice:audio", 1000, 29, (29,), "/home/alice"),
        (":audio", 0, 29, (29,), "/root"),
        ("1234:55", 1234, 55, (55,), "/"),
        ("1234", 1234, 0, (0,), "/"),
        ("twice", 1, 1, (1,), "/one"),
        ("2147483647", 2147483647, 0, (0,), "/"),
        ("alice:5", 1000, 5, (5,), "/home/alice"),  # a number is never a group's name
    ],
)
def test_as_dockerd_resolves(
    root: Path, user: str, uid: int, gid: int, gids: tuple[int, ...], home: str
) -> None:
    found = users.resolve(root, user)
    assert (found.uid, found.gid, found.additional_gids, found.home) == (uid, gid, gids, home)


def test_an_open_directory_serves_as_well(root: Path) -> None:
    descriptor = os.open(root, os.O_PATH)
    try:
        assert users.resolve(descriptor, "alice").uid == 1000
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    "user",
    ["4294967296", "2147483648", "-1", "4000000000", "0" * 39 + "1", "9" * 40, "1:2147483648"],
)
def test_A13_numbers_out_of_range_are_never_names(root: Path, user: str) -> None:  # noqa: N802
    with pytest.raises(InvalidRequestError, match="must be in range 0-2147483647"):
        users.resolve(root, user)


@pytest.mark.parametrize("user", ["nope", "0x0", "bad", "1e3", "\uff11", "a:b:c", " root"])
def test_unknown_users(root: Path, user: str) -> None:
    with pytest.raises(InvalidRequestError, match="no matching entries in passwd file"):
        users.resolve(root, user)


def test_D11_group_add_by_name_and_number(root: Path) -> None:  # noqa: N802
    found = users.resolve(root, "alice", ["29", "audio", "root", "4"])
    assert found.additional_gids == (1000, 29, 0, 4)
    with pytest.raises(InvalidRequestError, match="unable to find group nope"):
        users.resolve(root, "0:nope")
    with pytest.raises(InvalidRequestError, match="unable to find group nope"):
        users.resolve(root, "", ["nope"])


def test_without_account_files(tmp_path: Path) -> None:
    assert users.resolve(tmp_path, "5:6", ["7"]).additional_gids == (6, 7)
    assert users.resolve(tmp_path, "").home == "/"
    with pytest.raises(InvalidRequestError, match="unable to find user alice"):
        users.resolve(tmp_path, "alice")


@pytest.mark.parametrize("name", ["passwd", "group"])
def test_A11_fifo_is_refused_without_waiting(root: Path, name: str) -> None:  # noqa: N802
    (root / "etc" / name).unlink()
    os.mkfifo(root / "etc" / name)
    errors: list[Exception] = []

    def resolve() -> None:
        try:
            users.resolve(root, "alice")
        except InvalidRequestError as error:
            errors.append(error)

    thread = threading.Thread(target=resolve, daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
    assert "not a plain file" in str(errors[0])


def test_A11_directory_and_socket(root: Path) -> None:  # noqa: N802
    (root / "etc/group").unlink()
    (root / "etc/group").mkdir()
    with pytest.raises(InvalidRequestError, match="group file /etc/group is not a plain file"):
        users.resolve(root, "alice")


def test_A12_links_to_endless_devices(root: Path) -> None:  # noqa: N802
    (root / "etc/passwd").unlink()
    (root / "etc/passwd").symlink_to("/dev/zero")
    # inside the root there is no such device, so there are no accounts
    with pytest.raises(InvalidRequestError, match="unable to find user alice"):
        users.resolve(root, "alice")


def test_A12_huge_files_are_cut_off(root: Path) -> None:  # noqa: N802
    os.truncate(root / "etc/group", 8 << 30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InvalidRequestError, match="larger than 4 MiB"):
        users.resolve(root, "alice")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


@pytest.mark.parametrize("target", ["/../../secret", "../../secret", "/secret"])
def test_A18_links_stay_inside_the_root(tmp_path: Path, target: str) -> None:  # noqa: N802
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (tmp_path / "secret").write_text("mallory:x:0:0::/:\n")
    (root / "secret").write_text("inner:x:5:5::/in:\n")
    (root / "etc/passwd").symlink_to(target)
    assert users.resolve(root, "inner").uid == 5
    with pytest.raises(InvalidRequestError):
        users.resolve(root, "mallory")


def test_a_link_for_etc_itself_stays_inside(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "real").mkdir(parents=True)
    (root / "real/passwd").write_text("inner:x:5:5::/in:\n")
    (root / "etc").symlink_to("/real")
    assert users.resolve(root, "inner").uid == 5


def test_a_loop_of_links_is_an_error(root: Path) -> None:
    (root / "etc/passwd").unlink()
    (root / "etc/passwd").symlink_to("passwd")
    with pytest.raises(InvalidRequestError, match="cannot read the image's passwd file"):
        users.resolve(root, "alice")


def test_bytes_that_are_no_text(root: Path) -> None:
    (root / "etc/passwd").write_bytes(b"\xff\xfe:x:1:1::/:\nok:x:3:3::relative:\n")
    assert users.resolve(root, "ok").home == "/"


def test_no_descriptor_is_left_open(root: Path) -> None:
    before = sorted(Path("/proc/self/fd").iterdir())
    for user in ("alice", "nope", "9" * 40):
        try:
            users.resolve(root, user)
        except InvalidRequestError:
            continue
    assert sorted(Path("/proc/self/fd").iterdir()) == before
