"""``--since`` and ``--until``: a time stamp, or how long ago."""

import time

from pyd_host.cli.errors import PlainError
from pyd_host.cli.flags import parse_duration


def parse_time(text: str, complaint: str = "") -> str | None:
    """Return seconds since 1970 with fractions for the query; None for an empty text.

    ``complaint`` begins the message about a text that is neither.
    """
    if not text:
        return None
    if text.replace(".", "", 1).isdigit() and "-" not in text:
        return text
    try:
        ago_ns = parse_duration(text)
    except ValueError:
        return _stamp(text, complaint)
    now = time.time_ns() - ago_ns
    return f"{now // 10**9}.{now % 10**9:09d}"


def _stamp(text: str, complaint: str) -> str:
    from datetime import datetime

    clock, dot, rest = text.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))] if dot else ""
    try:
        when = datetime.fromisoformat(clock + rest[len(digits) :])
    except ValueError:
        message = f'{complaint}failed to parse value as time or duration: "{text}"'
        raise PlainError(message) from None
    return f"{int(when.timestamp())}.{digits[:9].ljust(9, '0')}"  # no zone means the local one
