"""Write a container's output to this process's own streams, as it comes."""

import os
from collections.abc import Callable, Mapping

from pyd_api.framing import STDERR, STDOUT, SYSTEM_ERROR, Deframer

RAW_STREAM = "application/vnd.docker.raw-stream"
MULTIPLEXED_STREAM = "application/vnd.docker.multiplexed-stream"


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte; raises BrokenPipeError when nobody reads."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def raw_output(data: bytes) -> None:
    """Write a terminal's output."""
    write_all(1, data)


class SplitOutput:
    """Takes frames apart: standard output to 1, standard error to 2."""

    __slots__ = ("_deframer",)

    def __init__(self) -> None:
        self._deframer = Deframer()

    def __call__(self, data: bytes) -> None:
        """Write what the frames in ``data`` hold; raises InternalError for the engine's own."""
        for stream, payload in self._deframer.feed(data):
            if stream == SYSTEM_ERROR:
                from pyd_api.errors import InternalError

                text = payload.decode("utf-8", "replace").strip()
                raise InternalError(f"error from daemon in stream: {text}")
            if stream in {STDOUT, STDERR}:
                write_all(stream, payload)


def output_for(headers: Mapping[str, str], *, tty: bool) -> Callable[[bytes], None]:
    """Choose by what the engine says it sends, else by whether there is a terminal."""
    kind = headers.get("content-type", "")
    if kind == MULTIPLEXED_STREAM:
        return SplitOutput()
    return raw_output if tty else SplitOutput()
