"""The body of an upload: a file or standard input, piece by piece."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pyd_host.cli.errors import PlainError

_PIECE = 1 << 18


@contextmanager
def pieces_of(path: str) -> Iterator[Iterator[bytes]]:
    """Yield the pieces of a file, of standard input for ``-``; closed on return."""
    if path == "-":
        descriptor = sys.stdin.fileno()
        yield iter(lambda: os.read(descriptor, _PIECE), b"")
        return
    try:
        file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed below; the error is for here
    except OSError as error:
        raise PlainError(f"open {path}: {(error.strerror or str(error)).lower()}") from error
    with file:
        yield iter(lambda: file.read(_PIECE), b"")
