"""``POST /containers/{id}/start``: from a row to a running process, in a straight line.

::

    bundle directory ─▶ overlay mounted ─▶ sandbox and endpoint ─▶ hosts, resolv.conf ─▶ config.json
      ─▶ conmon and the runtime's "create": the process waits ─▶ attached clients connected
      ─▶ row says running ─▶ the process goes ─▶ event

Every step pushes its own undo; a failure runs them backwards. The row says "running" before the
process goes: a daemon killed in between finds the container waiting and lets it go, or its end.
"""

from contextlib import ExitStack, suppress

from pyd_api.errors import (
    ConflictError,
    InternalError,
    InvalidRequestError,
    NotFoundError,
    NotModifiedError,
    PydError,
)
from pyd_guest.engine import bundle, cleanup, console, ending, failures, files, removal
from pyd_guest.engine.announce import announce, announce_network
from pyd_guest.engine.model import Container, Created, Exited, Running
from pyd_guest.engine.parts import Parts
from pyd_guest.engine.stages import stage
from pyd_guest.engine.times import now_ns
from pyd_guest.engine.waiting import WaitResult
from pyd_guest.network.endpoint import Endpoint
from pyd_guest.network.sandbox import Sandbox
from pyd_guest.runtime.conmon import Monitored, RuntimeFailedError, Stdio

_FAILED = "failed to create task for container: OCI runtime create failed: "


def start(parts: Parts, container: Container) -> None:
    """Start a container; the caller holds its lock. On failure it is as before, but for the error.

    Raises NotModifiedError when it runs, and InvalidRequestError with the runtime's reason.
    """
    if container.removing or container.removed:
        raise ConflictError("container is marked for removal and cannot be started")
    if isinstance(container.state, Running):
        raise NotModifiedError("container is already running")
    try:
        with ExitStack() as undo:
            cleanup.finish(parts, container)
            running = _bring_up(parts, container, undo)
            undo.pop_all()
    except PydError as error:
        _failed(parts, container, error)
        raise
    except OSError as error:
        failure = InternalError(f"failed to start container: {error}")
        _failed(parts, container, failure)
        raise failure from error
    except BaseException:  # a defect: told to nobody who waits, but nobody waits for ever
        _failed(parts, container, InternalError("failed to start container"))
        raise
    parts.watcher.watch_monitor(running.monitor, lambda: ending.ended(parts, container, running))
    if running.endpoint is not None:
        announce_network(parts, container, running.endpoint, "connect")
    announce(parts, container, "start")


def _bring_up(parts: Parts, container: Container, undo: ExitStack) -> Running:
    own, spec = container.id, container.spec
    parts.quicken()  # once more: a client may have taken its time since the create
    before = container.state
    assert not isinstance(before, Running)  # noqa: S101 - checked by the caller, for the types
    directory = parts.paths.bundle(own)
    with stage(own, "overlay"):
        rootfs = parts.paths.rootfs(own)
        directory.mkdir(mode=0o710)
        undo.callback(cleanup.remove_bundle, parts, own)
        rootfs.mkdir()
        parts.snapshots.mount(own, rootfs, volatile=spec.auto_remove)
    with stage(own, "network"):
        undo.callback(parts.network.release, own)
        sandbox, endpoint = _connect(parts, container)
    with stage(own, "files"):
        files.write(parts.paths.kept(own), spec, endpoint)
        bundle.write(parts, container, sandbox)
    with stage(own, "create"):
        undo.callback(cleanup.forget_exit, parts, own)
        undo.callback(cleanup.delete_process, parts, container)
        parts.paths.exit_file(own).unlink(missing_ok=True)
        monitored = _create(parts, container)
    running = Running(
        monitored.process,
        monitored.monitor,
        now_ns(),
        endpoint,
        before.finished_ns if isinstance(before, Exited) else None,
    )
    with stage(own, "console"):
        console.connect(container, directory)
    with stage(own, "commit"):
        container.state = running
        undo.callback(setattr, container, "state", before)  # the row follows in _failed
        parts.store.save_state(own, running)
    with stage(own, "start"):
        parts.runtime(spec.runtime).start(own)
    return running


def _connect(parts: Parts, container: Container) -> tuple[Sandbox | None, Endpoint | None]:
    wanted = container.spec.network
    if wanted.container is not None:
        return None, None
    try:
        sandbox = parts.network.create_sandbox(container.id, network=wanted.mode)
        endpoint = parts.network.connect(
            sandbox,
            network=wanted.mode,
            name=container.name,
            ports=wanted.all_ports,
            mac=wanted.mac_address,
        )
    except (InternalError, NotFoundError) as error:
        raise type(error)(f"failed to set up container networking: {error}") from error
    return sandbox, endpoint


def _create(parts: Parts, container: Container) -> Monitored:
    spec = container.spec
    stdio = Stdio(
        terminal=spec.tty,
        stdin=spec.open_stdin,
        leave_stdin_open=not spec.ends_with_its_client,
    )
    log = parts.paths.log(container.id) if spec.log_driver != "none" else None
    try:
        return parts.monitors.create(
            parts.runtime(spec.runtime),
            container.id,
            parts.paths.bundle(container.id),
            log=log,
            stdio=stdio,
        )
    except RuntimeFailedError as error:
        raise InvalidRequestError(
            _FAILED + failures.in_dockers_words(error.message, spec.argv)
        ) from error


def _failed(parts: Parts, container: Container, error: PydError) -> None:
    """Record why, end those who wait, and remove a container that removes itself."""
    code = failures.exit_code_of(error.message)
    match container.state:
        case Created():
            container.state = Created(code, error.message)
        case Exited(_, started_ns, finished_ns):
            container.state = Exited(code, started_ns, finished_ns, error=error.message)
    console.end(container, error)
    container.waits.exited(WaitResult(code, error.message))
    with suppress(PydError, OSError):  # the first failure is the one to tell
        parts.store.save_state(container.id, container.state)
    if container.spec.auto_remove:
        removal.remove_ended(parts, container)
