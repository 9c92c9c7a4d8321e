"""Namespaces and cgroups of one test's own, so that tests run side by side and leaks have an owner.

A sandbox has a network namespace (lo, and ``host0`` with 192.0.2.1 as an address of "the host"),
a private mount namespace, and in each cgroup hierarchy a subtree ``pydtest-<owner>-<n>`` that a
cgroup namespace shows as the root::

    /sys/fs/cgroup/[<hierarchy>/]pydtest-<owner pid>-<n>/   the root inside
                                     ├─ daemon/              programs started here begin here
                                     └─ ...                  made by what runs inside

Every process started inside stays in that subtree, however it daemonizes: that is how all of them
are found, counted and ended.
"""

import contextlib
import itertools
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_PREFIX = "pydtest-"
_numbers = itertools.count()
END_TIMEOUT_S = 10.0

# Runs in the new namespaces: hides the rest of the cgroup tree, gives the host an address.
_ENTER = r"""
set -eu
mount --make-rprivate /
generic='^(r[ow]|relatime|no(atime|suid|dev|exec)|xattr|clone_children|release_agent=.*)$'
grep -E '^[^ ]+ /sys/fs/cgroup[^ ]* cgroup2? ' /proc/self/mounts |
while read -r _ target kind options _; do
    umount -l "$target"
    case $kind in
    cgroup2) mount -t cgroup2 cgroup2 "$target" ;;
    cgroup)
        names=$(echo "$options" | tr , '\n' | grep -vE "$generic|^favordynmods$" | paste -sd,)
        case $names in name=*) names=none,$names ;; esac
        mount -t cgroup -o "$names" cgroup "$target" ;;
    esac
done
echo 0 >/proc/sys/net/ipv4/ip_forward  # inherited from the machine otherwise
ip link set lo up
ip link add host0 type veth peer name wire0  # not every kernel has the dummy driver
ip address add 192.0.2.1/24 dev host0
ip link set host0 up
ip link set wire0 up
for procs in /sys/fs/cgroup/daemon/cgroup.procs /sys/fs/cgroup/*/daemon/cgroup.procs; do
    [ ! -e "$procs" ] || echo $$ >"$procs"
done
echo ready
exec sleep infinity
"""
_SPAWN = r"""
for procs in /sys/fs/cgroup/daemon/cgroup.procs /sys/fs/cgroup/*/daemon/cgroup.procs; do
    [ ! -e "$procs" ] || echo $$ >"$procs"
done
exec "$@"
"""


def _hierarchies() -> list[Path]:
    """Return the root of every mounted cgroup hierarchy."""
    candidates = [_CGROUP, *sorted(_CGROUP.iterdir())]
    return [path for path in candidates if path.is_dir() and (path / "cgroup.procs").exists()]


def _directories(top: Path) -> list[Path]:
    """Return ``top`` and every cgroup below it, deepest last."""
    return [Path(folder) for folder, _, _ in os.walk(top)] if top.is_dir() else []


def _processes(directory: Path) -> set[int]:
    with contextlib.suppress(OSError):  # the cgroup was removed meanwhile
        return {int(word) for word in (directory / "cgroup.procs").read_text().split()}
    return set()


def _make_subtree(hierarchy: Path, top: Path) -> None:
    for directory in (top, top / "daemon"):
        directory.mkdir()
        for setting in ("cpuset.cpus", "cpuset.mems"):  # v1: empty means no process may enter
            if (directory / "cgroup.clone_children").exists() and (directory / setting).exists():
                (directory / setting).write_text((hierarchy / setting).read_text())


def _hand_down(hierarchy: Path, top: Path) -> None:
    """Enable in a v2 subtree what its parent enables; only possible while ``top`` is empty."""
    control = hierarchy / "cgroup.subtree_control"
    if control.exists():
        enabled = " ".join(f"+{word}" for word in control.read_text().split())
        (top / "cgroup.subtree_control").write_text(enabled)


def _end(tops: Sequence[Path]) -> None:
    """End every process below ``tops`` and remove the cgroups. Raises TimeoutError."""
    deadline = time.monotonic() + END_TIMEOUT_S
    while True:
        pids = {pid for top in tops for path in _directories(top) for pid in _processes(path)}
        if not pids:
            break
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                _end_one(pid, deadline)
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes {sorted(pids)} do not end")
    for top in tops:
        for directory in reversed(_directories(top)):
            while directory.is_dir():
                try:
                    directory.rmdir()
                except OSError:  # a dead process may take a moment to leave
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.01)


def _end_one(pid: int, deadline: float) -> None:
    handle = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        select.select([handle], [], [], max(0.0, deadline - time.monotonic()))
    finally:
        os.close(handle)


def sweep() -> None:
    """End sandboxes whose owner is gone."""
    for hierarchy in _hierarchies():
        for top in hierarchy.glob(f"{_PREFIX}*"):
            owner = top.name.split("-")[1]
            if not Path("/proc", owner).exists():
                _end([top])


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A place to run an engine in; `opened` makes one and ends everything in it."""

    holder: int
    tops: tuple[Path, ...]

    def command(self, *argv: str | Path) -> list[str]:
        """Return the command line that runs ``argv`` inside, as part of the sandbox."""
        spawn = ["sh", "-c", _SPAWN, "sh", *map(str, argv)]
        return ["nsenter", "-t", str(self.holder), "-n", "-m", "-C", "--", *spawn]

    def look(self, *argv: str) -> str:
        """Run a program in the network and mount namespaces and return its output."""
        enter = ["nsenter", "-t", str(self.holder), "-n", "-m", "--", *argv]
        return subprocess.run(enter, capture_output=True, text=True, check=True, timeout=30).stdout

    def pids(self) -> set[int]:
        """Return every process inside but the one that holds the namespaces."""
        folders = (path for top in self.tops for path in _directories(top))
        return {pid for path in folders for pid in _processes(path)} - {self.holder}

    def cgroups(self) -> set[str]:
        """Return the cgroups that were made inside, with their hierarchy."""
        return {
            f"{top.parent.name}:{path.relative_to(top)}"
            for top in self.tops
            for path in _directories(top)
            if path not in (top, top / "daemon")
        }


@contextlib.contextmanager
def opened() -> Iterator[Sandbox]:
    """Make a sandbox; afterwards everything in it is ended and its cgroups are gone."""
    name = f"{_PREFIX}{os.getpid()}-{next(_numbers)}"
    with contextlib.ExitStack() as undo:
        tops: list[Path] = []
        undo.callback(lambda: _end(tops))
        for hierarchy in _hierarchies():
            tops.append(hierarchy / name)
            _make_subtree(hierarchy, tops[-1])
        # The shell enters the subtree before it makes the cgroup namespace: that fixes the root.
        enter = 'for procs; do echo $$ >"$procs"; done; exec unshare -n -m -C sh -c "$SETUP"'
        procs = [str(top / "cgroup.procs") for top in tops]
        holder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "sh", "-c", enter, "sh", *procs],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "SETUP": _ENTER},
        )
        undo.callback(holder.wait)
        undo.callback(holder.kill)
        assert holder.stdout is not None
        undo.callback(holder.stdout.close)
        if holder.stdout.readline() != b"ready\n":
            raise RuntimeError("the sandbox could not be made; its words are above")
        for top in tops:
            _hand_down(top.parent, top)
        yield Sandbox(holder.pid, tuple(tops))


def scratch_base() -> Path:
    """Return a folder on a file system that can carry overlayfs: not an overlay itself."""
    for candidate in (os.environ.get("PYD_TEST_DIR"), "/tmp", "/var/tmp", "/dev/shm"):
        if candidate and shutil.which("stat"):
            kind = subprocess.run(
                ["stat", "-f", "-c", "%T", candidate], capture_output=True, text=True, check=False
            ).stdout.strip()
            if kind and kind != "overlayfs":
                return Path(candidate)
    raise RuntimeError("no folder outside of overlayfs; name one in PYD_TEST_DIR")
