"""The crossing between the event loop and the synchronous engine.

Calls go to worker threads under a named limit; waits never do: they are futures of the engine.
"""

import asyncio
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, ParamSpec, Protocol, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

QUICK_THREADS: Final = 32
SLOW_THREADS: Final = 256


class Outcome(Protocol[T_co]):
    """The part of concurrent.futures.Future that a wait needs; covariant, unlike Future."""

    def result(self, timeout: float | None = None) -> T_co:
        """Return the result or raise the exception."""

    def add_done_callback(self, fn: Callable[[Any], object]) -> None:
        """Call ``fn`` once done, at once if it is."""

    def cancel(self) -> bool:
        """Tell the engine that nobody waits any more."""


class Workers:
    """Worker threads for engine calls: ``quick`` ones, and those with a grace period in them."""

    def __init__(self, quick: int = QUICK_THREADS, slow: int = SLOW_THREADS) -> None:
        self._quick = CapacityLimiter(quick)
        self._slow = CapacityLimiter(slow)

    async def quick(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call that ends by itself within moments."""
        return await anyio.to_thread.run_sync(
            functools.partial(call, *args, **kwargs), limiter=self._quick
        )

    async def slow(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call that may sit out a grace period (stop, restart, forced removal)."""
        return await anyio.to_thread.run_sync(
            functools.partial(call, *args, **kwargs), limiter=self._slow
        )


async def settled(outcome: Outcome[object]) -> None:
    """Return once ``outcome`` is done in whatever way; giving up waiting does not cancel it."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def wake(_: object) -> None:
        with suppress(RuntimeError):  # the loop may be closed by then
            loop.call_soon_threadsafe(done.set)

    outcome.add_done_callback(wake)
    await done.wait()


class Streams:
    """The answers that last until somebody ends them; the daemon's stop ends them all."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()
        self.ending = False
        """Set once the daemon stops."""

    @contextmanager
    def member(self) -> Iterator[None]:
        """Count the current task as a stream; the block is left quietly when the daemon stops."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a stream belongs to a task")
        self._tasks.add(task)
        try:
            if self.ending:
                task.cancel("the daemon stops")
            yield
        except asyncio.CancelledError:
            if not self.ending:
                raise  # the client is gone
            task.uncancel()
        finally:
            self._tasks.discard(task)

    def end(self) -> None:
        """Cancel every stream, and those that still begin."""
        self.ending = True
        for task in list(self._tasks):
            task.cancel("the daemon stops")
