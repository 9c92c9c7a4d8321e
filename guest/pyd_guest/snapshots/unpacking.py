"""Unpack the missing layers of an image side by side, in worker processes.

A `Batch` starts a worker when a layer has to wait for one, up to one per processor and at most
four. Layers are independent of their parents, so they may come in any order.
"""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

from pyd_api.digest import ChainID, DiffID, Digest, chain_id
from pyd_api.errors import InternalError, InvalidRequestError, PydError
from pyd_guest.linux.child import Worker, WorkerLostError
from pyd_guest.snapshots.layers import Layer, LayerStore, Staged
from pyd_guest.snapshots.sweeper import Sweeper

_MODULE = "pyd_guest.snapshots.unpack"
_WORKERS_MAX = 4
_MIB = 1 << 20


class Batch:
    """The layers of one pull, load or import; leaving the context discards what was not placed."""

    def __init__(self, store: LayerStore, sweeper: Sweeper) -> None:
        self._store = store
        self._sweeper = sweeper
        self._reserve = reserve_bytes(store.root)
        self._paths: list[Path] = []
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()
        self._lock = Lock()
        self._closed = False
        workers = min(os.cpu_count() or 1, _WORKERS_MAX)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="unpack")

    def submit(
        self,
        blob: Path,
        *,
        digest: Digest | None,
        diff_id: DiffID | None,
        parent: ChainID | None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> "Future[Staged]":
        """Queue one layer; ``progress`` hears how many bytes of the blob were read.

        Without a ``diff_id`` to verify, the layer is what its content says.
        """

        def run() -> Staged:
            path = self._sweeper.new()
            self._paths.append(path)
            (path / "fs").mkdir(mode=0o755)
            found, size = self._unpack(blob, path / "fs", diff_id, progress)
            layer = Layer(chain_id(parent, found), parent, found, size, digest)
            return self._store.stage(layer, path)

        return self._pool.submit(run)

    def _unpack(
        self, blob: Path, target: Path, diff_id: DiffID | None, progress: Callable[[int], None]
    ) -> tuple[DiffID, int]:
        what = f"layer {diff_id}" if diff_id else "archive"
        job: dict[str, object] = {
            "blob": str(blob),
            "target": str(target),
            "diff_id": diff_id,
            "reserve": self._reserve,
        }
        worker = self._take()
        try:
            worker.send(job)
            while isinstance(read := (answer := worker.receive()).get("read"), int):
                progress(read)
        except WorkerLostError as error:
            self._give_back(worker, lost=True)
            raise InternalError(f"unpacking {what} failed: {error}") from error
        except BaseException:
            self._give_back(worker, lost=True)
            raise
        self._give_back(worker)
        if "error" in answer:
            message = f"failed to register {what}: {answer['error']}"
            raise _fault(answer)(message)
        return DiffID(str(answer["diff_id"])), int(str(answer["size"]))

    def _take(self) -> Worker:
        with self._lock:
            if self._closed:
                raise InternalError("unpacking was given up")
            worker = self._idle.pop() if self._idle else Worker(_MODULE)
            self._busy.add(worker)
            return worker

    def _give_back(self, worker: Worker, *, lost: bool = False) -> None:
        with self._lock:
            self._busy.discard(worker)
            if not lost:
                self._idle.append(worker)
        if lost:
            worker.close(kill=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._closed = True
            busy = list(self._busy)
        for worker in busy:
            worker.kill()  # its thread sees the end of the pipe and reaps it
        self._pool.shutdown(cancel_futures=True)
        for worker in self._idle:
            worker.close()
        for path in self._paths:
            self._sweeper.discard(path)


def _fault(answer: dict[str, object]) -> type[PydError]:
    return InvalidRequestError if answer.get("fault") == "data" else InternalError


def reserve_bytes(path: Path) -> int:
    """Return what must stay free where ``path`` lies: 5 % of it, between 16 MiB and 1 GiB."""
    state = os.statvfs(path)
    return max(16 * _MIB, min(1024 * _MIB, state.f_blocks * state.f_frsize // 20))
