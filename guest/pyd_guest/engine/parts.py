"""What the verbs of the engine steer: one bundle of parts, built once by the daemon.

Directories::

    DATA-ROOT/containers/<id>/    log, hosts, hostname, resolv.conf   (kept until the removal)
    EXEC-ROOT/containers/<id>/    the bundle: config.json, rootfs (mount point), what conmon makes
    EXEC-ROOT/exits/<id>          the exit status, renamed into place by conmon
    EXEC-ROOT/runtimes/<name>/    the state of crun or runc
    EXEC-ROOT/netns/<id>          its network namespace
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pyd_api.digest import ChainID
from pyd_api.errors import UnavailableError
from pyd_api.ids import ContainerId
from pyd_guest.engine.index import Index
from pyd_guest.engine.store import ContainerStore
from pyd_guest.engine.watcher import Watcher
from pyd_guest.images.model import Image
from pyd_guest.network.controller import Controller
from pyd_guest.runtime.conmon import Monitors
from pyd_guest.runtime.host import HostFacts
from pyd_guest.runtime.oci_runtime import OciRuntime
from pyd_guest.runtime.seccomp_filters import Filters


@dataclass(frozen=True, slots=True)
class Paths:
    """Every directory and file name of the engine."""

    data_root: Path
    exec_root: Path

    @property
    def containers(self) -> Path:
        """Of all containers, what lasts."""
        return self.data_root / "containers"

    @property
    def bundles(self) -> Path:
        """Of all containers, what a reboot clears."""
        return self.exec_root / "containers"

    @property
    def exits(self) -> Path:
        """Exit statuses that conmon wrote."""
        return self.exec_root / "exits"

    @property
    def runtimes(self) -> Path:
        """The runtimes' own state, a directory each."""
        return self.exec_root / "runtimes"

    @property
    def sandboxes(self) -> Path:
        """Network namespaces."""
        return self.exec_root / "netns"

    def kept(self, container_id: ContainerId) -> Path:
        """One container's directory that lasts."""
        return self.containers / container_id

    def bundle(self, container_id: ContainerId) -> Path:
        """One container's bundle."""
        return self.bundles / container_id

    def rootfs(self, container_id: ContainerId) -> Path:
        """Where its root file system is mounted."""
        return self.bundle(container_id) / "rootfs"

    def exit_file(self, container_id: ContainerId) -> Path:
        """Its exit status."""
        return self.exits / container_id

    def log(self, container_id: ContainerId) -> Path:
        """Its output."""
        return self.kept(container_id) / "log"


class Images(Protocol):
    """What a container needs of the image store."""

    def get(self, name_or_id: str) -> Image:
        """Return the image; NotFoundError in dockerd's words."""


class Snapshots(Protocol):
    """Writable layers."""

    def prepare(self, key: str, parent: ChainID | None) -> None:
        """Make one over an image."""

    def mount(self, key: str, target: Path, *, volatile: bool = False) -> None:
        """Mount it."""

    def remove(self, key: str) -> None:
        """Remove it; idempotent, quick."""

    def keys(self) -> set[str]:
        """List them."""

    def diff_size(self, key: str) -> int:
        """Return the bytes a container has written."""

    def directories(self, key: str) -> tuple[Path, Path]:
        """Name the upper and the work directory."""


class Publish(Protocol):
    """The way into the events."""

    def __call__(
        self, kind: str, action: str, actor_id: str, attributes: Mapping[str, str], /
    ) -> None:
        """Tell every subscriber."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a verb may need, and nothing else is reached for."""

    paths: Paths
    facts: HostFacts
    index: Index
    store: ContainerStore
    images: Images
    snapshots: Snapshots
    network: Controller
    runtimes: Mapping[str, OciRuntime]
    default_runtime: str
    monitors: Monitors
    filters: Filters
    watcher: Watcher
    publish: Publish
    background: ThreadPoolExecutor
    quicken: Callable[[], None]  # both return at once and work in the background
    prefetch: Callable[[], None]
    init: Path | None
    cgroup_parent: str

    def runtime(self, name: str) -> OciRuntime:
        """Return the runtime a container asked for, the default one for no name.

        Raises UnavailableError when it is not installed any more.
        """
        runtime = self.runtimes.get(name or self.default_runtime)
        if runtime is None:
            raise UnavailableError(f"runtime {name} is not installed any more")
        return runtime
