"""What ``/version`` and ``/info`` say, put together from the parts."""

import hashlib
import os
import platform
import threading
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from pyd_guest.api.edge import API_VERSION, MIN_API_VERSION
from pyd_guest.api.system import Component, Runtime, SystemInfo, VersionInfo
from pyd_guest.daemon.config import Config
from pyd_guest.engine.events import Events
from pyd_guest.engine.model import Created, Exited, Running
from pyd_guest.engine.parts import Parts
from pyd_guest.engine.times import now_ns, rfc3339
from pyd_guest.images.store import Images
from pyd_guest.linux.cgroup import Cgroups
from pyd_guest.runtime.probe import Installed

_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


def engine_version() -> str:
    """Return the version of this pyd."""
    try:
        return version("pyd-engine")
    except PackageNotFoundError:  # run from a tree that was never installed
        return "0.0.0"


@dataclass(frozen=True, slots=True)
class SystemReport:
    """The answers of the system's routes."""

    config: Config
    parts: Parts
    images: Images
    events: Events
    cgroups: Cgroups
    installed: Installed

    def version(self) -> VersionInfo:
        """Return what runs here."""
        kernel = os.uname()
        own = engine_version()
        components: list[Component] = [
            {
                "Name": "Engine",
                "Version": own,
                "Details": {
                    "ApiVersion": API_VERSION,
                    "MinAPIVersion": MIN_API_VERSION,
                    "Arch": _ARCHITECTURES.get(kernel.machine, kernel.machine),
                    "BuildTime": "",
                    "Experimental": "false",
                    "GitCommit": "",
                    "GoVersion": "",
                    "KernelVersion": kernel.release,
                    "Os": "linux",
                    "PythonVersion": platform.python_version(),
                },
            },
            {
                "Name": "conmon",
                "Version": self.installed.conmon_version,
                "Details": {"GitCommit": ""},
            },
        ]
        components += [
            {"Name": found.name, "Version": found.version, "Details": {"GitCommit": found.commit}}
            for found in self.installed.runtimes
        ]
        return {
            "Platform": {"Name": "pyd"},
            "Components": components,
            "Version": own,
            "ApiVersion": API_VERSION,
            "MinAPIVersion": MIN_API_VERSION,
            "GitCommit": "",
            "GoVersion": "",
            "Os": "linux",
            "Arch": _ARCHITECTURES.get(kernel.machine, kernel.machine),
            "KernelVersion": kernel.release,
            "BuildTime": "",
        }

    def info(self) -> SystemInfo:
        """Return the state and the abilities of this engine."""
        states = [container.state for container in self.parts.index.all()]
        has = self.cgroups.controllers
        kernel = os.uname()
        release = _os_release()
        return {
            "ID": _stable_id(self.config.data_root),
            "Containers": len(states),
            "ContainersRunning": sum(isinstance(state, Running) for state in states),
            "ContainersPaused": 0,
            "ContainersStopped": sum(isinstance(state, Created | Exited) for state in states),
            "Images": len(self.images.db.query("SELECT id FROM images")),
            "Driver": "overlay2",
            "DriverStatus": [
                ["Backing Filesystem", _file_system(self.config.data_root)],
                ["Supports d_type", "true"],
                ["Native Overlay Diff", "true"],
            ],
            "Plugins": {
                "Volume": [],
                "Network": [network.driver for network in self.parts.network.networks],
                "Authorization": None,
                "Log": ["json-file", "none"],
            },
            "MemoryLimit": "memory" in has,
            "SwapLimit": _has_swap_limit(self.cgroups),
            "KernelMemoryTCP": False,
            "CpuCfsPeriod": "cpu" in has,
            "CpuCfsQuota": "cpu" in has,
            "CPUShares": "cpu" in has,
            "CPUSet": "cpuset" in has,
            "PidsLimit": "pids" in has,
            "IPv4Forwarding": _is_on(Path("/proc/sys/net/ipv4/ip_forward")),
            "Debug": self.config.log_level == "debug",
            "NFd": len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - one call, no Path objects
            "OomKillDisable": self.cgroups.version == "1" and "memory" in has,
            "NGoroutines": threading.active_count(),
            "SystemTime": rfc3339(now_ns()),
            "LoggingDriver": "json-file",
            "CgroupDriver": "cgroupfs",
            "CgroupVersion": self.cgroups.version,
            "NEventsListener": self.events.listeners,
            "KernelVersion": kernel.release,
            "OperatingSystem": release.get("PRETTY_NAME", "Linux"),
            "OSVersion": release.get("VERSION_ID", ""),
            "OSType": "linux",
            "Architecture": kernel.machine,
            "IndexServerAddress": "https://index.docker.io/v1/",
            "RegistryConfig": {
                "IndexConfigs": {
                    "docker.io": {
                        "Name": "docker.io",
                        "Mirrors": [],
                        "Secure": True,
                        "Official": True,
                    }
                },
                "InsecureRegistryCIDRs": ["::1/128", "127.0.0.0/8"],
                "Mirrors": None,
            },
            "NCPU": os.cpu_count() or 1,
            "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "GenericResources": None,
            "DockerRootDir": str(self.config.data_root),
            "HttpProxy": "",
            "HttpsProxy": "",
            "NoProxy": "",
            "Name": kernel.nodename,
            "Labels": [],
            "ExperimentalBuild": False,
            "ServerVersion": engine_version(),
            "Runtimes": {
                found.name: Runtime(path=str(found.path)) for found in self.installed.runtimes
            },
            "DefaultRuntime": self.installed.chosen.name,
            "Swarm": {
                "NodeID": "",
                "NodeAddr": "",
                "LocalNodeState": "inactive",
                "ControlAvailable": False,
                "Error": "",
                "RemoteManagers": None,
            },
            "LiveRestoreEnabled": True,
            "Isolation": "",
            "InitBinary": self.installed.init.name if self.installed.init else "",
            "ContainerdCommit": {"ID": ""},
            "RuncCommit": {"ID": _commit_of(self.installed, "runc")},
            "InitCommit": {"ID": ""},
            "SecurityOptions": _security_options(self.parts, self.cgroups),
            "CDISpecDirs": [],
            "Warnings": self._warnings() or None,
        }

    def _warnings(self) -> list[str]:
        has = self.cgroups.controllers
        wanted = {"memory": "memory", "cpu": "cpu", "cpuset": "cpuset", "pids": "pids"}
        warnings = [f"WARNING: No {name} limit support" for name in wanted if name not in has]
        if not self.parts.facts.apparmor:
            warnings.append("WARNING: AppArmor is not available on this kernel")
        if self.installed.passed_over:
            warnings.append(f"WARNING: {self.installed.passed_over}; using runc")
        if self.cgroups.layout == "hybrid":
            warnings.append(
                "WARNING: cgroup v1 and v2 are both mounted (hybrid); containers are limited "
                "by v1, and the v2 mount is hidden from their runtime"
            )
        return warnings


def _stable_id(data_root: Path) -> str:
    """Return the same UUID-shaped text for one machine and data root, always."""
    try:
        machine = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except OSError:
        machine = os.uname().nodename
    digest = hashlib.sha256(f"pyd\0{machine}\0{data_root}".encode()).hexdigest()
    return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32]))


def _os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def _file_system(path: Path) -> str:
    """Return the type of the file system that ``path`` is on (proc(5), mountinfo)."""
    device = path.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        fields, _, tail = line.partition(" - ")
        if fields.split(" ")[2] == wanted:
            return tail.split(" ")[0]
    return "unknown"


def _has_swap_limit(cgroups: Cgroups) -> bool:
    if cgroups.version == "2":
        return "memory" in cgroups.controllers
    return Path("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes").exists()


def _is_on(path: Path) -> bool:
    try:
        return path.read_text(encoding="ascii").strip() == "1"
    except OSError:
        return False


def _commit_of(installed: Installed, name: str) -> str:
    return next((found.commit for found in installed.runtimes if found.name == name), "")


def _security_options(parts: Parts, cgroups: Cgroups) -> list[str]:
    options = ["name=seccomp,profile=builtin"]
    if parts.facts.apparmor:
        options.insert(0, "name=apparmor")
    if cgroups.version == "2":
        options.append("name=cgroupns")
    return options
