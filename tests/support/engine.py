"""A real engine for a test: `pyd daemon` in a sandbox, driven by the stock clients.

With ``PYD_TEST_PEER=unix:///path/docker.sock`` the same tests run against that dockerd instead:
what they expect is what dockerd does.
"""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from socket import AF_UNIX, SO_PEERCRED, SOL_SOCKET
from socket import socket as UnixSocket  # noqa: N812 - a field is called socket
from typing import Any

from docker import DockerClient

from support.inventory import SETTLE_TIMEOUT_S, Inventory, settled, take
from support.notify import start_and_wait
from support.sandbox import Sandbox, opened, scratch_base

PYD = Path(sys.executable).with_name("pyd")
STOP_TIMEOUT_S = 30.0
_TROUBLE = re.compile(r"Traceback \(most recent call last\)|Task exception was never retrieved")


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("docker", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = UnixSocket(AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:  # the tests look into it as they need
        """Return the body, parsed."""
        return json.loads(self.body)

    @property
    def message(self) -> str:
        """The words of an error answer."""
        return str(self.json()["message"])


@dataclass(slots=True)
class Client:
    """The stock clients and plain HTTP on one socket."""

    socket: Path
    image: str
    folder: Path
    foreign: bool

    @property
    def host(self) -> str:
        """The engine's address as DOCKER_HOST takes it."""
        return f"unix://{self.socket}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point a client at this engine, and at no configuration of the user."""
        config = {"DOCKER_HOST": self.host, "DOCKER_CONFIG": str(self.folder / "client")}
        return {**os.environ, **config}

    def docker(
        self, *args: str, stdin: str = "", timeout_s: float = 60.0, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run the stock CLI to its end; with ``check`` a failure carries its words."""
        return self._run("docker", args, stdin=stdin, timeout_s=timeout_s, check=check)

    def _run(
        self,
        program: str | Path,
        args: tuple[str, ...],
        *,
        stdin: str,
        timeout_s: float,
        check: bool,
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [program, *args],
            input=stdin,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if check:
            name = Path(program).name
            assert done.returncode == 0, f"{name} {args}: {done.returncode}: {done.stderr}"
        return done

    def out(self, *args: str, stdin: str = "", timeout_s: float = 60.0) -> str:
        """Run the stock CLI, which has to succeed, and return what it printed, stripped."""
        return self.docker(*args, stdin=stdin, timeout_s=timeout_s).stdout.strip()

    def popen(self, *args: str) -> subprocess.Popen[bytes]:
        """Start the stock CLI on pipes; the caller ends it."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            ["docker", *args], env=self.environment, stdin=pipe, stdout=pipe, stderr=pipe
        )

    def pyd(
        self, *args: str, stdin: str = "", timeout_s: float = 60.0, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run pyd's own CLI to its end."""
        return self._run(PYD, args, stdin=stdin, timeout_s=timeout_s, check=check)

    @contextlib.contextmanager
    def client(self) -> Iterator[DockerClient]:
        """Lend a docker-py client."""
        with contextlib.closing(DockerClient(base_url=self.host, timeout=60)) as client:
            yield client

    def request(
        self,
        method: str,
        path: str,
        body: bytes | Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 30.0,
    ) -> Answer:
        """Ask once over a connection of its own; a mapping is sent as JSON."""
        head = dict(headers or {})
        if isinstance(body, Mapping):
            body = json.dumps(body).encode()
            head.setdefault("Content-Type", "application/json")
        with contextlib.closing(_UnixConnection(self.socket, timeout_s)) as connection:
            connection.request(method, path, body, head)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.headers), answer.read())

    def connect(self, timeout_s: float = 30.0) -> UnixSocket:
        """Open the bare socket, for what no HTTP library does; the caller closes it."""
        bare = UnixSocket(AF_UNIX)
        bare.settimeout(timeout_s)
        bare.connect(str(self.socket))
        return bare

    def daemon_pid(self) -> int:
        """Return the pid of the process that serves the socket."""
        with contextlib.closing(self.connect()) as bare:
            form = struct.Struct("3i")
            raw = bare.getsockopt(SOL_SOCKET, SO_PEERCRED, form.size)
        return int(form.unpack(raw)[0])

    def nsenter(self, *argv: str, timeout_s: float = 30.0) -> subprocess.CompletedProcess[str]:
        """Run a program in the engine's network namespace: "on the host", for published ports."""
        return subprocess.run(
            ["nsenter", "-t", str(self.daemon_pid()), "-n", "--", *argv],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def containers(self) -> list[str]:
        """Return the ids of the containers made here, newest first."""
        mine = ("--filter", f"ancestor={self.image}") if self.foreign else ()
        return self.out("ps", "-aq", "--no-trunc", *mine).split()

    def images(self) -> set[str]:
        """Return the ids of the images that are there."""
        return set(self.out("images", "-q", "--no-trunc").split())

    def remove_all(self, but_images: set[str]) -> None:
        """Remove every container made here, and every image but ``but_images``."""
        for container in self.containers():
            self.docker("rm", "-f", "-v", container)
        if not self.foreign:
            for image in self.images() - but_images:
                self.docker("rmi", "-f", image)


@dataclass(slots=True)
class Engine(Client):
    """A client together with the daemon behind it, when that is a test's own."""

    sandbox: Sandbox | None = None
    process: "subprocess.Popen[bytes] | None" = None
    flags: tuple[str, ...] = ()
    wrapper: tuple[str, ...] = field(default=())

    @property
    def root(self) -> Path:
        """The folder that holds ``data``, ``exec``, ``log`` and the socket."""
        return self.folder

    @property
    def log(self) -> str:
        """Everything the daemon has written so far."""
        return (self.folder / "log").read_text(errors="replace")

    def command(self) -> list[str | Path]:
        """Return the daemon's command line."""
        places: list[str | Path] = ["--data-root", self.folder / "data"]
        places += ["--exec-root", self.folder / "exec", "--pidfile", self.folder / "pyd.pid"]
        return [PYD, "daemon", "-H", self.host, *places, "--bridge", "pyd0", *self.flags]

    def start(self) -> None:
        """Start the daemon and return when it says that it is ready."""
        assert self.sandbox is not None, "this engine is not the test's own"
        self.process = start_and_wait(
            self.sandbox.command(*self.wrapper, *self.command()),
            notify=self.folder / "notify",
            log=self.folder / "log",
            environment=os.environ,
        )

    def stop(self) -> None:
        """Stop the daemon as a service manager does; it has to end by itself with status 0."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            status = self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # the log shows where it hangs, if it can
            self.kill9()
            raise
        self.process = None
        assert status == 0, f"the daemon ended with {status}:\n{self.log[-3000:]}"

    def kill9(self) -> None:
        """Kill the daemon as the OOM killer would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def restart(self) -> None:
        """Stop and start the daemon."""
        self.stop()
        self.start()

    def warm_up(self) -> None:
        """Run a first container: what is made once with it is not a leak of the first test."""
        box = self.out("run", "-d", self.image, "true")
        self.out("wait", box)
        self.out("rm", box)
        self.settled_inventory(without=box)

    def settled_inventory(self, without: str = "/no such thing/") -> Inventory:
        """Take stock once nothing moves any more and ``without`` is not mentioned.

        The kernel takes the link of a dropped namespace away in its own time.
        """
        deadline = time.monotonic() + SETTLE_TIMEOUT_S
        last, now = None, self.inventory()
        while now != last or now.mentions(without):
            assert time.monotonic() < deadline, now.differences(last or now)
            time.sleep(0.3)
            last, now = now, self.inventory()
        return now

    def inventory(self) -> Inventory:
        """Take stock of what the engine has on the machine."""
        assert self.sandbox is not None, "this engine is not the test's own"
        daemon = self.process.pid if self.process else None
        return take(self.sandbox, self.folder, daemon=daemon)

    def assert_clean(self, before: Inventory) -> None:
        """Fail if anything is left on the machine since ``before``, or gone from it."""
        left = settled(self.inventory, before)
        assert not left, "left behind (+) or lost (-):\n" + "\n".join(left)


@contextlib.contextmanager
def started(*flags: str, log_level: str = "debug") -> Iterator[Engine]:
    """Run a daemon in a sandbox of its own. Nothing of it is left afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="pyd-", dir=scratch_base()))
    try:
        with opened() as sandbox:
            engine = Engine(
                socket=folder / "pyd.sock",
                image="pyd.local/base",
                folder=folder,
                foreign=False,
                sandbox=sandbox,
                flags=("--log-level", log_level, *flags),
            )
            engine.start()
            try:
                engine.warm_up()
                yield engine
                engine.stop()
            finally:
                engine.kill9()
            assert not _TROUBLE.search(engine.log), f"traceback in the log:\n{engine.log[-6000:]}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def lent(engine: Engine) -> Iterator[Engine]:
    """Lend an engine to one test: running before it, empty and without a trace of it after."""
    if engine.foreign:
        yield engine
        engine.remove_all(set())
        return
    if engine.process is None:
        engine.start()
    before, images = engine.inventory(), engine.images()
    start = len(engine.log)
    try:
        yield engine
    finally:
        if engine.process is None or engine.process.poll() is not None:
            engine.process = None
            engine.start()
        engine.remove_all(images)
    engine.assert_clean(before)
    said = engine.log[start:]
    assert not _TROUBLE.search(said), f"traceback in the daemon's log:\n{said[-6000:]}"


@contextlib.contextmanager
def foreign(host: str) -> Iterator[Engine]:
    """Use a running dockerd; gives it an image like pyd's own and removes that afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="pyd-peer-"))
    engine = Engine(
        socket=Path(host.removeprefix("unix://")),
        image=f"pyd-test-{os.getpid()}/base",
        folder=folder,
        foreign=True,
    )
    try:
        import_busybox(engine, folder)
        yield engine
        engine.docker("rmi", "-f", engine.image)
    finally:
        shutil.rmtree(folder)


def import_busybox(client: Client, folder: Path) -> None:
    """Import the machine's static busybox under ``client.image``."""
    tree = folder / "tree"
    for name in ("bin", "etc", "root", "tmp", "var/www"):
        (tree / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", tree / "bin/busybox")
    applets = subprocess.run(
        ["/bin/busybox", "--list"], capture_output=True, text=True, check=True
    ).stdout.split()
    for applet in set(applets) - {"busybox"}:
        (tree / "bin" / applet).symlink_to("busybox")
    (tree / "tmp").chmod(0o1777)
    (tree / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
    )
    (tree / "etc/group").write_text("root:x:0:\nnobody:x:65534:\n")
    archive = folder / "base.tar"
    subprocess.run(["tar", "-C", tree, "-cf", archive, "."], check=True)
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    changes = ("--change", 'CMD ["sh"]', "--change", f"ENV PATH={path}")
    client.docker("import", *changes, str(archive), client.image)
