"""Start and stop the engine in the background: what `make run` and `make stop` do.

Where a machine has a service manager, `pyd daemon` belongs under it; this is for trying pyd out.
The daemon says when it is ready by sd_notify(3), so nothing here waits longer than it must.
"""

import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

SOCKET = Path("/run/pyd/pyd.sock")
PIDFILE = Path("/run/pyd/pyd.pid")
LOG = Path("/var/log/pyd.log")
READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
PYD = Path(__file__).resolve().parent.parent / ".venv" / "bin" / "pyd"


def say(text: str = "") -> None:
    """Write one line for the person at the terminal."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def answers() -> bool:
    """Say whether an engine answers on the default socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        try:
            client.connect(str(SOCKET))
            client.sendall(b"GET /_ping HTTP/1.1\r\nHost: pyd\r\nConnection: close\r\n\r\n")
            return client.recv(12).startswith(b"HTTP/1.1 200")
        except OSError:
            return False


def running_pid() -> int | None:
    """Return the daemon's pid, or None if the pid file is absent or names something else."""
    try:
        pid = int(PIDFILE.read_text())
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if b"daemon" in words and any(b"pyd" in word for word in words) else None


def launch() -> None:
    """Start the daemon and return when it is ready. Raises SystemExit with the end of its log."""
    if os.geteuid() != 0:
        raise SystemExit("the engine needs root: sudo make run")
    for path in (SOCKET, LOG):
        path.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as scratch,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify,
        LOG.open("ab") as log,
    ):
        begin = log.tell()
        notify.bind(f"{scratch}/notify")
        # Not waited for on purpose: the daemon outlives this program.
        daemon = subprocess.Popen(
            [PYD, "daemon", "-H", f"unix://{SOCKET}", "--pidfile", PIDFILE],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
            env=os.environ | {"NOTIFY_SOCKET": f"{scratch}/notify"},
        )
        handle = os.pidfd_open(daemon.pid)
        try:
            while True:
                ready, _, _ = select.select([notify.fileno(), handle], [], [], READY_TIMEOUT_S)
                if notify.fileno() in ready:
                    if b"READY=1" in notify.recv(4096).splitlines():
                        return
                    continue
                if not ready:
                    daemon.terminate()
                break
        finally:
            os.close(handle)
    if answers():  # somebody else's start won
        return
    tail = LOG.read_bytes()[begin:].decode(errors="replace").splitlines()[-15:]
    said = "did not become ready in time" if not ready else f"ended with status {daemon.wait()}"
    raise SystemExit("\n".join([*tail, f"the engine {said}; its whole log: {LOG}"]))


def start() -> int:
    """Start the engine unless it runs, run a first container, say how to go on."""
    if answers():
        say(f"the engine is running already (unix://{SOCKET})")
    else:
        launch()
        say(f"the engine is running (unix://{SOCKET}, log in {LOG})")
    words = ("echo", "Hello from a container run by pyd")
    say(f"$ pyd run --rm pyd.local/base {words[0]} '{words[1]}'")
    first = subprocess.run(
        [PYD, "-H", f"unix://{SOCKET}", "run", "--rm", "pyd.local/base", *words],
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=120,
    )
    if first.returncode != 0:
        say(f"the first container failed with status {first.returncode}; the engine's log: {LOG}")
        return first.returncode
    say()
    say("Reach the engine with any Docker client:")
    say(f"    export DOCKER_HOST=unix://{SOCKET}")
    say("    docker run --rm pyd.local/base echo hello        (or: .venv/bin/pyd run ...)")
    say("Stop it with: make stop")
    return 0


def stop() -> int:
    """End the engine by its pid and wait until it is gone; its containers keep running."""
    pid = running_pid()
    if pid is None:
        if answers():
            say(f"an engine answers on {SOCKET}, but {PIDFILE} does not name it; not stopped")
            return 1
        say("the engine is not running")
        return 0
    handle = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        gone, _, _ = select.select([handle], [], [], STOP_TIMEOUT_S)
    finally:
        os.close(handle)
    if not gone:
        say(f"the engine (pid {pid}) has not ended within {STOP_TIMEOUT_S:.0f} s; see {LOG}")
        return 1
    say("the engine has stopped; containers that ran keep running")
    return 0


if __name__ == "__main__":
    raise SystemExit({"start": start, "stop": stop}[sys.argv[1]]())
