"""Worker processes of our own: a Python module that takes one JSON line and answers in lines.

``subprocess`` starts them by vfork and exec, never by a fork of the threaded daemon. A worker ends
when its standard input does, so none outlives a daemon that was killed.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import IO

_KEPT_ENVIRONMENT = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "TMPDIR")
_END_TIMEOUT_S = 5.0


def _present(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise WorkerLostError("no pipe to the worker")
    return pipe


class WorkerLostError(Exception):
    """The worker ended, or said something that is not an answer."""


class Worker:
    """One running worker; not shared between threads."""

    def __init__(self, module: str) -> None:
        environment = {k: v for k in _KEPT_ENVIRONMENT if (v := os.environ.get(k)) is not None}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-s", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            cwd="/",
        )
        self._stdin = _present(self._process.stdin)
        self._stdout = _present(self._process.stdout)
        self.pid = self._process.pid

    def send(self, message: Mapping[str, object]) -> None:
        """Give it one job."""
        try:
            self._stdin.write(json.dumps(message).encode() + b"\n")
            self._stdin.flush()
        except BrokenPipeError as error:
            raise WorkerLostError(f"worker {self.pid} is gone") from error

    def receive(self) -> dict[str, object]:
        """Wait for its next line; raise WorkerLostError when there is none."""
        line = self._stdout.readline()
        try:
            answer = json.loads(line)
        except ValueError as error:
            raise WorkerLostError(f"worker {self.pid} ended in the middle of a job") from error
        if not isinstance(answer, dict):
            raise WorkerLostError(f"worker {self.pid} gave no answer")
        return answer

    def kill(self) -> None:
        """End it whatever it does; from any thread. It is reaped by `close`."""
        self._process.kill()

    def close(self, *, kill: bool = False) -> None:
        """End it and reap it; ``kill`` does not wait for the job it has."""
        process = self._process
        if kill:
            process.kill()
        for pipe in (self._stdin, self._stdout):
            try:
                pipe.close()
            except BrokenPipeError:
                continue  # an unsent job of a worker that is gone already
        try:
            process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
