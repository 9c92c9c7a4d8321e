r"""Detach keys: a sequence typed at the terminal that ends the session and not the process.

Written as ``ctrl-p,ctrl-q`` or ``a,b``; a key is one character or ``ctrl-`` and one of ``a-z``,
``@ [ \ ] ^ _`` (Docker Engine API, ``detachKeys``).
"""

DEFAULT_KEYS = "ctrl-p,ctrl-q"
_CONTROL = {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}


def parse_keys(text: str) -> bytes:
    """Return the bytes of a sequence. Raises ValueError that names the key."""
    found = bytearray()
    for key in text.split(","):
        name = key.removeprefix("ctrl-")
        if len(key) == 1 and key.isascii():
            found.append(ord(key))
        elif name != key and len(name) == 1 and "a" <= name <= "z":
            found.append(ord(name) - ord("a") + 1)
        elif name != key and name in _CONTROL:
            found.append(_CONTROL[name])
        else:
            raise ValueError(f"Unknown character: '{key}'")
    return bytes(found)


class DetachFilter:
    """Watches input for the sequence; what may be its beginning is held back until it is not."""

    __slots__ = ("_held", "_keys", "detached")

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = 0
        self.detached = False

    def feed(self, data: bytes) -> bytes:
        """Return what goes to the container; sets ``detached`` when the sequence is complete."""
        out = bytearray()
        for byte in data:
            if byte != self._keys[self._held]:
                out += self._keys[: self._held]
                self._held = 0
            if byte == self._keys[self._held]:
                self._held += 1
                if self._held == len(self._keys):
                    self.detached = True
                    break
            else:
                out.append(byte)
        return bytes(out)
