"""A program on a pseudo-terminal, as a person at a keyboard drives it."""

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

CTRL_C, CTRL_D, CTRL_P, CTRL_Q, CTRL_Z = b"\x03", b"\x04", b"\x10", b"\x11", b"\x1a"


class Terminal:
    """The keyboard's and the screen's end of a program's terminal."""

    def __init__(self, master: int, process: "subprocess.Popen[bytes]") -> None:
        self._master = master
        self.process = process
        self.seen = b""
        self._from = 0

    def send(self, keys: bytes) -> None:
        """Type ``keys``."""
        os.write(self._master, keys)

    def expect(self, pattern: str, timeout_s: float = 20.0) -> re.Match[bytes]:
        """Read until ``pattern`` shows up after what was matched before.

        Raises AssertionError with all that was seen, at the deadline or at the end of the output.
        """
        deadline = time.monotonic() + timeout_s
        rule = re.compile(pattern.encode())
        while True:
            if match := rule.search(self.seen, self._from):
                self._from = match.end()
                return match
            if not self._read(deadline):
                raise AssertionError(f"{pattern!r} not seen in {self.seen!r}")

    def rest(self, timeout_s: float = 20.0) -> bytes:
        """Read to the end of the output and return what was not matched yet."""
        deadline = time.monotonic() + timeout_s
        while self._read(deadline):
            pass
        return self.seen[self._from :]

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # EIO: the last program has closed the terminal
            return False
        self.seen += data
        return bool(data)

    def resize(self, rows: int, columns: int) -> None:
        """Change the size of the window."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def wait(self, timeout_s: float = 20.0) -> int:
        """Wait for the program's end and return its exit status."""
        return self.process.wait(timeout_s)


@contextlib.contextmanager
def on_terminal(
    argv: Sequence[str | Path],
    environment: Mapping[str, str],
    *,
    rows: int = 24,
    columns: int = 80,
) -> Iterator[Terminal]:
    """Run ``argv`` on a terminal of its own; it is ended when the block is left."""
    master, slave = pty.openpty()
    try:
        size = struct.pack("4H", rows, columns, 0, 0)
        fcntl.ioctl(master, termios.TIOCSWINSZ, size)
        # setsid --ctty: without a controlling terminal there is no SIGWINCH and no ^C.
        process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *argv],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
        )
    finally:
        os.close(slave)
    try:
        yield Terminal(master, process)
    finally:
        os.close(master)  # hangs the program up
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
