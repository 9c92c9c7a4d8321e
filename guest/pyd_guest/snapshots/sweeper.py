"""Directories on their way out: taken away by one rename, emptied later by one quiet thread.

``temp/`` holds what is being made and what is being removed; the next start empties it.
"""

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread

from pyd_api.errors import PydError
from pyd_guest.snapshots.trees import remove_tree


class Sweeper:
    """The temporary directory of one snapshot store."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(mode=0o700, exist_ok=True)
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._lock = Lock()

    def new(self) -> Path:
        """Make an empty directory; the caller renames it into place or discards it."""
        path = self._root / secrets.token_hex(8)
        path.mkdir(mode=0o700)
        return path

    def discard(self, path: Path) -> bool:
        """Take ``path`` away at once and remove it in the background; False if it is not there."""
        name = "gone-" + secrets.token_hex(8)
        try:
            path.rename(self._root / name)
        except FileNotFoundError:
            return False
        self.later(partial(self._remove, name))
        return True

    def recover(self) -> None:
        """Begin to remove what an earlier daemon left (at start only)."""
        for path in self._root.iterdir():
            self.later(partial(self._remove, path.name))

    def later(self, call: Callable[[], None]) -> None:
        """Do something in the background, after what was asked for before."""
        with self._lock:
            if self._thread is None:
                self._thread = Thread(target=self._run, name="snapshot-sweeper", daemon=True)
                self._thread.start()
            self._queue.put(call)

    def close(self) -> None:
        """Finish everything that was asked for and end the thread."""
        with self._lock:
            thread = self._thread
            if thread is not None:
                self._queue.put(None)
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while not self._is_over(call := self._queue.get()):
            if call is None:
                continue
            # What is busy or broken stays for the next start, which tries again.
            with suppress(OSError, PydError):
                call()

    def _is_over(self, call: Callable[[], None] | None) -> bool:
        """Tell whether the thread ends: asked to, and nothing was added meanwhile."""
        if call is not None:
            return False
        with self._lock:
            if not self._queue.empty():
                self._queue.put(None)  # come back to it once those are done
                return False
            self._thread = None
            return True

    def _remove(self, name: str) -> None:
        fd = os.open(self._root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            remove_tree(fd, name)
        finally:
            os.close(fd)
