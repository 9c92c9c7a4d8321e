"""Find the runtimes and the monitor on this machine, once, at start.

crun is preferred (its start takes 10 ms where runc's takes 25); ``--runtime`` chooses otherwise.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from pyd_api.errors import UnavailableError
from pyd_guest.linux.spawner import Spawner
from pyd_guest.runtime.oci_runtime import Executable, RuntimeName

_INSTALL = "make setup installs it; on Debian: apt-get install conmon crun runc"
SBIN = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Installed:
    """What can run containers here."""

    chosen: Executable
    runtimes: tuple[Executable, ...]
    conmon: Path
    conmon_version: str
    init: Path | None  # for --init; static, since it runs on top of any image


def probe(spawner: Spawner, wanted: RuntimeName | None) -> Installed:
    """Look for the programs; raise UnavailableError naming what is missing."""
    found = {
        name: executable
        for name in get_args(RuntimeName)
        if (executable := _runtime(spawner, name)) is not None
    }
    conmon = _which("conmon")
    if conmon is None:
        raise UnavailableError("conmon is not installed", hint=_INSTALL)
    name = wanted or next(iter(found), None)
    if name is None or name not in found:
        missing = wanted or "crun or runc"
        raise UnavailableError(f"{missing} is not installed or does not run", hint=_INSTALL)
    said = spawner.run([str(conmon), "--version"]).stdout.decode("utf-8", "replace")
    version = re.search(r"version (\S+)", said)
    return Installed(
        chosen=found[name],
        runtimes=tuple(found.values()),
        conmon=conmon,
        conmon_version=version[1] if version else "unknown",
        init=_which("tini-static") or _which("catatonit"),
    )


def _which(name: str) -> Path | None:
    found = shutil.which(name, path=SBIN)
    return Path(found) if found else None


def _runtime(spawner: Spawner, name: RuntimeName) -> Executable | None:
    path = _which(name)
    if path is None:
        return None
    finished = spawner.run([str(path), "--version"])
    said = finished.stdout.decode("utf-8", "replace")
    version = re.search(rf"{name} version (\S+)", said)
    commit = re.search(r"commit: (\S+)", said)
    if finished.status != 0 or version is None:
        return None
    return Executable(name, path, version[1], commit[1] if commit else "")
