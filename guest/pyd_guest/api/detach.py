r"""Detach keys: the sequence that ends a terminal session and leaves the process alone.

Docker CLI reference, ``--detach-keys``: a comma-separated list of a single character or
``ctrl-`` with a letter, ``@``, ``[``, ``\\``, ``]``, ``^`` or ``_``. The default is ctrl-p,ctrl-q.
"""

from typing import Final

from pyd_api.errors import InvalidRequestError

DEFAULT: Final = b"\x10\x11"
_CTRL: Final = {f"ctrl-{chr(code | 0x60)}": code for code in range(1, 27)} | {
    "ctrl-@": 0,
    "ctrl-[": 27,
    "ctrl-\\": 28,
    "ctrl-]": 29,
    "ctrl-^": 30,
    "ctrl-_": 31,
}


def parse_keys(text: str | None) -> bytes:
    """Return the bytes of a sequence; nothing means the default.

    Raises InvalidRequestError in dockerd's words.
    """
    if not text:
        return DEFAULT
    codes = bytearray()
    for key in text.split(","):
        if key.lower() in _CTRL:
            codes.append(_CTRL[key.lower()])
        elif len(key) == 1 and ord(key) < 128:
            codes.append(ord(key))
        else:
            raise InvalidRequestError(f"Invalid detach keys ({text[:100]}) provided")
    return bytes(codes)


class Detector:
    """Finds the sequence in typed input; holds back a beginning of it until the next key."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = b""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """Return what goes to the process and whether the sequence was completed."""
        data = self._held + data
        at = data.find(self._keys)
        if at >= 0:
            self._held = b""
            return data[:at], True
        for length in range(min(len(self._keys) - 1, len(data)), 0, -1):
            if data.endswith(self._keys[:length]):
                self._held = data[-length:]
                return data[:-length], False
        self._held = b""
        return data, False
