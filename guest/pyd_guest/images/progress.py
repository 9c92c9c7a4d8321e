"""Progress messages as the docker CLI draws them ("jsonmessage" of the Docker Engine)."""

import time
from collections.abc import Mapping
from typing import Protocol

_BAR = 50
_INTERVAL_S = 0.1
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


class Progress(Protocol):
    """Where messages go; raises when nobody wants them any more."""

    def __call__(self, message: Mapping[str, object], /) -> None:
        """Send one message."""


def status(text: str, layer: str | None = None) -> dict[str, object]:
    """Make a message without a bar."""
    if layer is None:
        return {"status": text}
    return {"status": text, "progressDetail": {}, "id": layer}


def human_size(size: float) -> str:
    """Write bytes with four digits and a decimal unit, as Docker does."""
    unit = 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.4g}{_UNITS[unit]}"


class Bar:
    """One layer's moving bar, at most ten messages a second."""

    def __init__(self, send: Progress, text: str, layer: str, total: int) -> None:
        self._send = send
        self._text = text
        self._layer = layer
        self._total = total
        self._next = 0.0

    def __call__(self, current: int) -> None:
        """Tell how far it is, in bytes."""
        now = time.monotonic()
        if now < self._next and current < self._total:
            return
        self._next = now + _INTERVAL_S
        detail: dict[str, object] = {"current": current}
        drawn = f"{human_size(current):>8}"
        if 0 < self._total >= current:
            detail["total"] = self._total
            done = min(_BAR, current * _BAR // self._total)
            drawn = f"[{'=' * done}>{' ' * (_BAR - done)}] {drawn}/{human_size(self._total)}"
        self._send(
            {
                "status": self._text,
                "progressDetail": detail,
                "progress": drawn,
                "id": self._layer,
            }
        )
