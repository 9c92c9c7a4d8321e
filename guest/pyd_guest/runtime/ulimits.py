"""Names and ranges of resource limits (getrlimit(2))."""

from pyd_api.errors import InvalidRequestError
from pyd_guest.runtime.resources import Rlimit

# fmt: off
NAMES = frozenset({
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc",
    "rss", "rtprio", "rttime", "sigpending", "stack",
})
# fmt: on


def check(name: str, soft: int, hard: int) -> Rlimit:
    """Return the limit; raise InvalidRequestError for an unknown name or soft above hard."""
    lower = name.lower()
    if lower not in NAMES:
        raise InvalidRequestError(f"invalid ulimit type: {name}")
    if soft < -1 or hard < -1:
        raise InvalidRequestError(f"invalid ulimit {lower}: {soft}:{hard}: negative limit")
    if hard != -1 and (soft == -1 or soft > hard):
        raise InvalidRequestError(
            f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
        )
    return Rlimit(lower, soft, hard)
