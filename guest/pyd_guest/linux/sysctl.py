"""Kernel settings by their path below /proc/sys (proc(5)).

Paths, not dotted names: an interface's name may hold a dot. Settings below ``net`` are those of
the calling thread's network namespace.
"""

from pathlib import Path

_ROOT = Path("/proc/sys")


def read(path: str) -> str:
    """Return a setting without its newline; FileNotFoundError when the kernel lacks it."""
    return (_ROOT / path).read_text(encoding="ascii").rstrip("\n")


def write(path: str, value: str) -> bool:
    """Set a setting unless it has that value; tell whether it changed."""
    if read(path) == value:
        return False
    (_ROOT / path).write_text(value, encoding="ascii")
    return True
