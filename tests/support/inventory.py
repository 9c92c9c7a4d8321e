"""What an engine has on the machine, as sets that can be compared before and after.

Everything that create, start or a pull makes has a line here: a test that leaves one is at fault.
"""

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path

from support.sandbox import Sandbox

SETTLE_TIMEOUT_S = 15.0
# Written while the daemon lives and dies; not things that a container leaves.
_COMINGS_AND_GOINGS = {"state.db-wal", "state.db-shm", "log", "notify", "pyd.sock", "pyd.pid"}


@dataclass(frozen=True, slots=True)
class Inventory:
    """One look; equal inventories mean that nothing was left and nothing is gone."""

    mounts: frozenset[str]
    links: frozenset[str]
    rules: frozenset[str]
    cgroups: frozenset[str]
    processes: frozenset[str]
    files: frozenset[str]
    rows: frozenset[str]

    def differences(self, before: "Inventory") -> list[str]:
        """Return one line for each thing that came or went since ``before``."""
        lines = []
        for field in fields(self):
            old, new = getattr(before, field.name), getattr(self, field.name)
            lines += [f"+ {field.name}: {item}" for item in sorted(new - old)]
            lines += [f"- {field.name}: {item}" for item in sorted(old - new)]
        return lines

    def mentions(self, word: str) -> list[str]:
        """Return everything in which ``word``, say a container's id, appears."""
        everything = (item for field in fields(self) for item in getattr(self, field.name))
        return sorted(item for item in everything if word in item)


def _mounts(sandbox: Sandbox, root: Path) -> frozenset[str]:
    lines = Path(f"/proc/{sandbox.holder}/mountinfo").read_text().splitlines()
    points = [line.split()[4] for line in lines]
    # One mount point may carry several mounts: count them too.
    return frozenset(
        f"{point} #{points[:index].count(point)}"
        for index, point in enumerate(points)
        if point.startswith(f"{root}/")
    )


def _links(sandbox: Sandbox) -> frozenset[str]:
    lines = sandbox.look("ip", "-o", "link").splitlines()
    return frozenset(line.split(":")[1].strip().partition("@")[0] for line in lines)


def _rules(sandbox: Sandbox) -> frozenset[str]:
    """Return every line of the rule set with the heads of the blocks it stands in."""
    heads: list[str] = []
    lines: list[str] = []
    for raw in sandbox.look("nft", "-s", "-n", "list", "ruleset").splitlines():
        line = raw.strip()
        if line.endswith("{") and "}" not in line:
            heads.append(line)
        elif line == "}":
            heads.pop()
        # Elements of sets and maps share lines, broken where they get long.
        words = line.split(", ") if line.startswith("elements") or "," in line else [line]
        lines += [" ".join([*heads, word.strip(" {},")]) for word in words if word.strip(" {},")]
    return frozenset(" ".join(line.replace("elements = {", "").split()) for line in lines)


def _processes(sandbox: Sandbox, without: set[int]) -> frozenset[str]:
    found = set()
    for pid in sandbox.pids() - without:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words != [b""]:  # a dead process that nobody has waited for yet has no command line
            found.add(f"{pid} {b' '.join(words).decode(errors='replace').strip()[:300]}")
    return frozenset(found)


def _files(root: Path) -> frozenset[str]:
    found = set()
    for folder, folders, names in os.walk(root):
        for name in (*folders, *names):
            if name not in _COMINGS_AND_GOINGS:
                found.add(str(Path(folder, name).relative_to(root)))
    return frozenset(found)


def _rows(database: Path) -> frozenset[str]:
    found = set()
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            rows = connection.execute(f'SELECT * FROM "{table}"').fetchall()
            found |= {f"{table}: {row[0]}" for row in rows}
    return frozenset(found)


def take(sandbox: Sandbox, root: Path, *, daemon: int | None) -> Inventory:
    """Look once. ``root`` holds data root and exec root; the daemon itself is not counted."""
    own = {daemon} if daemon else set()
    return Inventory(
        mounts=_mounts(sandbox, root),
        links=_links(sandbox),
        rules=_rules(sandbox),
        cgroups=frozenset(sandbox.cgroups()),
        processes=_processes(sandbox, own),
        files=_files(root),
        rows=_rows(root / "data" / "state.db"),
    )


def settled(look: Callable[[], Inventory], before: Inventory) -> list[str]:
    """Return what still differs from ``before`` once the engine had time to tidy up.

    The slow part of a removal (file trees, the kernel's own clean-up of a namespace) happens after
    the answer, without an event for it.
    """
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    while (left := look().differences(before)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left
