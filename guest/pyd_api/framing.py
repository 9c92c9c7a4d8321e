"""Multiplexed stream framing: stdout and stderr of a container over one connection.

Docker Engine API, "Stream format"::

    byte 0      stream: 0 stdin, 1 stdout, 2 stderr, 3 an error of the engine
    bytes 1-3   zero
    bytes 4-7   length of the payload, big endian
    payload     raw bytes, not lines

With a terminal there is one stream and no frame.
"""

import struct
from collections.abc import Iterator

from pyd_api.errors import InvalidRequestError

STDIN, STDOUT, STDERR, SYSTEM_ERROR = range(4)

_HEADER = struct.Struct(">BxxxI")
HEADER_BYTES = _HEADER.size
PAYLOAD_MAX_BYTES = 16 * 1024 * 1024  # far above what engines send; bounds a hostile header


def frame(stream: int, payload: bytes) -> bytes:
    """Return one frame with its header."""
    return _HEADER.pack(stream, len(payload)) + payload


class Deframer:
    """Takes a byte stream apart into (stream, payload); frames may arrive cut anywhere."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the frames that ``data`` completes.

        Raises InvalidRequestError at a header that no engine writes.
        """
        self._buffer += data
        while len(self._buffer) >= HEADER_BYTES:
            stream, length = _HEADER.unpack_from(self._buffer)
            if stream > SYSTEM_ERROR or length > PAYLOAD_MAX_BYTES:
                raise InvalidRequestError(
                    f"broken stream: frame of stream {stream} with {length} bytes"
                )
            end = HEADER_BYTES + length
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[HEADER_BYTES:end])
            del self._buffer[:end]
            yield stream, payload

    @property
    def partial(self) -> bool:
        """Whether the stream would end inside a frame."""
        return bool(self._buffer)
