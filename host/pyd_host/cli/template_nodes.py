"""Parse a Go template into nodes: text, pipelines, if, with, range.

::

    pipeline  = [ "$x" [ "," "$y" ] (":=" | "=") ] command { "|" command }
    command   = operand { operand }
    operand   = "." | ".Field" | "$x" | literal | function | "(" pipeline ")"   each with .Fields
"""

from collections.abc import Collection

from pyd_host.cli.template_lexer import Action, Token, cut, refuse

_KEYWORDS = frozenset(
    {"if", "else", "end", "range", "with", "define", "template", "block", "break", "continue"}
)


class Operand:
    """A value's source. ``head`` is "dot", "variable", "literal", "function" or "pipeline"."""

    __slots__ = ("fields", "head", "place", "text", "value")

    def __init__(self, head: str, text: str, place: str, value: object = None) -> None:
        self.head = head
        self.text = text
        self.place = place
        self.value = value
        self.fields: list[str] = []

    @property
    def shown(self) -> str:
        """The operand as messages quote it."""
        start = self.text if self.head in {"variable", "function", "literal"} else ""
        return start + "".join(f".{field}" for field in self.fields) or "."


class Pipeline:
    """Commands whose results feed one another, and the variables that the last one sets."""

    __slots__ = ("commands", "declares", "variables")

    def __init__(self) -> None:
        self.variables: list[str] = []
        self.declares = True
        self.commands: list[list[Operand]] = []


class Print:
    """``{{pipeline}}``."""

    __slots__ = ("pipeline",)

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline


class Branch:
    """``if``, ``with`` or ``range``, with what is done otherwise."""

    __slots__ = ("body", "kind", "otherwise", "pipeline")

    def __init__(
        self, kind: str, pipeline: Pipeline, body: "list[Node]", otherwise: "list[Node]"
    ) -> None:
        self.kind = kind
        self.pipeline = pipeline
        self.body = body
        self.otherwise = otherwise


class Jump:
    """``break`` or ``continue``."""

    __slots__ = ("kind",)

    def __init__(self, kind: str) -> None:
        self.kind = kind


Node = str | Print | Branch | Jump


def parse(source: str, name: str, functions: Collection[str]) -> list[Node]:
    """Read a whole template. Raises PlainError with Go's words."""
    reader = _Reader(name, cut(name, source), functions)
    nodes, stop = reader.nodes(within=False)
    if stop is not None:
        raise refuse(name, stop.place, f"unexpected {{{{{stop.tokens[0].text}}}}}")
    return nodes


class _Reader:
    def __init__(self, name: str, parts: list[str | Action], functions: Collection[str]) -> None:
        self.functions = functions
        self.name = name
        self.parts = parts
        self.next = 0

    def nodes(self, *, within: bool) -> tuple[list[Node], Action | None]:
        """Read until the end of the template or an ``else`` or ``end``, which is returned."""
        found: list[Node] = []
        while self.next < len(self.parts):
            part = self.parts[self.next]
            self.next += 1
            if isinstance(part, str):
                found.append(part)
                continue
            if not part.tokens:
                raise refuse(self.name, part.place, "missing value for command")
            word = part.tokens[0].text if part.tokens[0].kind == "word" else ""
            if word in {"else", "end"}:
                return found, part
            if word in {"if", "with", "range"}:
                found.append(self._branch(word, part, part.tokens[1:]))
            elif word in {"break", "continue"}:
                found.append(Jump(word))
            elif word in _KEYWORDS:
                raise refuse(self.name, part.place, f"{word} is not supported in a format")
            else:
                found.append(Print(self._whole(part, part.tokens, "command")))
        if within:
            last = str(sum(p.count("\n") for p in self.parts if isinstance(p, str)) + 1)
            raise refuse(self.name, last, "unexpected EOF")
        return found, None

    def _branch(self, kind: str, action: Action, tokens: list[Token]) -> Branch:
        pipeline = self._whole(action, tokens, kind)
        body, stop = self.nodes(within=True)
        otherwise: list[Node] = []
        if stop is not None and stop.tokens[0].text == "else":
            rest = stop.tokens[1:]
            if rest and rest[0].text in {"if", "with"}:
                otherwise = [self._branch(rest[0].text, stop, rest[1:])]
            else:
                otherwise, _ = self.nodes(within=True)
        return Branch(kind, pipeline, body, otherwise)

    def _whole(self, action: Action, tokens: list[Token], context: str) -> Pipeline:
        pipeline, rest = self._pipeline(action, tokens, context)
        if rest:
            raise refuse(self.name, action.place, f"unexpected {rest[0].text!r} in {context}")
        return pipeline

    def _pipeline(
        self, action: Action, tokens: list[Token], context: str
    ) -> tuple[Pipeline, list[Token]]:
        pipeline = Pipeline()
        tokens = self._variables(pipeline, tokens)
        command: list[Operand] = []
        while tokens and tokens[0].text != ")":
            token = tokens[0]
            if token.text == "|" and token.kind == "mark":
                if not command:
                    raise refuse(self.name, action.place, f"missing value for {context}")
                pipeline.commands.append(command)
                command = []
                tokens = tokens[1:]
                if not tokens:
                    raise refuse(self.name, action.place, f"missing value for {context}")
                continue
            operand, tokens = self._operand(action, tokens)
            command.append(operand)
        if not command:
            raise refuse(self.name, action.place, f"missing value for {context}")
        pipeline.commands.append(command)
        return pipeline, tokens

    def _variables(self, pipeline: Pipeline, tokens: list[Token]) -> list[Token]:
        names: list[str] = []
        position = 0
        while position < len(tokens) and tokens[position].kind == "variable":
            names.append(tokens[position].text)
            position += 1
            mark = tokens[position].text if position < len(tokens) else ""
            if mark in {":=", "="}:
                pipeline.variables = names
                pipeline.declares = mark == ":="
                return tokens[position + 1 :]
            if mark != ",":
                break
            position += 1
        return tokens

    def _operand(self, action: Action, tokens: list[Token]) -> tuple[Operand, list[Token]]:
        token, rest = tokens[0], tokens[1:]
        operand = Operand("dot", ".", token.place)
        if token.text == "(":
            inner, rest = self._pipeline(action, rest, "parenthesized pipeline")
            if not rest:
                raise refuse(self.name, action.place, "unclosed left paren")
            operand = Operand("pipeline", "", token.place, inner)
            rest = rest[1:]
        elif token.kind == "field":
            operand.fields.append(token.text[1:])
        elif token.kind == "variable":
            operand = Operand("variable", token.text, token.place)
        elif token.kind in {"string", "raw", "char", "number"}:
            operand = Operand(
                "literal", token.text, token.place, _literal(self.name, action, token)
            )
        elif token.kind == "word":
            if token.text in {"true", "false", "nil"}:
                value = {"true": True, "false": False}.get(token.text)
                operand = Operand("literal", token.text, token.place, value)
            elif token.text in self.functions:
                operand = Operand("function", token.text, token.place)
            else:
                raise refuse(self.name, action.place, f'function "{token.text}" not defined')
        elif token.text != ".":
            raise refuse(self.name, action.place, f"unexpected {token.text!r} in operand")
        while rest and rest[0].kind == "field" and not rest[0].spaced:
            if len(operand.fields) < 2:
                operand.place = rest[0].place if not operand.fields[1:] else operand.place
            operand.fields.append(rest[0].text[1:])
            rest = rest[1:]
        return operand, rest


def _literal(name: str, action: Action, token: Token) -> object:
    text = token.text
    if token.kind == "raw":
        return text[1:-1]
    if token.kind == "number":
        try:
            return int(text, 0)
        except ValueError:
            return float(text)
    import ast

    try:
        value = ast.literal_eval(text)  # the escapes of Go and Python agree where it matters
    except (ValueError, SyntaxError):
        raise refuse(name, action.place, f"invalid syntax: {text}") from None
    return ord(value) if token.kind == "char" and len(value) == 1 else value
