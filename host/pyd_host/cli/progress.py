"""Progress of pull, load and import (Docker's jsonmessage), shown as it comes.

On a terminal every layer has a line of its own that is redrawn; elsewhere a change of state is
one plain line and progress is not shown.
"""

import os
from collections.abc import Iterable, Mapping
from typing import TextIO

from pyd_api.errors import InternalError, from_status
from pyd_host.cli.units import human_size

_BAR_WIDTH = 50
_NARROW = 110


class Display:
    """Prints progress messages; raises the error that the stream ends with."""

    __slots__ = ("_fancy", "_out", "_rows", "_width")

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._fancy = out.isatty()
        self._width = _width(out) if self._fancy else 0
        self._rows: dict[str, int] = {}

    def show(self, stream: Iterable[Mapping[str, object]]) -> None:
        """Print every message. Raises PydError."""
        for message in stream:
            check(message)
            self._one(message)
            self._out.flush()

    def _one(self, message: Mapping[str, object]) -> None:
        if "stream" in message:
            self._out.write(str(message["stream"]))
            return
        if "status" not in message:
            return
        name, status = str(message.get("id", "")), str(message["status"])
        bar = self._bar(message)
        text = f"{name}: {status}" if name else status
        line = f"{text} {bar}" if bar else text
        if not self._fancy:
            if not bar:
                self._out.write(f"{text}\n")
        elif not name:
            self._rows.clear()  # the lines above are done with
            self._out.write(f"{text}\n")
        elif name in self._rows:
            up = len(self._rows) - self._rows[name]
            self._out.write(f"\x1b[{up}A\x1b[2K\r{line}\r\x1b[{up}B")
        else:
            self._rows[name] = len(self._rows)
            self._out.write(f"{line}\n")

    def _bar(self, message: Mapping[str, object]) -> str:
        detail = message.get("progressDetail")
        if not isinstance(detail, dict):
            return ""
        current, total = detail.get("current", 0), detail.get("total", 0)
        if not isinstance(current, int) or not isinstance(total, int) or current <= 0:
            return ""
        if total <= 0:
            return f"{human_size(current):>8}"
        numbers = f"{human_size(current):>8}/{human_size(total)}"
        if self._width <= _NARROW:
            return numbers.strip()
        done = min(current * _BAR_WIDTH // total, _BAR_WIDTH)
        return f"[{'=' * done + '>':<{_BAR_WIDTH}.{_BAR_WIDTH}}] {numbers}"


def check(message: Mapping[str, object]) -> None:
    """Raise the PydError that a message carries, if it does."""
    detail = message.get("errorDetail")
    if isinstance(detail, dict) and detail.get("message"):
        code = detail.get("code")
        words = str(detail["message"])
        raise from_status(code, words) if isinstance(code, int) and code else InternalError(words)
    if message.get("error"):
        raise InternalError(str(message["error"]))


def drain(stream: Iterable[Mapping[str, object]]) -> None:
    """Read a stream to its end without a word. Raises PydError."""
    for message in stream:
        check(message)


def _width(out: TextIO) -> int:
    try:
        return os.get_terminal_size(out.fileno()).columns
    except OSError:
        return 80
