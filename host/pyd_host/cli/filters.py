"""``--filter name=value`` as the engine's JSON map of lists."""

from collections.abc import Sequence


def parse_filters(words: Sequence[str]) -> dict[str, list[str]]:
    """Gather repeated filters by name; an empty word is no filter."""
    found: dict[str, list[str]] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if equals:
            found.setdefault(name.strip().lower(), []).append(value.strip())
    return found
