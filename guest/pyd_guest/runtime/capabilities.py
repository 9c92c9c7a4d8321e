"""Capability sets: Docker's default list, and CapAdd and CapDrop applied to it.

Names and numbers: linux/capability.h; meaning: capabilities(7). The default list is Docker's, which
is three longer than the one in Debian's containers.conf (MKNOD, NET_RAW, AUDIT_WRITE).
"""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from pyd_api.errors import InvalidRequestError

# fmt: off
KNOWN = tuple("CAP_" + name for name in (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID",
    "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW",
    "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT",
    "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD",
    "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG",
    "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
))
DEFAULT = tuple("CAP_" + name for name in (
    "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP",
    "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
))
# fmt: on
ALL = "ALL"


def available(status: Path = Path("/proc/self/status")) -> tuple[str, ...]:
    """Return what this machine lets the engine grant: its own bounding set, by number."""
    for line in status.read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("CapBnd:"):
            mask = int(line.split()[1], 16)
            return tuple(name for number, name in enumerate(KNOWN) if mask >> number & 1)
    return KNOWN


def normalise(names: Iterable[str], field: str, within: Collection[str]) -> tuple[str, ...]:
    """Spell names as ``CAP_X`` or ``ALL``.

    Raises InvalidRequestError for a name nobody knows, or that is not ``within`` this machine.
    """
    result = []
    for given in names:
        name = given.strip().upper()
        if name != ALL:
            name = name if name.startswith("CAP_") else f"CAP_{name}"
            if name not in KNOWN:
                raise InvalidRequestError(f'invalid {field}: unknown capability: "{name[:100]}"')
            if name not in within:
                raise InvalidRequestError(
                    f"invalid {field}: capability not supported by your kernel or not available"
                    f' in the current environment: "{name}"'
                )
        result.append(name)
    return tuple(result)


def grant(
    add: Sequence[str], drop: Sequence[str], *, privileged: bool, within: Sequence[str]
) -> tuple[str, ...]:
    """Apply normalised ``add`` and ``drop`` as Docker does.

    A name in both lists is granted; ``ALL`` means what the machine has (``within``).
    """
    if privileged:
        return tuple(within)
    if ALL in add:
        return tuple(name for name in within if name not in drop)
    default = (name for name in DEFAULT if name not in drop and name in within)
    kept = () if ALL in drop else tuple(default)
    return kept + tuple(name for name in dict.fromkeys(add) if name not in kept)
