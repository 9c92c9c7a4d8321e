"""Those who wait for a container: one future each, resolved where the change happens.

Conditions are the API's: ``not-running`` (at once if it does not run), ``next-exit``, ``removed``.
"""

from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import Final, Literal, get_args
from weakref import WeakSet

Condition = Literal["not-running", "next-exit", "removed"]
CONDITIONS: Final = get_args(Condition)


@dataclass(frozen=True, slots=True)
class WaitResult:
    """What ``/wait`` answers."""

    status_code: int
    error: str | None = None


class Waits:
    """The waiting futures of one container; thread-safe, no callback runs under its lock."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._pending: list[tuple[bool, Future[WaitResult]]] = []
        # Those who read the log are many and leave without a word: kept while they hold theirs.
        self._ended: WeakSet[Future[None]] = WeakSet()

    def next_exit(self) -> Future[WaitResult]:
        """Resolve at the next end of the process, or at the removal."""
        return self._add(until_removed=False)

    def removal(self) -> Future[WaitResult]:
        """Resolve at the removal."""
        return self._add(until_removed=True)

    def ended(self) -> Future[None]:
        """Resolve, with no result, when no more output can come."""
        future: Future[None] = Future()
        with self._lock:
            self._ended.add(future)
        return future

    def _add(self, *, until_removed: bool) -> Future[WaitResult]:
        future: Future[WaitResult] = Future()
        with self._lock:
            self._pending = [wait for wait in self._pending if not wait[1].cancelled()]
            self._pending.append((until_removed, future))
        return future

    def exited(self, result: WaitResult) -> None:
        """Tell all but those who wait for the removal."""
        self._resolve(result, removed=False)

    def removed(self, result: WaitResult) -> None:
        """Tell everybody."""
        self._resolve(result, removed=True)

    def _resolve(self, result: WaitResult, *, removed: bool) -> None:
        with self._lock:
            due = [future for late, future in self._pending if removed or not late]
            self._pending = [(late, it) for late, it in self._pending if late and not removed]
            ended = list(self._ended)
            self._ended.clear()
        for future in due:
            with suppress(InvalidStateError):  # the waiter has left
                future.set_result(result)
        for over in ended:
            with suppress(InvalidStateError):
                over.set_result(None)
