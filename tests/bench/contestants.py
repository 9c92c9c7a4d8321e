"""The two engines that are compared, each on roots, socket and namespaces of its own."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.measure import command_line, memory_mib, tree
from support.engine import Client, Engine, import_busybox, started
from support.needs import REPOSITORY
from support.notify import start_and_wait
from support.sandbox import opened, scratch_base

IMAGE = "bench/base"
_MONITORS = ("containerd-shim", "conmon")


@dataclass(frozen=True, slots=True)
class Contestant:
    """One engine, ready to be measured."""

    name: str
    client: Client
    version: str

    def daemon_pids(self) -> list[int]:
        """Return the daemon and its helpers, without monitors and containers."""
        own = tree(self.client.daemon_pid())
        return [pid for pid in own if not any(word in command_line(pid) for word in _MONITORS)]

    def monitors(self, containers: list[str]) -> list[int]:
        """Return the processes that watch over ``containers``."""
        lines = {
            int(path.name): command_line(int(path.name)) for path in Path("/proc").glob("[0-9]*")
        }
        return [
            pid
            for pid, line in lines.items()
            if any(word in line.split(" ", 1)[0] for word in _MONITORS)
            and any(container in line for container in containers)
        ]


def _contestant(name: str, client: Client) -> Contestant:
    form = "{{.Server.Version}} (API {{.Server.APIVersion}})"
    return Contestant(name, client, client.out("version", "--format", form))


@contextmanager
def pyd(*, log_level: str) -> Iterator[tuple[Contestant, Engine]]:
    """Start pyd from this checkout."""
    with started(log_level=log_level) as engine, tempfile.TemporaryDirectory() as scratch:
        engine.image = IMAGE
        import_busybox(engine, Path(scratch))
        yield _contestant("pyd", engine), engine


@contextmanager
def peer(wanted: str) -> Iterator[Contestant]:
    """Start the dockerd to compare with, or use the running one that ``wanted`` names."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="pyd-peer-", dir=scratch_base()))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        if wanted.startswith("unix://"):
            socket = Path(wanted.removeprefix("unix://"))
        else:
            socket = folder / "docker.sock"
            stack.enter_context(_dockerd(_find(wanted), folder))
        client = Client(socket=socket, image=IMAGE, folder=folder, foreign=True)
        import_busybox(client, folder)
        stack.callback(client.docker, "rmi", "-f", IMAGE, check=False)
        yield _contestant("dockerd", client)


def _find(wanted: str) -> tuple[Path, str]:
    """Return a dockerd and the PATH it is to run with."""
    path = os.environ["PATH"]
    if found := shutil.which(wanted or "dockerd"):
        return Path(found), f"{Path(found).parent}:{path}"
    if wanted:
        raise SystemExit(f"PEER={wanted}: neither a socket (unix://...) nor a dockerd")
    tree = REPOSITORY / ".cache" / "peer"
    subprocess.run([REPOSITORY / "scripts" / "setup.sh", "peer"], check=True)
    return tree / "usr/sbin/dockerd", f"{tree}/usr/sbin:{tree}/usr/bin:{path}"


@contextmanager
def _dockerd(found: tuple[Path, str], folder: Path) -> Iterator[None]:
    program, path = found
    roots = ["--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec"]
    listen = ["-H", f"unix://{folder}/docker.sock", "--pidfile", f"{folder}/pid"]
    with opened() as sandbox:
        # Its shims keep sockets under /run whatever the exec root is.
        private = 'mount -t tmpfs tmpfs /run && exec "$@"'
        process = start_and_wait(
            sandbox.command("sh", "-c", private, "sh", program, *listen, *roots),
            notify=folder / "notify",
            log=folder / "log",
            environment={**os.environ, "PATH": path},
            timeout_s=60,
        )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def weigh(contestant: Contestant, *, containers: int = 5) -> dict[str, tuple[float, float]]:
    """Return PSS and RSS in MiB of the idle daemon, and of one container's monitor."""
    client = contestant.client
    daemon = memory_mib(contestant.daemon_pids())
    boxes = [client.out("run", "-d", client.image, "sleep", "600") for _ in range(containers)]
    try:
        pids = contestant.monitors(boxes)
        pss, rss = memory_mib(pids)
    finally:
        client.docker("rm", "-f", *boxes)
    return {"daemon": daemon, "monitor": (pss / containers, rss / containers)}
