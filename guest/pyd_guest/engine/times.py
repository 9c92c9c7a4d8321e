"""Points in time as whole nanoseconds since 1970 (UTC), and as the API writes them (RFC 3339)."""

import time
from datetime import UTC, datetime
from typing import Final

NEVER: Final = "0001-01-01T00:00:00Z"


def now_ns() -> int:
    """Return the present."""
    return time.time_ns()


def rfc3339(moment_ns: int) -> str:
    """Return ``2026-11-24T13:17:33.123456789Z``; trailing zeros go, as Go prints them."""
    seconds, fraction = divmod(moment_ns, 10**9)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    digits = f".{fraction:09d}".rstrip("0") if fraction else ""
    return f"{text}{digits}Z"
