"""The floors: the client alone, and the runtime alone."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.measure import PAUSE_S, Times, once_ms
from support.engine import Client
from support.sandbox import opened, scratch_base

_TESTS = Path(__file__).resolve().parents[1]


@contextmanager
def instant_server() -> Iterator[Client]:
    """Run the server that answers at once and lend a client of it."""
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder, "docker.sock")
        server = subprocess.Popen(
            [sys.executable, "-m", "bench.instant", socket],
            env={**os.environ, "PYTHONPATH": str(_TESTS)},
            stdout=subprocess.PIPE,
        )
        try:
            assert server.stdout is not None
            if server.stdout.readline() != b"ready\n":
                raise RuntimeError("the instant server did not start")
            yield Client(socket=socket, image="bench/base", folder=Path(folder), foreign=True)
        finally:
            server.kill()
            server.wait()
            if server.stdout is not None:
                server.stdout.close()


def runtime_alone(rounds: int) -> dict[str, Times]:
    """Measure `RUNTIME run` of ``true`` in new namespaces, for each runtime on the machine."""
    found = {}
    for runtime in ("crun", "runc"):
        if shutil.which(runtime):
            with tempfile.TemporaryDirectory(dir=scratch_base()) as folder, opened() as sandbox:
                bundle = Path(folder)
                _fill(bundle, runtime)
                # crun refuses a v2 hierarchy beside v1; the engine hides it in the same way.
                hide = 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"'
                inner = [sys.executable, "-m", "bench.floors", runtime, str(bundle), str(rounds)]
                done = subprocess.run(
                    sandbox.command("sh", "-c", hide, "sh", *inner),
                    env={**os.environ, "PYTHONPATH": str(_TESTS)},
                    capture_output=True,
                    text=True,
                    check=True,
                )
                found[runtime] = Times(tuple(json.loads(done.stdout)))
    return found


def _fill(bundle: Path, runtime: str) -> None:
    (bundle / "rootfs/bin").mkdir(parents=True)
    shutil.copy("/bin/busybox", bundle / "rootfs/bin/true")
    subprocess.run([runtime, "spec"], cwd=bundle, check=True)
    config = json.loads((bundle / "config.json").read_text())
    config["process"].update(terminal=False, args=["/bin/true"], rlimits=[])
    config["linux"]["cgroupsPath"] = "/bench/alone"
    (bundle / "config.json").write_text(json.dumps(config))


def _inside(runtime: str, bundle: str, rounds: int) -> None:
    """Measure in the sandbox; the values go to the standard output."""
    values = []
    for number in range(rounds):
        time.sleep(PAUSE_S)
        values.append(once_ms([runtime, "run", "-b", bundle, f"b{number}"], os.environ))
    sys.stdout.write(json.dumps(values))


def measured(client: Client, *words: str) -> Callable[[], float]:
    """Return a measurement of the stock CLI with these words."""
    program = shutil.which("docker")
    if program is None:
        raise SystemExit("no docker client in PATH; make setup provides one")
    environment = client.environment
    return lambda: once_ms([program, *words], environment)


if __name__ == "__main__":
    _inside(sys.argv[1], sys.argv[2], int(sys.argv[3]))
