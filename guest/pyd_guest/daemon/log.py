"""The daemon's log: one record a line on standard error.

::

    time="2026-11-24T13:17:33.123456Z" level=info source=engine.start msg="..."

Control characters are escaped, so that names from outside cannot forge lines. A traceback follows
its record, indented.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final, TextIO

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
}
_WORDS: Final = {number: word for word, number in _LEVELS.items()}


class LineFormatter(logging.Formatter):
    """Writes a record as ``key=value`` pairs."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the traceback if there is one."""
        moment = datetime.fromtimestamp(record.created, UTC)
        level = _WORDS.get(record.levelno, record.levelname.lower())
        source = record.name.removeprefix("pyd_guest.")
        line = (
            f'time="{moment:%Y-%m-%dT%H:%M:%S.%f}Z" level={level} source={source} '
            f"msg={json.dumps(record.getMessage(), ensure_ascii=False)}"
        )
        line = "".join(char if char.isprintable() else _escaped(char) for char in line)
        if record.exc_info and record.exc_info[0] is not None:
            trace = self.formatException(record.exc_info)
            line += "".join(f"\n    {part}" for part in trace.splitlines())
        return line


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def configure(level: str, stream: TextIO = sys.stderr) -> None:
    """Send the records of all pyd modules from ``level`` on to ``stream``; call it once."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for package in ("pyd_guest", "pyd_api"):
        logging.getLogger(package).setLevel(_LEVELS[level])
    # The API layer reports what goes wrong in a request; uvicorn would report it again.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL + 1)
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)
