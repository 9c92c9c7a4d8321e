"""Find the runtimes and the monitor on this machine, once, at start.

crun is preferred (its start takes 10 ms where runc's takes 25), except where it cannot work;
``--runtime`` chooses otherwise.
"""

import re
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from pyd_api.errors import UnavailableError
from pyd_guest.linux.cgroup import Layout
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
    passed_over: str  # why the preferred runtime was not chosen, or nothing


def probe(
    spawner: Spawner,
    wanted: RuntimeName | None,
    *,
    layout: Layout,
    capabilities: Collection[str],
) -> Installed:
    """Look for the programs; raise UnavailableError naming what is missing.

    ``capabilities`` are those of the engine itself.
    """
    found = {
        name: executable
        for name in get_args(RuntimeName)
        if (executable := _runtime(spawner, name)) is not None
    }
    conmon = _which("conmon")
    if conmon is None:
        raise UnavailableError("conmon is not installed", hint=_INSTALL)
    passed_over = "" if wanted else _against_crun(layout, capabilities)
    name = wanted or _preferred(found, passed_over)
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
        passed_over=passed_over if name != "crun" else "",
    )


def _against_crun(layout: Layout, capabilities: Collection[str]) -> str:
    """Return why crun cannot start containers here, nothing if it can."""
    if layout == "unified" and "CAP_SYS_RESOURCE" not in capabilities:
        return "crun needs CAP_SYS_RESOURCE to set device rules on cgroup v2"
    return ""


def _preferred(found: Collection[RuntimeName], against_crun: str) -> RuntimeName | None:
    if "crun" in found and (not against_crun or "runc" not in found):
        return "crun"
    return "runc" if "runc" in found else None


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
