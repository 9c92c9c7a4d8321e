"""The composition root: every object of the daemon is made here, once, and handed down.

::

    config ─▶ roots ─▶ database ─▶ blobs, snapshots, images
                   └▶ spawner ─▶ runtimes, monitors        ─▶ Parts ─▶ Containers, Execs ─▶ routers
                   └▶ network, watcher, events

`engine` yields what acts, reconciled with the machine; `composed` puts the API in front of it.
"""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pyd_guest.api import attach, containers, events, execs, images, logs, system
from pyd_guest.api.app import build_app
from pyd_guest.api.attach_hub import AttachHubs
from pyd_guest.api.crossing import Streams, Workers
from pyd_guest.api.edge import Edge
from pyd_guest.content.store import BlobStore
from pyd_guest.daemon import roots
from pyd_guest.daemon.config import Config
from pyd_guest.daemon.info import SystemReport, engine_version
from pyd_guest.engine import create_request, reconcile
from pyd_guest.engine.containers import Containers
from pyd_guest.engine.events import Events
from pyd_guest.engine.execs import Execs
from pyd_guest.engine.index import Index
from pyd_guest.engine.parts import Parts, Paths
from pyd_guest.engine.store import ContainerStore
from pyd_guest.engine.watcher import Watcher
from pyd_guest.images.base import ensure_base
from pyd_guest.images.service import ImageService
from pyd_guest.images.store import Images
from pyd_guest.linux import cgroup
from pyd_guest.linux.cgroup import Cgroups
from pyd_guest.linux.spawner import Spawner
from pyd_guest.network.assemble import assemble
from pyd_guest.network.controller import Controller
from pyd_guest.runtime import capabilities, host, probe
from pyd_guest.runtime.conmon import Monitors
from pyd_guest.runtime.oci_runtime import OciRuntime, RuntimeName
from pyd_guest.runtime.probe import Installed
from pyd_guest.runtime.seccomp_filters import Filters
from pyd_guest.snapshots.overlay import Snapshots
from pyd_guest.state.database import Database

_log = logging.getLogger(__name__)

CGROUP_PARENT = "/pyd"
_BACKGROUND_THREADS = 4
_END_THREADS = 4


@dataclass(frozen=True, slots=True)
class Engine:
    """Everything that acts, without the API in front of it."""

    parts: Parts
    containers: Containers
    execs: Execs
    images: Images
    events: Events
    cgroups: Cgroups
    installed: Installed


@dataclass(frozen=True, slots=True)
class Daemon:
    """What is served, and how its streams are ended when the daemon stops."""

    app: Edge
    streams: Streams


@contextmanager
def composed(config: Config) -> Iterator[Daemon]:
    """Build the daemon; at the end let go of everything, while containers go on."""
    with engine(config) as own:
        workers, streams = Workers(), Streams()
        hubs = AttachHubs(_made(config.data_root / "spool"))
        report = SystemReport(config, own.parts, own.images, own.events, own.cgroups, own.installed)
        app = build_app(
            system.router(report, workers, greeted=own.parts.quicken),
            containers.router(own.containers, workers, streams),
            attach.router(own.containers, hubs, workers, streams),
            logs.router(own.containers, workers, streams),
            execs.router(own.execs, hubs, workers, streams),
            events.router(own.events, streams),
            images.router(ImageService(own.images, own.containers), workers),
            version=engine_version(),
        )
        yield Daemon(app, streams)


@contextmanager
def engine(config: Config) -> Iterator[Engine]:
    """Build what acts, reconciled with the machine; at the end let go of it."""
    paths = Paths(config.data_root, config.exec_root)
    with ExitStack() as stack:
        stack.enter_context(roots.claimed(paths))
        published = Events()
        database = Database(paths.data_root / "state.db")
        stack.callback(database.close)
        snapshots = Snapshots(paths.data_root / "snapshots", database)
        stack.callback(snapshots.close)
        store = Images(
            database, BlobStore(paths.data_root / "content"), snapshots, published.publish
        )
        layout = cgroup.probe()
        spawner = Spawner(hide=layout.unified_mount)
        stack.callback(spawner.close)
        installed = probe.probe(
            spawner,
            _runtime_name(config),
            layout=layout.layout,
            capabilities=capabilities.available(),
        )
        runtimes: dict[str, OciRuntime] = {
            found.name: OciRuntime(found, _made(paths.runtimes / found.name), spawner)
            for found in installed.runtimes
        }
        network = assemble(netns_dir=paths.sandboxes, bridge=config.bridge, bip=config.bip)
        stack.callback(network.shutdown)
        background = stack.enter_context(ThreadPoolExecutor(_BACKGROUND_THREADS, "background"))
        quickener = stack.enter_context(ThreadPoolExecutor(1, "quicken"))
        # Ends wait for the locks of starts, which wait for what the background does: not the same
        # threads, or four of each at once stand still for good.
        ends = stack.enter_context(ThreadPoolExecutor(_END_THREADS, "ends"))
        watcher = Watcher(paths.exits, ends)
        stack.callback(watcher.close)
        parts = Parts(
            paths=paths,
            facts=host.detect(runtimes=tuple(runtimes), default_runtime=installed.chosen.name),
            index=Index(),
            store=ContainerStore(database),
            images=store,
            snapshots=snapshots,
            network=network,
            runtimes=runtimes,
            default_runtime=installed.chosen.name,
            monitors=Monitors(installed.conmon, paths.exits, spawner),
            filters=Filters.open(paths.data_root / "seccomp"),
            watcher=watcher,
            publish=published.publish,
            background=background,
            quicken=lambda: _later(quickener, cgroup.quicken),
            prefetch=lambda: _later(background, network.prefetch),
            init=installed.init,
            cgroup_parent=CGROUP_PARENT,
        )
        own_execs = Execs(parts)
        own_containers = Containers(parts)
        _begin(parts, own_containers, store, network)
        _report(installed, layout)
        yield Engine(parts, own_containers, own_execs, store, published, layout, installed)


def _report(installed: Installed, layout: Cgroups) -> None:
    if installed.passed_over:
        _log.warning("%s; using runc, which is slower", installed.passed_over)
    _log.info(
        "runtime %s %s, conmon %s, cgroups %s",
        installed.chosen.name,
        installed.chosen.version,
        installed.conmon_version,
        layout.layout,
    )


def _begin(parts: Parts, own: Containers, store: Images, network: Controller) -> None:
    """Make the rows and the machine agree, then let news in."""
    live = reconcile.load(parts, partial(create_request.restore, facts=parts.facts))
    network.start(live)
    parts.watcher.start(own.exited)
    reconcile.adopt(parts)
    store.recover()
    reconcile.restore_layers(parts)
    ensure_base(store)


def _later(executor: ThreadPoolExecutor, call: Callable[[], None]) -> None:
    """Run a call that only saves time: a failure costs that time and is told."""

    def guarded() -> None:
        try:
            call()
        except OSError as error:
            _log.warning("a preparation failed: %s", error)

    executor.submit(guarded)


def _runtime_name(config: Config) -> RuntimeName | None:
    match config.runtime:
        case "crun" | "runc" as name:
            return name
        case _:
            return None


def _made(directory: Path) -> Path:
    directory.mkdir(mode=0o700, exist_ok=True)
    return directory
