r"""conmon: one small process per container or exec that owns its terminal or pipes.

The monitor outlives the daemon. Files in the bundle, all made by conmon unless noted::

    config.json   what the runtime is to do (written by the caller)
    attach        SOCK_SEQPACKET; out: one byte 2 (stdout) or 3 (stderr), then data; in: stdin
    ctl           FIFO; "1 HEIGHT WIDTH\n" resizes the terminal
    pid           the container's first process
    conmon.pid    the monitor itself
    oci-log       the runtime's own messages, as JSON lines

Start-up protocol, by pipes named in the environment: a byte on ``_OCI_STARTPIPE`` lets conmon go
on and make its sockets; with ``--exec-attach`` it then writes to ``_OCI_ATTACHPIPE`` and waits for
a second byte. On ``_OCI_SYNCPIPE`` it reports ``{"data": PID}``, or a negative number and a
``message`` when the runtime failed; an exec reports ``{"data": STATUS}`` at its end.
Exits of containers are files in the exit directory, renamed into place, that hold the status.
"""

import contextlib
import json
import os
import select
import signal
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pyd_api.errors import InternalError
from pyd_api.ids import ContainerId, ExecId
from pyd_guest.linux.pidfd import ProcessIdentity, identify, send_signal
from pyd_guest.linux.spawner import Spawner
from pyd_guest.runtime.oci_runtime import OciRuntime, last_message
from pyd_guest.runtime.probe import SBIN

STDOUT_PIPE = 2
STDERR_PIPE = 3
_REPORT_LIMIT = 1 << 20
_START_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Stdio:
    """What the process is connected to."""

    terminal: bool
    stdin: bool
    leave_stdin_open: bool  # a client that goes away does not end the container's stdin


class RuntimeFailedError(Exception):
    """The runtime refused or failed; the text is its own last message."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True)
class Monitored:
    """A process under a monitor."""

    process: ProcessIdentity
    monitor: ProcessIdentity


class ExecMonitor:
    """A running exec. ``report`` becomes readable when it ends; then read_status closes it."""

    def __init__(self, process: ProcessIdentity, report: int) -> None:
        """Take over ``report``, the reading end of the sync pipe."""
        self.process = process
        self.report = report

    def read_status(self) -> int:
        """Return the exit status, 255 if the monitor died without one; call it once."""
        try:
            message = _read_report(self.report)
        finally:
            os.close(self.report)
        status = message.get("data")
        return status if isinstance(status, int) else 255


class Monitors:
    """Starts monitors."""

    def __init__(self, conmon: Path, exits: Path, spawner: Spawner) -> None:
        """Use the program ``conmon``; containers' exits appear in the directory ``exits``."""
        self._conmon = conmon
        self._exits = exits
        self._spawner = spawner

    def create(
        self,
        runtime: OciRuntime,
        container_id: ContainerId,
        bundle: Path,
        *,
        log: Path | None,
        stdio: Stdio,
    ) -> Monitored:
        """Start a monitor and let the runtime create the container, which then waits for start.

        Raises RuntimeFailedError with nothing left but, perhaps, the runtime's own state directory.
        """
        argv = [
            *self._arguments(runtime, container_id, container_id, bundle, stdio),
            f"--exit-dir={self._exits}",
            f"--log-path={f'k8s-file:{log}' if log else 'none'}",
        ]
        with _Pipe() as sync, _Pipe() as start:
            os.write(start.write_end, b"x")
            self._spawn(argv, bundle, {"SYNC": sync.write_end, "START": start.read_end})
            sync.close_write_end()
            process = _started(_read_report(sync.read_end), bundle)
        monitor = identify(int((bundle / "conmon.pid").read_text(encoding="ascii")))
        return Monitored(process, monitor)

    def exec(
        self,
        runtime: OciRuntime,
        container_id: ContainerId,
        exec_id: ExecId,
        directory: Path,
        *,
        stdio: Stdio,
        attach: bool,
    ) -> tuple[ExecMonitor, socket.socket | None]:
        """Run the process document ``directory/process.json`` in a running container.

        With ``attach`` the console, which the caller closes, is connected before the process
        starts, so that no byte is lost. Raises RuntimeFailedError when it cannot be started.
        """
        argv = [
            *self._arguments(runtime, container_id, exec_id, directory, stdio),
            "--exec",
            f"--exec-process-spec={directory / 'process.json'}",
            "--log-path=none",
            *(["--exec-attach"] if attach else []),
        ]
        console: socket.socket | None = None
        with _Pipe() as sync, _Pipe() as start, _Pipe() as ready, ExitStack() as undo:
            pipes = {"SYNC": sync.write_end, "START": start.read_end}
            if attach:
                pipes["ATTACH"] = ready.write_end
            os.write(start.write_end, b"x")
            self._spawn(argv, directory, pipes)
            sync.close_write_end()
            ready.close_write_end()
            if attach:
                _read_report(ready.read_end)
                console = undo.enter_context(connect_console(directory))
                os.write(start.write_end, b"x")
            process = _started(_read_report(sync.read_end), directory)
            undo.pop_all()
            return ExecMonitor(process, sync.detach_read_end()), console

    def _arguments(
        self, runtime: OciRuntime, container: str, unique: str, bundle: Path, stdio: Stdio
    ) -> list[str]:
        runtime_arguments = [
            *runtime.arguments,
            f"--log={bundle / 'oci-log'}",
            "--log-format=json",
        ]
        return [
            str(self._conmon),
            "--api-version=1",
            f"--cid={container}",
            f"--cuuid={unique}",
            f"--name={container}",
            f"--runtime={runtime.executable.path}",
            *(f"--runtime-arg={argument}" for argument in runtime_arguments),
            f"--bundle={bundle}",
            f"--container-pidfile={bundle / 'pid'}",
            f"--conmon-pidfile={bundle / 'conmon.pid'}",
            "--full-attach",
            "--log-level=error",
            "--no-sync-log",
            *(["--terminal"] if stdio.terminal else []),
            *(["--stdin"] if stdio.stdin else []),
            *(["--leave-stdin-open"] if stdio.leave_stdin_open else []),
        ]

    def _spawn(self, argv: list[str], directory: Path, pipes: Mapping[str, int]) -> None:
        environment = {f"_OCI_{name}PIPE": str(end) for name, end in pipes.items()}
        status = self._spawner.start(
            argv,
            cwd=directory,
            environment={"PATH": SBIN, **environment},
            pass_fds=tuple(pipes.values()),
        )
        if status != 0:
            raise InternalError(f"conmon ended with status {status} before it started anything")


def connect_console(bundle: Path) -> socket.socket:
    """Connect to the attach socket of a monitor; the caller closes the non-blocking socket.

    Raises OSError when the monitor is not there. The path goes through a descriptor, since
    sun_path holds only 107 bytes.
    """
    directory = os.open(bundle, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    console = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    try:
        console.connect(f"/proc/self/fd/{directory}/attach")
        console.setblocking(False)
    except BaseException:
        console.close()
        raise
    finally:
        os.close(directory)
    return console


def resize_terminal(bundle: Path, *, height: int, width: int) -> None:
    """Set the size of a process's terminal, in characters; raise OSError if it has none."""
    control = os.open(bundle / "ctl", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.write(control, f"1 {height} {width}\n".encode())
    finally:
        os.close(control)


def end_monitors(execution_root: Path) -> None:
    """Kill the monitors below ``execution_root`` whose container never came to run.

    For the daemon's start only: a daemon that was killed between starting a monitor and hearing
    from it has left no other record of it.
    """
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
            mine = f"--bundle={execution_root}/".encode()
            if any(argument.startswith(mine) for argument in arguments) and not any(
                (Path(os.fsdecode(argument[len(b"--bundle=") :])) / "pid").exists()
                for argument in arguments
                if argument.startswith(mine)
            ):
                send_signal(identify(int(entry.name)), signal.SIGKILL)


class _Pipe:
    """A pipe whose two ends are closed on leaving, unless they were before."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()

    def __enter__(self) -> "_Pipe":
        return self

    def __exit__(self, *_: object) -> None:
        self.close_write_end()
        if self.read_end >= 0:
            os.close(self.read_end)

    def close_write_end(self) -> None:
        """Let the reader see the end once the child has closed its copy."""
        if self.write_end >= 0:
            os.close(self.write_end)
            self.write_end = -1

    def detach_read_end(self) -> int:
        """Hand the reading end to the caller."""
        descriptor, self.read_end = self.read_end, -1
        return descriptor


def _read_report(descriptor: int) -> dict[str, object]:
    """Read one line of JSON from conmon; {} at the end of the pipe."""
    line = b""
    ready = select.poll()
    ready.register(descriptor, select.POLLIN)
    while not line.endswith(b"\n") and len(line) < _REPORT_LIMIT:
        if not ready.poll(_START_TIMEOUT_S * 1000):
            raise InternalError(f"conmon did not answer within {_START_TIMEOUT_S:g} s")
        # A short exec's end is reported right behind its start: take no byte of the next line.
        byte = os.read(descriptor, 1)
        if not byte:
            break
        line += byte
    try:
        message = json.loads(line) if line.strip() else {}
    except ValueError:
        return {"data": -1, "message": line.decode("utf-8", "replace").strip()}
    return message if isinstance(message, dict) else {}


def _started(message: Mapping[str, object], directory: Path) -> ProcessIdentity:
    """Turn conmon's first report into the process, or into the runtime's own complaint."""
    pid = message.get("data")
    if isinstance(pid, int) and pid > 0:
        with contextlib.suppress(ProcessLookupError):
            return identify(pid)
        return ProcessIdentity(pid, 0)  # it has ended already; its exit will be reported
    said = message.get("message")
    with contextlib.suppress(OSError):
        said = (directory / "oci-log").read_text(encoding="utf-8", errors="replace") or said
    raise RuntimeFailedError(last_message(said if isinstance(said, str) else ""))
