"""What this machine offers, as far as a container's description is checked against it."""

import os
from dataclasses import dataclass
from pathlib import Path

from pyd_guest.runtime import capabilities


@dataclass(frozen=True, slots=True)
class HostFacts:
    """Read once at start; handed down."""

    cgroup_version: int
    cpus: frozenset[int]
    memory_nodes: frozenset[int]
    capabilities: tuple[str, ...]
    hostname: str
    blkio_weight: bool = False
    apparmor: bool = False
    runtimes: tuple[str, ...] = ("crun", "runc")
    default_runtime: str = "crun"


def detect(
    *, runtimes: tuple[str, ...] = ("crun", "runc"), default_runtime: str = "crun"
) -> HostFacts:
    """Read the facts from /sys and /proc."""
    cgroup = Path("/sys/fs/cgroup")
    unified = (cgroup / "cgroup.controllers").exists()
    return HostFacts(
        cgroup_version=2 if unified else 1,
        cpus=_numbers(Path("/sys/devices/system/cpu/online")),
        memory_nodes=_numbers(Path("/sys/devices/system/node/online")),
        capabilities=capabilities.available(),
        hostname=os.uname().nodename,
        blkio_weight=(cgroup / "blkio/blkio.bfq.weight").exists()
        or (cgroup / "blkio/blkio.weight").exists(),
        apparmor=Path("/sys/kernel/security/apparmor/profiles").exists(),
        runtimes=runtimes,
        default_runtime=default_runtime,
    )


def _numbers(path: Path) -> frozenset[int]:
    """Read a kernel list such as ``0-1,4``; {0} when the file is not there."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        return frozenset({0})
    numbers: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    return frozenset(numbers)
