"""What is mounted in every container, and tmpfs mounts that a user asks for.

Table: Docker's defaults (OCI runtime-spec, "Mounts"; tmpfs(5)). ``source`` of a tmpfs is the name
that /proc/mounts shows.
"""

import posixpath
import re
from dataclasses import dataclass

from pyd_api.errors import InvalidRequestError

Json = dict[str, object]

SHM_SIZE_BYTES = 64 << 20
_SAFE = ("nosuid", "noexec", "nodev")
# fmt: off
_FLAGS = frozenset({
    "ro", "rw", "suid", "nosuid", "dev", "nodev", "exec", "noexec", "sync", "async", "dirsync",
    "remount", "mand", "nomand", "atime", "noatime", "diratime", "nodiratime", "bind", "rbind",
    "unbindable", "runbindable", "private", "rprivate", "shared", "rshared", "slave", "rslave",
    "relatime", "norelatime", "strictatime", "nostrictatime",
})
_NOT_FOR_TMPFS = frozenset({
    "remount", "bind", "rbind", "unbindable", "runbindable", "shared", "rshared", "slave", "rslave",
})
_VALUES = {
    "size": re.compile(r"[0-9]+[kKmMgGtT%]?"),
    "mode": re.compile(r"[0-7]{1,4}"),
    "uid": re.compile(r"[0-9]{1,10}"),
    "gid": re.compile(r"[0-9]{1,10}"),
    "nr_inodes": re.compile(r"[0-9]+[kKmMgG]?"),
    "nr_blocks": re.compile(r"[0-9]+[kKmMgG]?"),
    "mpol": re.compile(r"[a-z]+(?:=[a-z]+)?(?::[0-9,-]+)?"),
}
# fmt: on


@dataclass(frozen=True, slots=True)
class Tmpfs:
    """One tmpfs with the options that follow the safe defaults."""

    target: str
    options: tuple[str, ...] = ()

    @classmethod
    def parse(cls, target: str, options: str) -> "Tmpfs":
        """Check ``--tmpfs target:options``; raise InvalidRequestError naming the bad part."""
        target = clean_target(target)
        names = tuple(part for part in options.split(",") if part)
        for name in names:
            _check_option(name)
        return cls(target, names)

    def to_oci(self) -> Json:
        """Return the mount; a later option wins over an earlier one of its family."""
        kept = [*_SAFE, "rprivate"]
        for option in self.options:
            family = _family(option)
            kept = [other for other in kept if _family(other) != family]
            kept.append(option)
        return {"destination": self.target, "type": "tmpfs", "source": "tmpfs", "options": kept}


@dataclass(frozen=True, slots=True)
class Bind:
    """One file or directory of the host shown inside, private and recursive."""

    source: str
    target: str
    read_only: bool = False

    def to_oci(self) -> Json:
        """Return the mount."""
        options = ["rbind", "rprivate"] + (["ro"] if self.read_only else [])
        return {
            "destination": self.target,
            "type": "bind",
            "source": self.source,
            "options": options,
        }


def clean_target(target: str) -> str:
    """Return a mount target without ``..``; refuse what may never be covered (checklist D3)."""
    if "\0" in target or not target.startswith("/"):
        raise InvalidRequestError(
            f"invalid mount path: '{target}' mount path must be absolute"
            if "\0" not in target
            else f"invalid mount path: {target!r}"
        )
    clean = posixpath.normpath(target).replace("//", "/")
    if clean == "/":
        raise InvalidRequestError("invalid specification: destination can't be '/'")
    if clean == "/proc" or clean.startswith("/proc/"):
        raise InvalidRequestError(
            f"invalid specification: destination can't be inside /proc: '{clean}'"
        )
    return clean


def _check_option(option: str) -> None:
    name, equals, value = option.partition("=")
    if equals:
        rule = _VALUES.get(name)
        if rule is None:
            raise InvalidRequestError(f'invalid tmpfs option "{name}"')
        if not rule.fullmatch(value):
            raise InvalidRequestError(f'invalid tmpfs option "{option}"')
    elif name not in _FLAGS or name in _NOT_FOR_TMPFS:
        raise InvalidRequestError(f'invalid tmpfs option "{name}"')


def _family(option: str) -> str:
    name = option.partition("=")[0]
    if name in ("ro", "rw"):
        return "write"
    if name in ("private", "rprivate"):
        return "propagation"
    return name.removeprefix("no").removeprefix("strict").removeprefix("rel")


def standard(*, cgroup_writable: bool, sys_writable: bool) -> list[Json]:
    """Return the mounts every container has, but for /dev/shm."""
    sys_options = [*_SAFE] + ([] if sys_writable else ["ro"])
    cgroup_options = ([] if cgroup_writable else ["ro"]) + [*_SAFE]
    devpts = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]
    tmpfs = ["nosuid", "strictatime", "mode=755", "size=65536k"]
    table: tuple[tuple[str, str, str, tuple[str, ...] | list[str]], ...] = (
        ("/proc", "proc", "proc", _SAFE),
        ("/dev", "tmpfs", "tmpfs", tmpfs),
        ("/dev/pts", "devpts", "devpts", devpts),
        ("/sys", "sysfs", "sysfs", sys_options),
        ("/sys/fs/cgroup", "cgroup", "cgroup", cgroup_options),
        ("/dev/mqueue", "mqueue", "mqueue", _SAFE),
    )
    return [
        {"destination": target, "type": kind, "source": source, "options": list(options)}
        for target, kind, source, options in table
    ]


def shm(size_bytes: int) -> Json:
    """Return a private /dev/shm."""
    options = [*_SAFE, "mode=1777", f"size={size_bytes}"]
    return {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": options}  # noqa: S108
