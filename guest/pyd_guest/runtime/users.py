"""Turn ``user[:group]`` into numbers, by the image's /etc/passwd and /etc/group.

The files belong to whoever made the image: they are opened below the root descriptor without
leaving it (openat2), without blocking on a FIFO, must be plain files, and are read up to a limit
(checklist A11, A12). A number out of range is refused and never looked up as a name (A13).
Formats: passwd(5), group(5).
"""

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyd_api.errors import InvalidRequestError
from pyd_guest.linux import openat2

ID_MAX = (1 << 31) - 1
_FILE_MAX_BYTES = 4 << 20
_FILE_LABEL = {"etc/passwd": "passwd file", "etc/group": "group file"}
_NUMBER = re.compile(r"[+-]?[0-9]+")


@dataclass(frozen=True, slots=True)
class User:
    """Numeric identity of a process; the primary group is among the additional ones (D11)."""

    uid: int = 0
    gid: int = 0
    additional_gids: tuple[int, ...] = (0,)
    home: str = "/"
    name: str = ""


@dataclass(frozen=True, slots=True)
class _Account:
    name: str
    uid: int
    gid: int
    home: str


@dataclass(frozen=True, slots=True)
class _Group:
    name: str
    gid: int
    members: tuple[str, ...]


def resolve(rootfs: Path | int, user: str, group_add: Sequence[str] = ()) -> User:
    """Look ``user`` and ``group_add`` up inside ``rootfs`` (a path or an open directory).

    Raises InvalidRequestError with Docker's words for unknown names and numbers out of range.
    """
    name, _, group = user.partition(":")
    accounts = _accounts(rootfs)
    account, uid = _find_account(accounts, name)
    gid = account.gid if account else 0
    groups = _groups(rootfs)
    extra: list[int] = []
    if group:
        gid = _find_group(groups, group)
    elif account:
        extra = [entry.gid for entry in groups if account.name in entry.members]
    added = [_find_group(groups, wanted) for wanted in group_add]
    gids = tuple(dict.fromkeys([gid, *extra, *added]))
    home = account.home if account and account.home.startswith("/") else "/"
    return User(uid, gid, gids, home, account.name if account else "")


def _find_account(accounts: list[_Account], name: str) -> tuple[_Account | None, int]:
    number = _parse_id(name) if name else 0
    for account in accounts:
        if (account.uid == number) if number is not None else (account.name == name):
            return account, account.uid
    if number is None:
        raise InvalidRequestError(f"unable to find user {name}: no matching entries in passwd file")
    return None, number


def _find_group(groups: list[_Group], name: str) -> int:
    number = _parse_id(name)
    if number is not None:
        return number
    for group in groups:
        if group.name == name:
            return group.gid
    raise InvalidRequestError(f"unable to find group {name}: no matching entries in group file")


def _parse_id(text: str) -> int | None:
    """Return the number that ``text`` spells, None for a name."""
    if not _NUMBER.fullmatch(text):
        return None
    if len(text) > len(str(ID_MAX)) + 1 or not 0 <= int(text) <= ID_MAX:
        raise InvalidRequestError("uids and gids must be in range 0-2147483647")
    return int(text)


def _accounts(rootfs: Path | int) -> list[_Account]:
    result = []
    for fields in _lines(rootfs, "etc/passwd"):
        name, _, uid, gid, _, home = (fields + [""] * 6)[:6]
        if (ids := _entry_ids(uid, gid)) is not None:
            result.append(_Account(name, ids[0], ids[1], home))
    return result


def _groups(rootfs: Path | int) -> list[_Group]:
    result = []
    for fields in _lines(rootfs, "etc/group"):
        name, _, gid, members = (fields + [""] * 4)[:4]
        if (ids := _entry_ids(gid)) is not None:
            result.append(_Group(name, ids[0], tuple(filter(None, members.split(",")))))
    return result


def _entry_ids(*texts: str) -> tuple[int, ...] | None:
    """Return an entry's numbers; None makes the entry invisible when one is no valid id."""
    if not all(text.isascii() and text.isdigit() and len(text) <= 10 for text in texts):
        return None
    numbers = tuple(map(int, texts))
    return numbers if all(number <= ID_MAX for number in numbers) else None


def _lines(rootfs: Path | int, path: str) -> list[list[str]]:
    text = _read(rootfs, path).decode("utf-8", "replace")
    lines = (line.strip() for line in text.split("\n"))
    return [line.split(":") for line in lines if line and not line.startswith("#")]


def _read(rootfs: Path | int, path: str) -> bytes:
    """Return the file's bytes, empty when there is none."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    label = _FILE_LABEL[path]
    try:
        probe = _probe(rootfs, path)
    except (FileNotFoundError, NotADirectoryError):
        return b""
    except OSError as error:
        raise InvalidRequestError(
            f"cannot read the image's {label} /{path}: {error.strerror}"
        ) from error
    try:
        if not stat.S_ISREG(os.fstat(probe).st_mode):
            raise InvalidRequestError(f"the image's {label} /{path} is not a plain file")
        descriptor = os.open(f"/proc/self/fd/{probe}", flags)
    finally:
        os.close(probe)
    with open(descriptor, "rb") as file:
        data = file.read(_FILE_MAX_BYTES + 1)
    if len(data) > _FILE_MAX_BYTES:
        raise InvalidRequestError(
            f"the image's {label} /{path} is larger than {_FILE_MAX_BYTES >> 20} MiB"
        )
    return data


def _probe(rootfs: Path | int, path: str) -> int:
    """Find the file without opening it: opening a device has effects of its own."""
    if isinstance(rootfs, int):
        return openat2.open_in_root(rootfs, path, os.O_PATH)
    root = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return openat2.open_in_root(root, path, os.O_PATH)
    finally:
        os.close(root)
