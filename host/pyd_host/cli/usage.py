"""Help texts in the layout that Docker's users know: usage, aliases, options in two columns."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence

from pyd_host.cli.command import Command
from pyd_host.cli.commands import COMMON, NEVER, NOT_YET, NOUNS, OTHERS, Entry
from pyd_host.cli.flags import Flag

_WIDTH = 80


def command_help(name: str, summary: str, command: Command) -> str:
    """Return ``pyd COMMAND --help``."""
    out = f"Usage:  {name} {command.usage}\n\n{summary}\n"
    if command.aliases:
        names = ", ".join(f"pyd {alias}" for alias in command.aliases)
        out += f"\nAliases:\n  {names}\n"
    if shown := [flag for flag in command.flags if not flag.hidden]:
        out += "\nOptions:\n" + options(shown)
    return out


def options(flags: Iterable[Flag]) -> str:
    """Return the flags in two columns, wrapped to 80."""
    rows = []
    for flag in sorted(flags, key=lambda flag: flag.name):
        word = "" if flag.kind == "bool" else f" {_word(flag)}"
        rows.append((_left(flag, word), flag.help + _default(flag)))
    width = max(len(left) for left, _ in rows) + 3
    out = ""
    for left, text in rows:
        lines = textwrap.wrap(text, max(_WIDTH - width, 30)) or [""]
        out += left.ljust(width) + lines[0] + "\n"
        out += "".join(" " * width + line + "\n" for line in lines[1:])
    return out


def _left(flag: Flag, word: str) -> str:
    short = f"-{flag.short}, " if flag.short else "    "
    return f"  {short}--{flag.name}{word}"


def _word(flag: Flag) -> str:
    return "bytes" if flag.type_word == "swap" else flag.type_word


def _default(flag: Flag) -> str:
    if not flag.default:
        return ""
    if isinstance(flag.default, str):
        return f' (default "{flag.default}")'
    return f" (default {str(flag.default).lower()})"


def _commands(title: str, lines: Mapping[str, str], width: int = 12) -> str:
    width = max(width, *(len(name) + 2 for name in lines))
    return f"\n{title}:\n" + "".join(f"  {n.ljust(width)}{lines[n]}\n" for n in lines)


def _summaries(entries: Mapping[str, Entry]) -> dict[str, str]:
    return {name: entry[2] for name, entry in entries.items()}


def overview(flags: Sequence[Flag]) -> str:
    """Return what ``pyd`` alone prints."""
    return (
        "Usage:  pyd [OPTIONS] COMMAND\n\n"
        "A container engine, and the command to drive it\n"
        + _commands("Common Commands", _summaries(COMMON))
        + _commands("Management Commands", {name: noun[0] for name, noun in NOUNS.items()})
        + _commands("Commands", _summaries(OTHERS))
        + "\nGlobal Options:\n"
        + options(flag for flag in flags if not flag.hidden)
        + "\nRun 'pyd COMMAND --help' for more information on a command.\n"
    )


def noun_overview(noun: str) -> str:
    """Return what ``pyd NOUN`` prints."""
    summary, entries = NOUNS[noun]
    return (
        f"Usage:  pyd {noun} COMMAND\n\n{summary}\n"
        + _commands("Commands", _summaries(entries))
        + f"\nRun 'pyd {noun} COMMAND --help' for more information on a command.\n"
    )


def unknown(noun: str, word: str) -> str:
    """Return the words for a command that does not exist, with the nearest one that does."""
    import difflib

    prefix = f"pyd {noun}" if noun else "pyd"
    if not noun and word in NOT_YET:
        return (
            f"pyd: '{word}' is not supported yet\n\n"
            "Run 'pyd --help' for the commands that are; the docker command can drive the same "
            "engine through DOCKER_HOST\n"
        )
    if not noun and word in NEVER:
        return f"pyd: '{word}' is not part of pyd\n\nRun 'pyd --help' for more information\n"
    known = NOUNS[noun][1] if noun else {**COMMON, **NOUNS, **OTHERS}
    out = f"pyd: unknown command: {prefix} {word}\n\n"
    if noun:
        out += f"Usage:  {prefix}\n\n"
    if near := difflib.get_close_matches(word, known, n=2):
        out += "Did you mean " + " or ".join(f"'{prefix} {name}'" for name in near) + "?\n\n"
    return out + f"Run '{prefix} --help' for more information\n"
