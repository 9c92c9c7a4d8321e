"""Control groups: which layout this machine mounts, and how to keep moves into them quick.

Kernel documentation: admin-guide/cgroup-v1, admin-guide/cgroup-v2. Three layouts are met::

    unified   /sys/fs/cgroup is cgroup2
    legacy    /sys/fs/cgroup/<controller> are v1 hierarchies
    hybrid    legacy, and /sys/fs/cgroup/unified is a cgroup2 mount beside them
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path("/sys/fs/cgroup")

Layout = Literal["unified", "legacy", "hybrid"]


@dataclass(frozen=True, slots=True)
class Cgroups:
    """The layout found, and the controllers that containers can be limited by."""

    layout: Layout
    controllers: frozenset[str]
    unified_mount: Path | None  # where a v2 hierarchy lies beside v1 ones

    @property
    def version(self) -> Literal["1", "2"]:
        """The number that clients are told."""
        return "2" if self.layout == "unified" else "1"


def probe(mountinfo: str | None = None) -> Cgroups:
    """Read the layout from /proc/self/mountinfo."""
    text = (
        Path("/proc/self/mountinfo").read_text(encoding="utf-8") if mountinfo is None else mountinfo
    )
    v1: set[str] = set()
    v2: Path | None = None
    for line in text.splitlines():
        fields, _, tail = line.partition(" - ")
        point, (fstype, _, options) = Path(fields.split(" ")[4]), tail.split(" ", 2)
        if fstype == "cgroup" and point.is_relative_to(ROOT):
            v1 |= {word for word in options.split(",") if word not in ("rw", "ro", "xattr")}
        elif fstype == "cgroup2" and point.is_relative_to(ROOT):
            v2 = point
    if v2 == ROOT:
        present = (ROOT / "cgroup.controllers").read_text(encoding="ascii").split()
        return Cgroups("unified", frozenset(present), None)
    names = frozenset(word for word in v1 if not word.startswith("name="))
    return Cgroups("hybrid" if v2 else "legacy", names, v2)


def remove(path: str) -> None:
    """Remove the empty group ``path`` from every hierarchy; fine where there is none."""
    roots = [ROOT] if (ROOT / "cgroup.procs").exists() else list(ROOT.iterdir())
    for root in roots:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            (root / path.strip("/")).rmdir()


def quicken() -> None:
    """Make the moves into cgroups of the next few milliseconds quick.

    The first write to any ``cgroup.procs`` waits for an RCU grace period (10 to 20 ms), the
    writes that follow soon after do not (kernel/cgroup/cgroup.c, cgroup_attach_lock; rcu_sync).
    A process that writes itself into the group it is in moves nothing and still pays that wait;
    called when a client says hello, it pays it for the container that is started next. The effect
    ends by itself one grace period after the last write.
    """
    for line in Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines():
        _, names, path = line.split(":", 2)
        base = ROOT / names.removeprefix("name=") if names else ROOT
        # Failing costs the container the wait, nothing else.
        with contextlib.suppress(OSError):
            procs = base / path.lstrip("/") / "cgroup.procs"
            with procs.open("w", encoding="ascii") as file:
                file.write("0")
            return
