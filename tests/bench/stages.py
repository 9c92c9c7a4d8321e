"""Where the time of one run goes inside pyd: read from the daemon's debug log.

The engine writes ``stage container=<id> name=<stage> ms=<float>`` after each step of a start.
"""

import re
from statistics import median

_STAGE = re.compile(r"stage container=(\w+) name=(\S+) ms=([\d.]+)")


def read(log: str) -> dict[str, tuple[float, int]]:
    """Return each stage's median in ms and how often it was seen, in the order of the first run."""
    found: dict[str, list[float]] = {}
    for _, name, value in _STAGE.findall(log):
        found.setdefault(name, []).append(float(value))
    return {name: (median(values), len(values)) for name, values in found.items()}
