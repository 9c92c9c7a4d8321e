"""``stop`` and ``kill``: signals to exactly the container's first process (pidfd).

Nothing here holds the container's lock while it waits: the end arrives by `ending`.
"""

import signal
from concurrent.futures import Future
from contextlib import suppress

from pyd_api.errors import ConflictError, InternalError, InvalidRequestError, NotModifiedError
from pyd_guest.engine import signals
from pyd_guest.engine.announce import announce
from pyd_guest.engine.model import Container, Running
from pyd_guest.engine.parts import Parts
from pyd_guest.engine.waiting import WaitResult
from pyd_guest.linux.pidfd import ProcessIdentity, send_signal

_KILL_TIMEOUT_S = 10.0


def stop(
    parts: Parts, container: Container, *, signal_name: str | None, timeout_s: int | None
) -> None:
    """Ask the process to end, then kill it; a negative ``timeout_s`` waits for ever.

    Raises NotModifiedError when it does not run.
    """
    number = signals.parse(signal_name) if signal_name else container.spec.stop_signal
    grace_s = container.spec.stop_timeout_s if timeout_s is None else timeout_s
    end = container.waits.next_exit()
    process = _signal(parts, container, number)
    if process is None:
        end.cancel()
        raise NotModifiedError("container is already stopped")
    if not _done(end, None if grace_s < 0 else float(grace_s)):
        _kill(container, process, end)
    announce(parts, container, "stop")


def kill(parts: Parts, container: Container, signal_name: str | None, *, called: str) -> None:
    """Send a signal, KILL if none is named, and wait for the end if it is KILL.

    Raises ConflictError, which names the container as ``called``, when it does not run.
    """
    try:
        number = signals.parse(signal_name or "KILL")
    except InvalidRequestError as error:
        reason = error.message
        if signal_name and signal_name.strip("0").isdigit():
            reason = f"the linux daemon does not support signal {signal_name}"
        raise InvalidRequestError(f"cannot kill container: {called}: {reason}") from error
    end = container.waits.next_exit()
    process = _signal(parts, container, number)
    if process is None:
        end.cancel()
        raise ConflictError(
            f"cannot kill container: {called}: container {container.id} is not running"
        )
    if number == signal.SIGKILL:
        _kill(container, process, end)
    else:
        end.cancel()


def end_by_force(parts: Parts, container: Container) -> None:
    """Kill the process and return once its end is recorded; fine if it does not run."""
    end = container.waits.next_exit()
    process = _signal(parts, container, signal.SIGKILL)
    if process is None:
        end.cancel()
    else:
        _kill(container, process, end)


def _signal(parts: Parts, container: Container, number: int) -> ProcessIdentity | None:
    """Return the process that was signalled, None when the container does not run."""
    with container.lock:
        state = container.state
        if not isinstance(state, Running):
            return None
        with suppress(ProcessLookupError):  # it has ended; the news are on their way
            send_signal(state.process, number)
    announce(parts, container, "kill", signal=str(number))
    return state.process


def _kill(container: Container, process: ProcessIdentity, end: Future[WaitResult]) -> None:
    with suppress(ProcessLookupError):  # exactly that run: another may have begun meanwhile
        send_signal(process, signal.SIGKILL)
    if not _done(end, _KILL_TIMEOUT_S):
        raise InternalError(
            f"container {container.id} was killed and has not ended within {_KILL_TIMEOUT_S:g} s"
        )


def _done(end: Future[WaitResult], timeout_s: float | None) -> bool:
    try:
        end.result(timeout_s)
    except TimeoutError:
        return False
    return True
