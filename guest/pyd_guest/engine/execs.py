"""Execs: further processes in a running container, under a monitor of their own.

::

    EXEC-ROOT/containers/<id>/exec/<exec id>/    process.json, and what conmon makes

An exec lives in memory: like its container's process it goes on when the daemon stops, but after a
restart nobody can ask for it by its id (dockerd forgets them too).
"""

import socket
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from pyd_api.errors import (
    ConflictError,
    InternalError,
    InvalidRequestError,
    NotFoundError,
    PydError,
)
from pyd_api.ids import ExecId, new_id
from pyd_guest.engine import exec_request, failures
from pyd_guest.engine.announce import announce
from pyd_guest.engine.console import Attachment
from pyd_guest.engine.exec_request import ExecSpec
from pyd_guest.engine.model import Container, Running
from pyd_guest.engine.parts import Parts
from pyd_guest.linux.pidfd import is_alive
from pyd_guest.linux.trees import remove_tree
from pyd_guest.runtime.conmon import (
    ExecMonitor,
    RuntimeFailedError,
    Stdio,
    resize_terminal,
)

_FAILED: Final = "OCI runtime exec failed: exec failed: unable to start container process: "
_STATUS_TIMEOUT_S: Final = 5.0
_ENDED_KEPT: Final = 64  # per container, for clients that ask for the exit code afterwards


@dataclass(slots=True, eq=False)
class ExecSession:
    """One exec: prepared, running, or ended with a code."""

    id: ExecId
    container: Container
    spec: ExecSpec
    tty: bool = False
    monitor: ExecMonitor | None = None
    started: bool = False
    ended: Future[int] = field(default_factory=Future)


class Execs:
    """All execs of this daemon; thread-safe."""

    def __init__(self, parts: Parts) -> None:
        """Run execs in the containers of ``parts``."""
        self._parts = parts
        self._lock = threading.Lock()
        self._sessions: dict[str, ExecSession] = {}

    def create(self, ref: str, body: Mapping[str, object]) -> str:
        """Prepare an exec; ConflictError when the container does not run."""
        container = self._parts.index.get(ref)
        _require_running(container)
        self._parts.quicken()  # the process will join the container's cgroups in a moment
        session = ExecSession(ExecId(new_id()), container, exec_request.parse(body))
        with container.lock:
            _require_running(container)
            if not container.exec_ids:
                container.on_removal[:] = [partial(self.forget, container)]
            with self._lock:
                self._sessions[session.id] = session
                container.exec_ids.append(session.id)
        announce(self._parts, container, f"exec_create: {_command(session)}", execID=session.id)
        return session.id

    def start(
        self, exec_id: str, *, detach: bool, tty: bool, size: tuple[int, int] | None
    ) -> Attachment | None:
        """Run it. Raises ConflictError when it runs or has run, InvalidRequestError if it fails."""
        session = self._get(exec_id)
        container = session.container
        _require_running(container)
        with self._lock:
            if session.started:
                what = "has already run" if session.ended.done() else "is already running"
                raise ConflictError(f"exec command {exec_id} {what}")
            session.started = True
        session.tty = session.spec.tty or tty
        announce(self._parts, container, f"exec_start: {_command(session)}", execID=session.id)
        try:
            console = self._run(session, detach=detach, size=size)
        except PydError as error:
            session.ended.set_result(failures.exit_code_of(error.message))
            raise
        except OSError as error:
            session.ended.set_result(failures.FAILED)
            raise InternalError(f"{_FAILED}{error}") from error
        if console is None:
            return None
        ready: Future[socket.socket] = Future()
        ready.set_result(console)
        return Attachment(
            session.id,
            session.tty,
            session.spec.attach_stdin,
            stdin_once=not session.tty,
            console=ready,
        )

    def _run(
        self, session: ExecSession, *, detach: bool, size: tuple[int, int] | None
    ) -> socket.socket | None:
        container = session.container
        directory = self._directory(session)
        with container.lock:  # not into the bundle of a run that is over
            _require_running(container)
            directory.mkdir(mode=0o710, parents=True)
        try:
            exec_request.write_process(
                self._parts, container, session.spec, directory, tty=session.tty, size=size
            )
            monitor, console = self._parts.monitors.exec(
                self._parts.runtime(container.spec.runtime),
                container.id,
                session.id,
                directory,
                stdio=Stdio(session.tty, session.spec.attach_stdin, leave_stdin_open=session.tty),
                attach=not detach,
            )
        except RuntimeFailedError as error:
            remove_tree(directory)
            reason = failures.in_dockers_words(error.message, session.spec.argv)
            raise InvalidRequestError(_FAILED + reason) from error
        except BaseException:
            remove_tree(directory)
            raise
        session.monitor = monitor
        self._parts.watcher.watch_readable(monitor.report, lambda: self._ended(session, monitor))
        return console

    def _ended(self, session: ExecSession, monitor: ExecMonitor) -> None:
        code = monitor.read_status()
        session.ended.set_result(code)
        remove_tree(self._directory(session))
        announce(self._parts, session.container, "exec_die", execID=session.id, exitCode=str(code))
        self._forget_old(session.container)

    def _forget_old(self, container: Container) -> None:
        with self._lock:
            ended = [
                exec_id for exec_id in container.exec_ids if self._sessions[exec_id].ended.done()
            ]
            for exec_id in ended[:-_ENDED_KEPT]:
                container.exec_ids.remove(exec_id)
                del self._sessions[exec_id]

    def forget(self, container: Container) -> None:
        """Drop the execs of a container that is removed."""
        with self._lock:
            for exec_id in container.exec_ids:
                self._sessions.pop(exec_id, None)
            container.exec_ids.clear()

    def inspect(self, exec_id: str) -> dict[str, Any]:
        """Return its state in the shape of the API.

        A client asks right after the stream has ended, and must find the exit code there.
        """
        session = self._get(exec_id)
        monitor = session.monitor
        if monitor is not None and not session.ended.done() and not is_alive(monitor.process):
            with suppress(TimeoutError):
                session.ended.result(_STATUS_TIMEOUT_S)
        spec, ended = session.spec, session.ended.done()
        process: dict[str, Any] = {
            "tty": session.tty or spec.tty,
            "entrypoint": spec.argv[0],
            "arguments": list(spec.argv[1:]),
            "privileged": spec.privileged,
        }
        if spec.user:
            process["user"] = spec.user
        return {
            "ID": session.id,
            "Running": monitor is not None and not ended,
            "ExitCode": session.ended.result() if ended else None,
            "ProcessConfig": process,
            "OpenStdin": spec.attach_stdin,
            "OpenStderr": spec.attach_stderr,
            "OpenStdout": spec.attach_stdout,
            "CanRemove": False,
            "ContainerID": session.container.id,
            "DetachKeys": spec.detach_keys or "",
            "Pid": monitor.process.pid if monitor else 0,
        }

    def resize(self, exec_id: str, *, height: int, width: int) -> None:
        """Set the size of its terminal."""
        session = self._get(exec_id)
        if session.monitor is None or session.ended.done():
            raise ConflictError(f"exec {exec_id} is not running")
        if session.tty:
            try:
                resize_terminal(self._directory(session), height=height, width=width)
            except OSError as error:
                raise ConflictError(f"exec {exec_id} is not running") from error

    def _get(self, exec_id: str) -> ExecSession:
        session = self._sessions.get(exec_id)
        if session is None:
            raise NotFoundError(f"No such exec instance: {exec_id[:256]}")
        return session

    def _directory(self, session: ExecSession) -> Path:
        return self._parts.paths.bundle(session.container.id) / "exec" / session.id


def _require_running(container: Container) -> None:
    if not isinstance(container.state, Running):
        raise ConflictError(f"container {container.id} is not running")


def _command(session: ExecSession) -> str:
    return f"{session.spec.argv[0]} {' '.join(session.spec.argv[1:])}"
