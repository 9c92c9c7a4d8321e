"""``--env``, ``--label`` and their files: names and values."""

import os
from collections.abc import Callable, Sequence

from pyd_host.cli.container.option_errors import bad_argument
from pyd_host.cli.errors import CommandError

_LINE_MAX = 1 << 16


def read_environment(files: Sequence[str], words: Sequence[str]) -> list[str] | None:
    """Return the variables for the request, files first; a bare NAME is taken from here."""
    found: list[str] = []
    for path in files:
        found.extend(_read_lines(path, os.environ.get))
    for word in words:
        name, equals, _ = word.partition("=")
        if not name:
            raise bad_argument("-e, --env", word, f"invalid environment variable: {word}")
        value = os.environ.get(name)
        found.append(word if equals or value is None else f"{name}={value}")
    return found or None


def read_labels(files: Sequence[str], words: Sequence[str]) -> dict[str, str]:
    """Return labels by name, files first."""
    lines: list[str] = []
    for path in files:
        lines.extend(_read_lines(path, lambda _name: None))
    for word in words:
        if not word.partition("=")[0]:
            raise bad_argument("-l, --label", word, f"invalid label '{word}': empty name")
        lines.append(word)
    return mapping(lines)


def mapping(words: Sequence[str]) -> dict[str, str]:
    """Split each NAME=VALUE; a bare NAME has an empty value."""
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def _read_lines(path: str, look_up: Callable[[str], str | None]) -> list[str]:
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().removeprefix("\ufeff").splitlines()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CommandError(f"open {path}: {reason}", status=125) from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{path}: invalid utf8 bytes", status=125) from error
    found = []
    for line in lines:
        text = line.lstrip()
        if not text or text.startswith("#"):
            continue
        name, equals, _ = text.partition("=")
        if not name or name != name.rstrip() or " " in name or "\t" in name:
            what = "no variable name on line" if not name else "contains whitespaces"
            shown = f"{what} '{line}'" if not name else f"variable '{name}' {what}"
            raise CommandError(f"invalid env file ({path}): {shown}", status=125)
        if equals:
            found.append(text)
        elif (value := look_up(name)) is not None:
            found.append(f"{name}={value}")
    return found
