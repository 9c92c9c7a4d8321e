"""Cut a Go template (text/template) into text and the tokens of its actions."""

import re

from pyd_host.cli.errors import PlainError

_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<string>"(?:[^"\\\n]|\\.)*")
    |(?P<raw>`[^`]*`)
    |(?P<char>'(?:[^'\\\n]|\\.)*')
    |(?P<number>[+-]?(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)(?![\w.]))
    |(?P<field>\.[^\W\d]\w*)
    |(?P<variable>\$\w*)
    |(?P<word>[^\W\d]\w*)
    |(?P<mark>:=|[|(),=.])""",
    re.VERBOSE,
)


class Token:
    """A piece of an action: its kind, its text, and its line and column for messages."""

    __slots__ = ("kind", "place", "spaced", "text")

    def __init__(self, kind: str, text: str, place: str, *, spaced: bool) -> None:
        self.kind = kind
        self.text = text
        self.place = place
        self.spaced = spaced  # white space stands before it


class Action:
    """The tokens between ``{{`` and ``}}``."""

    __slots__ = ("place", "tokens")

    def __init__(self, tokens: list[Token], place: str) -> None:
        self.tokens = tokens
        self.place = place


def refuse(name: str, place: str, message: str) -> PlainError:
    """Make the error of a template that cannot be read."""
    return PlainError(f"template: {name}:{place}: {message}")


def cut(name: str, source: str) -> list["str | Action"]:
    """Return text and actions in order, with ``{{-`` and ``-}}`` applied to the text."""
    parts: list[str | Action] = []
    position, trim_left = 0, False
    while True:
        start = source.find("{{", position)
        text = source[position:] if start < 0 else source[position:start]
        if trim_left:
            text = text.lstrip(" \t\r\n")
        if start < 0:
            if text:
                parts.append(text)
            return parts
        inner = start + 2
        if source[inner : inner + 1] == "-" and source[inner + 1 : inner + 2] in " \t\r\n":
            text = text.rstrip(" \t\r\n")
            inner += 1
        if text:
            parts.append(text)
        position, trim_left, tokens = _action(name, source, inner)
        if tokens is not None:
            parts.append(Action(tokens, _line(source, start)))


def _action(name: str, source: str, position: int) -> tuple[int, bool, list[Token] | None]:
    comment = source[position:].lstrip()
    if comment.startswith("/*"):
        end = source.find("*/", position)
        match = re.compile(r"\s*(?P<trim>-)?}}").match(source, end + 2) if end >= 0 else None
        if match is None:
            raise refuse(name, _line(source, position), "unclosed comment")
        return match.end(), match["trim"] is not None, None
    tokens: list[Token] = []
    spaced = False
    while True:
        if source.startswith("}}", position):
            return position + 2, False, tokens
        if spaced and source.startswith("-}}", position):
            return position + 3, True, tokens
        match = _TOKEN.match(source, position)
        if match is None or match.lastgroup is None:
            if position >= len(source):
                raise refuse(name, _line(source, position), "unclosed action")
            char = source[position]
            if char in "\"'`":
                kind = {'"': "quoted string", "`": "raw quoted string"}.get(char, "character")
                message = f"unterminated {kind} constant" if char == "'" else f"unterminated {kind}"
                raise refuse(name, _line(source, position), message)
            point = f"U+{ord(char):04X} {char!r}"
            raise refuse(
                name,
                _line(source, position),
                f"unexpected {char!r} in command"
                if char in "+-*/<>!"
                else f"unrecognized character in action: {point}",
            )
        if match.lastgroup == "space":
            spaced = True
        else:
            place = f"{_line(source, position)}:{position - source.rfind(chr(10), 0, position) - 1}"
            tokens.append(Token(match.lastgroup, match.group(), place, spaced=spaced))
            spaced = False
        position = match.end()


def _line(source: str, position: int) -> str:
    return str(source.count("\n", 0, position) + 1)
