"""The C library, loaded once, with errno turned into OSError.

The only place that opens libc; the other modules of this package declare the calls they use.
"""

import ctypes
import os
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)


def check(result: int, *names: str | Path) -> int:
    """Return ``result``, or raise OSError with errno and up to two names when it is negative."""
    if result >= 0:
        return result
    number = ctypes.get_errno()
    first, second = (*map(str, names), None, None)[:2]
    raise OSError(number, os.strerror(number), first, None, second)
