"""One thread that sleeps until a container or an exec ends; nobody polls.

Ends are learnt in two ways. conmon renames the exit status into the exit directory (inotify), and
a monitor's pidfd becomes readable when the monitor itself is gone, with or without having written
one. Both lead to the same call, which must bear being made twice.
"""

import logging
import os
import select
import struct
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from pyd_api.ids import ID_PATTERN, ContainerId
from pyd_guest.linux.inotify import IN_MOVED_TO, Inotify
from pyd_guest.linux.pidfd import ProcessIdentity, open_process

_log = logging.getLogger(__name__)
_EVENT = struct.Struct("iIII")  # inotify(7): wd, mask, cookie, len; a padded name follows


class Watcher:
    """Calls back, in worker threads, about what has ended."""

    def __init__(self, exits: Path, workers: ThreadPoolExecutor) -> None:
        """Watch the directory ``exits``; start() begins."""
        self._workers = workers
        self._poll = select.epoll()
        self._inotify = Inotify()
        self._inotify.watch(exits, IN_MOVED_TO)
        self._poll.register(self._inotify.fileno(), select.EPOLLIN)
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll.register(self._wake, select.EPOLLIN)
        self._lock = threading.Lock()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._on_exit: Callable[[ContainerId], None] | None = None
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    def start(self, on_exit: Callable[[ContainerId], None]) -> None:
        """Begin; ``on_exit`` is told of every exit status that appears."""
        self._on_exit = on_exit
        self._thread.start()

    def watch_monitor(self, monitor: ProcessIdentity, call: Callable[[], None]) -> None:
        """Call ``call`` once when the monitor is gone, at once if it is already."""
        try:
            descriptor = open_process(monitor)
        except ProcessLookupError:
            self._workers.submit(_guarded, call)
            return

        def ended() -> None:
            os.close(descriptor)
            call()

        self.watch_readable(descriptor, ended)

    def watch_readable(self, descriptor: int, call: Callable[[], None]) -> None:
        """Call ``call`` once when ``descriptor`` becomes readable; it owns the descriptor then."""
        with self._lock:
            self._callbacks[descriptor] = call
            self._poll.register(descriptor, select.EPOLLIN | select.EPOLLONESHOT)

    def close(self) -> None:
        """End the thread and let go of every descriptor; what is watched goes on living."""
        os.eventfd_write(self._wake, 1)
        if self._thread.ident is not None:
            self._thread.join()
        with self._lock:
            for descriptor in self._callbacks:
                os.close(descriptor)
            self._callbacks.clear()
        self._poll.close()
        self._inotify.close()
        os.close(self._wake)

    def _run(self) -> None:
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor == self._wake:
                    return
                if descriptor == self._inotify.fileno():
                    self._report_exits()
                    continue
                with self._lock:
                    self._poll.unregister(descriptor)
                    call = self._callbacks.pop(descriptor)
                self._workers.submit(_guarded, call)

    def _report_exits(self) -> None:
        records = self._inotify.drain()
        offset = 0
        while offset < len(records):
            *_, length = _EVENT.unpack_from(records, offset)
            offset += _EVENT.size
            name = records[offset : offset + length].rstrip(b"\0").decode("ascii", "replace")
            offset += length
            if ID_PATTERN.fullmatch(name) and (on_exit := self._on_exit):
                self._workers.submit(_guarded, partial(on_exit, ContainerId(name)))


def _guarded(call: Callable[[], None]) -> None:
    """Run a callback; what it cannot handle goes to the log and not into a lost future."""
    try:
        call()
    except Exception:  # noqa: BLE001 - the task supervisor of these threads
        _log.exception("handling the end of a process failed")
