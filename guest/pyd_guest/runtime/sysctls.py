"""Kernel parameters a container may set: only those of a namespace that is its own.

Rules: sysctl(8) names, namespaces(7); the accepted list is Docker's and the runtimes'. A name may
be spelt with dots or slashes; it is compared in one spelling, and one that climbs is no name.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pyd_api.errors import InvalidRequestError

_NAME = re.compile(r"[A-Za-z0-9_-]+(?:[./][A-Za-z0-9_:@-]+)+")
_IPC = frozenset(
    "kernel." + name
    for name in (
        "msgmax",
        "msgmnb",
        "msgmni",
        "sem",
        "shmall",
        "shmmax",
        "shmmni",
        "shm_rmid_forced",
    )
)
OWN_NETWORK = {
    "net.ipv4.ip_unprivileged_port_start": "0",
    "net.ipv4.ping_group_range": "0 2147483647",
}


@dataclass(frozen=True, slots=True)
class OwnNamespaces:
    """Which namespaces are the container's own."""

    network: bool
    ipc: bool
    uts: bool


def check(sysctls: Mapping[str, str], own: OwnNamespaces) -> dict[str, str]:
    """Return the parameters in dotted spelling. Raises InvalidRequestError for a forbidden one."""
    return {_check_name(name, own): _check_value(name, sysctls[name]) for name in sysctls}


def _check_name(given: str, own: OwnNamespaces) -> str:
    if not _NAME.fullmatch(given):
        raise InvalidRequestError(f'sysctl "{given}" is not in a separate kernel namespace')
    name = _dotted(given)
    if name.startswith("net."):
        if own.network:
            return name
        raise InvalidRequestError(f'sysctl "{given}" not allowed in host network namespace')
    if name in _IPC or name.startswith("fs.mqueue."):
        if own.ipc:
            return name
        raise InvalidRequestError(f'sysctl "{given}" is not allowed in the hosts ipc namespace')
    if name == "kernel.domainname" and own.uts:
        return name
    raise InvalidRequestError(f'sysctl "{given}" is not in a separate kernel namespace')


def _dotted(given: str) -> str:
    """Write slashes as dots; the first separator says which spelling is used (sysctl(8))."""
    first = min((given.find(mark) for mark in "./" if mark in given), default=-1)
    if first < 0 or given[first] == ".":
        return given
    return given.translate(str.maketrans("./", "/."))


def _check_value(name: str, value: str) -> str:
    if "\0" in value or "\n" in value:
        raise InvalidRequestError(f'sysctl "{name}" has an invalid value: {value!r}')
    return value
