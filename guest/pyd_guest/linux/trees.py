"""Directory trees of the engine's own."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any


def remove_tree(path: Path) -> None:
    """Remove a directory with all it holds; what is gone already, or goes meanwhile, is fine."""
    shutil.rmtree(path, onerror=_pass_over_missing)


def _pass_over_missing(
    _: Callable[..., Any],
    __: str,
    failure: tuple[type[BaseException], BaseException, TracebackType],
) -> None:
    """Go on when somebody else was quicker: an exec's end and its container's meet in one tree."""
    error = failure[1]
    if not isinstance(error, FileNotFoundError):
        raise error
