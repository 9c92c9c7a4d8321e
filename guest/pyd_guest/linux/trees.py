"""Directory trees of the engine's own."""

import shutil
from contextlib import suppress
from pathlib import Path


def remove_tree(path: Path) -> None:
    """Remove a directory with all it holds; one that is not there is fine."""
    with suppress(FileNotFoundError):
        shutil.rmtree(path)
