"""Signal names and numbers as clients write them: ``TERM``, ``SIGTERM``, ``15``, ``SIGRTMIN+3``.

Numbers: signal(7); the real-time range is the kernel's without the two that C libraries keep.
"""

import re
import signal

from pyd_api.errors import InvalidRequestError

_RT_MIN, _RT_MAX = 34, 64
_RT = re.compile(r"RT(MIN|MAX)([+-][0-9]{1,2})?")
_NAMES = {
    name.removeprefix("SIG"): int(number)
    for name, number in signal.Signals.__members__.items()
    if not name.startswith("SIGRT")
}


def parse(text: str) -> int:
    """Return the number. Raises InvalidRequestError with dockerd's words for anything else."""
    if re.fullmatch(r"-?[0-9]{1,9}", text):
        number = int(text)
        if 0 < number <= _RT_MAX:
            return number
        if number == 0:
            raise InvalidRequestError(f"invalid signal: {text}")
        raise InvalidRequestError(f"the linux daemon does not support signal {text}")
    name = text.upper().removeprefix("SIG")
    if name in _NAMES:
        return _NAMES[name]
    if found := _RT.fullmatch(name):
        base = _RT_MIN if found[1] == "MIN" else _RT_MAX
        number = base + int(found[2] or 0)
        if _RT_MIN <= number <= _RT_MAX:
            return number
    raise InvalidRequestError(f"invalid signal: {text[:100]}")


def name(number: int) -> str:
    """Return the name with ``SIG``, or the number where there is none."""
    for known, value in _NAMES.items():
        if value == number:
            return f"SIG{known}"
    if _RT_MIN <= number <= _RT_MAX:
        return f"SIGRTMIN+{number - _RT_MIN}" if number > _RT_MIN else "SIGRTMIN"
    return str(number)
