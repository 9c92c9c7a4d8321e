"""Errors of ``run`` and ``create``: whose fault it was decides the exit status."""

from collections.abc import Iterator
from contextlib import contextmanager

from pyd_api.errors import PydError
from pyd_host.cli.errors import CommandError, PlainError

_ENGINE, _NOT_EXECUTABLE, _NOT_FOUND = 125, 126, 127
_MISSING = (
    "executable file not found",
    "no such file or directory",
    "system cannot find the file specified",
)
_REFUSED = ("permission denied", "is a directory", "exec format error")


@contextmanager
def as_run_failure(name: str) -> Iterator[None]:
    """Print a failure as ``pyd: …`` with where to look next, and leave with 125."""
    try:
        yield
    except PydError as error:
        hint = error.hint or f"Run '{name} --help' for more information"
        raise CommandError(error.message, status=_ENGINE, hint=hint) from error
    except PlainError:
        raise
    except CommandError as error:
        error.hint = error.hint or f"Run '{name} --help' for more information"
        raise


def start_status(message: str) -> int:
    """Return 127 when the program does not exist, 126 when it cannot run, 125 otherwise."""
    text = message.lower()
    if any(words in text for words in _MISSING):
        return _NOT_FOUND
    return _NOT_EXECUTABLE if any(words in text for words in _REFUSED) else _ENGINE
