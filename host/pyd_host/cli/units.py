"""Sizes, durations and dates in the words of Docker's tables."""

_SIZES = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")


def human_size(size_bytes: float, digits: int = 4) -> str:
    """Return a size in powers of 1000 with ``digits`` significant digits."""
    step = 0
    while size_bytes >= 1000 and step < len(_SIZES) - 1:
        size_bytes /= 1000
        step += 1
    return f"{size_bytes:.{digits}g}{_SIZES[step]}"


def binary_size(size_bytes: float) -> str:
    """Return a size in powers of 1024, as ``info`` shows memory."""
    step = 0
    while size_bytes >= 1024 and step < len(_SIZES) - 1:
        size_bytes /= 1024
        step += 1
    return f"{size_bytes:.4g}" + ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")[step]


def human_duration(seconds: float) -> str:
    """Return how long, in one unit, as ``ps`` says it."""
    whole = int(seconds)
    hours = int(seconds / 3600 + 0.5)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    if whole < 120:
        return "About a minute"
    if whole < 3600:
        return f"{whole // 60} minutes"
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{int(seconds / 3600) // 24 // 365} years"


def local_time(seconds: float) -> str:
    """Return a time stamp in the local zone, as ``{{.CreatedAt}}`` has it."""
    from time import localtime, strftime

    return strftime("%Y-%m-%d %H:%M:%S %z %Z", localtime(seconds))


def ellipsis(text: str, width: int) -> str:
    """Cut ``text`` to ``width`` characters, the last of them a mark that something is missing."""
    if len(text) <= width:
        return text
    return text[: width - 1] + "…"


def quote(text: str) -> str:
    """Return ``text`` as a Go string literal."""
    out = ['"']
    for char in text:
        if char in '"\\':
            out.append("\\" + char)
        elif char in _ESCAPES:
            out.append(_ESCAPES[char])
        elif char.isprintable():
            out.append(char)
        elif char < "\x80":
            out.append(f"\\x{ord(char):02x}")
        elif char < "\U00010000":
            out.append(f"\\u{ord(char):04x}")
        else:
            out.append(f"\\U{ord(char):08x}")
    out.append('"')
    return "".join(out)


_ESCAPES = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}
