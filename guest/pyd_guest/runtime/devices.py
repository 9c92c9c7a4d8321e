"""Device nodes and device cgroup rules (OCI runtime-spec, linux.devices and resources.devices).

Everything is denied but the six nodes below; the runtime itself adds what it needs to make nodes
and terminals (mknod for all, 1:7, 5:2, 136:*).
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyd_api.errors import InvalidRequestError

Json = dict[str, object]

_RULE = re.compile(r"([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})")
_FUSE = (10, 229)  # denied by name, for rules such as "c 10:* rwm" that would include it
_ALLOWED = ((1, 3), (1, 5), (1, 8), (1, 9), (5, 0), (5, 1))
_SKIPPED_DIRS = frozenset({"pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts"})
_SKIPPED_NODES = frozenset({"console"})


@dataclass(frozen=True, slots=True)
class DeviceMapping:
    """One ``--device``: a node or a directory of nodes of the host."""

    on_host: str
    in_container: str
    access: str = "rwm"


@dataclass(frozen=True, slots=True)
class DeviceRule:
    """One line of the devices cgroup; None stands for ``*``."""

    kind: str
    major: int | None
    minor: int | None
    access: str

    @classmethod
    def parse(cls, text: str) -> "DeviceRule":
        """Read ``c 13:* rwm``."""
        found = _RULE.fullmatch(text)
        if not found:
            raise InvalidRequestError(f"invalid device cgroup rule format: '{text}'")
        kind, major, minor, access = found.groups()
        if any(part != "*" and int(part) >= 1 << 32 for part in (major, minor)):
            raise InvalidRequestError(f"invalid device cgroup rule format: '{text}'")
        return cls(
            kind,
            None if major == "*" else int(major),
            None if minor == "*" else int(minor),
            access,
        )

    def to_oci(self) -> Json:
        """Return the rule as the specification writes it; absent numbers mean any."""
        rule: Json = {"allow": True, "type": self.kind, "access": self.access}
        if self.major is not None:
            rule["major"] = self.major
        if self.minor is not None:
            rule["minor"] = self.minor
        return rule


@dataclass(frozen=True, slots=True)
class DeviceSet:
    """What goes into config.json: nodes to make and rules to set, in order."""

    nodes: tuple[Json, ...]
    rules: tuple[Json, ...]


def default_rules() -> list[Json]:
    """Return Docker's default rules."""
    rules: list[Json] = [{"allow": False, "access": "rwm"}]
    for major, minor in _ALLOWED:
        rules.append({"allow": True, "type": "c", "major": major, "minor": minor, "access": "rwm"})
    rules.append(
        {"allow": False, "type": "c", "major": _FUSE[0], "minor": _FUSE[1], "access": "rwm"}
    )
    return rules


def block_numbers(paths: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Return the numbers of block devices; InvalidRequestError for a path that is none."""
    result = {}
    for path in paths:
        try:
            status = os.stat(path)  # noqa: PTH116 - the string is what the user typed
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise InvalidRequestError(f"stat {path}: {reason}") from error
        if not stat.S_ISBLK(status.st_mode):
            raise InvalidRequestError(f"stat {path}: not a block device")
        result[path] = os.major(status.st_rdev), os.minor(status.st_rdev)
    return result


def collect(
    mappings: Sequence[DeviceMapping], rules: Sequence[DeviceRule], *, privileged: bool
) -> DeviceSet:
    """Look the nodes up on the host. Raises InvalidRequestError for a node that is not there."""
    if privileged:
        nodes = [_node(path, path) for path in _host_nodes("/dev")]
        allowed: list[Json] = [*default_rules(), {"allow": True, "access": "rwm"}]
        return DeviceSet(tuple(nodes), tuple(allowed))
    found: list[Json] = []
    result = default_rules()
    for mapping in mappings:
        for on_host, inside in _expand(mapping):
            node = _node(on_host, inside)
            found.append(node)
            numbers = {key: node[key] for key in ("type", "major", "minor")}
            result.append({"allow": True, **numbers, "access": mapping.access})
    result.extend(rule.to_oci() for rule in rules)
    return DeviceSet(tuple(found), tuple(result))


def _node(on_host: str, inside: str) -> Json:
    status = os.stat(on_host)  # noqa: PTH116 - the string is what the user typed
    kind = {stat.S_IFCHR: "c", stat.S_IFBLK: "b"}.get(stat.S_IFMT(status.st_mode))
    if kind is None:
        raise InvalidRequestError(
            f'error gathering device information while adding custom device "{on_host}":'
            " not a device node"
        )
    return {
        "path": inside,
        "type": kind,
        "major": os.major(status.st_rdev),
        "minor": os.minor(status.st_rdev),
        "fileMode": stat.S_IMODE(status.st_mode),
        "uid": status.st_uid,
        "gid": status.st_gid,
    }


def _expand(mapping: DeviceMapping) -> Iterator[tuple[str, str]]:
    """Yield host and container path of a node, or of every node below a directory."""
    try:
        real = os.path.realpath(mapping.on_host, strict=True)
        is_directory = stat.S_ISDIR(os.stat(real).st_mode)  # noqa: PTH116
    except OSError as error:
        raise InvalidRequestError(
            "error gathering device information while adding custom device "
            f'"{mapping.on_host}": {(error.strerror or str(error)).lower()}'
        ) from error
    if not is_directory:
        yield real, mapping.in_container
        return
    for path in _host_nodes(real):
        yield path, mapping.in_container.rstrip("/") + path[len(real) :]


def _host_nodes(top: str) -> Iterator[str]:
    """Walk device nodes below ``top`` without following links, leaving out terminals."""
    for folder, folders, names in os.walk(top):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED_DIRS)
        for name in sorted(names):
            path = Path(folder) / name
            mode = path.lstat().st_mode
            if name not in _SKIPPED_NODES and (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)):
                yield str(path)
