"""Do the same to every name on a command line; one failure does not spare the others."""

import sys
from collections.abc import Callable, Sequence


def each(names: Sequence[str], action: Callable[[str], str]) -> int:
    """Print what ``action`` returns for each name, its error otherwise; 1 if any failed."""
    from pyd_api.errors import PydError

    status = 0
    for name in names:
        try:
            text = action(name)
        except PydError as error:
            if error.hint:  # no engine: the next name will fare no better
                raise
            sys.stdout.flush()
            sys.stderr.write(f"{error.message}\n")
            status = 1
        else:
            sys.stdout.write(f"{text}\n")
    return status
