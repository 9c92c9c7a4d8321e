"""Run Go templates over what commands show: the subset of text/template that users write.

Data are JSON values and `Record` objects (a command's named columns). Missing keys are errors, as
in Docker; what a template prints follows Go's fmt.
"""

from collections.abc import Callable, Mapping, Sequence

from pyd_host.cli.errors import PlainError
from pyd_host.cli.record import Record
from pyd_host.cli.template_functions import (
    FUNCTIONS,
    HEADER_FUNCTIONS,
    FunctionError,
    printed,
    truth,
)
from pyd_host.cli.template_nodes import Branch, Jump, Node, Operand, Pipeline, Print, parse


class Template:
    """A template, read once and run for each row."""

    __slots__ = ("_functions", "_name", "_nodes", "_null")

    def __init__(
        self, source: str, name: str = "", *, header: bool = False, null: str = "<no value>"
    ) -> None:
        self._name = name
        self._functions = HEADER_FUNCTIONS if header else FUNCTIONS
        self._nodes = parse(source, name, self._functions.keys())
        self._null = null

    def run(self, data: object) -> str:
        """Return the text for one value. Raises PlainError with Go's words."""
        run = _Run(self._name, data, self._functions, self._null)
        run.nodes(self._nodes, data)
        return "".join(run.out)


class _BreakLoop(Exception):  # noqa: N818 - control flow inside this module
    pass


class _ContinueLoop(Exception):  # noqa: N818 - control flow inside this module
    pass


class _Run:
    def __init__(
        self, name: str, data: object, functions: Mapping[str, Callable[..., object]], null: str
    ) -> None:
        self.null = null
        self.name = name
        self.out: list[str] = []
        self.scopes: list[dict[str, object]] = [{"$": data}]
        self.functions = functions

    def nodes(self, nodes: Sequence[Node], dot: object) -> None:
        for node in nodes:
            if isinstance(node, str):
                self.out.append(node)
            elif isinstance(node, Print):
                value = self.pipeline(node.pipeline, dot)
                if not node.pipeline.variables:
                    self.out.append(printed(value, self.null))
            elif isinstance(node, Jump):
                raise _BreakLoop if node.kind == "break" else _ContinueLoop
            else:
                self.branch(node, dot)

    def branch(self, node: Branch, dot: object) -> None:
        self.scopes.append({})
        try:
            if node.kind == "range":
                self.loop(node, dot)
                return
            value = self.pipeline(node.pipeline, dot)
            if truth(value):
                self.nodes(node.body, value if node.kind == "with" else dot)
            else:
                self.nodes(node.otherwise, dot)
        finally:
            self.scopes.pop()

    def loop(self, node: Branch, dot: object) -> None:
        names, node_pipeline = node.pipeline.variables, node.pipeline
        value = self.pipeline(node_pipeline, dot)
        pairs: list[tuple[object, object]]
        if isinstance(value, Mapping):
            pairs = sorted(value.items(), key=lambda pair: str(pair[0]))
        elif isinstance(value, list | tuple):
            pairs = list(enumerate(value))
        elif isinstance(value, int) and not isinstance(value, bool):
            pairs = [(number, number) for number in range(value)]
        elif value is None:
            pairs = []
        else:
            place = node_pipeline.commands[0][0].place
            shown = node_pipeline.commands[0][0].shown
            raise self.refuse(place, shown, f"range can't iterate over {printed(value)}")
        if not pairs:
            self.nodes(node.otherwise, dot)
        for key, item in pairs:
            if len(names) == 2:
                self.scopes[-1].update({names[0]: key, names[1]: item})
            elif names:
                self.scopes[-1][names[0]] = item
            try:
                self.nodes(node.body, item)
            except _ContinueLoop:
                continue
            except _BreakLoop:
                break

    def pipeline(self, pipeline: Pipeline, dot: object) -> object:
        value: object = None
        for position, command in enumerate(pipeline.commands):
            value = self.command(command, dot, [value] if position else [])
        for name in pipeline.variables:
            scope = self.scopes[-1]
            if not pipeline.declares:
                scope = next((s for s in reversed(self.scopes) if name in s), scope)
            scope[name] = value
        return value

    def command(self, command: Sequence[Operand], dot: object, piped: list[object]) -> object:
        first = command[0]
        if first.head == "function" and not first.fields:
            return self.call(first, [self.operand(item, dot) for item in command[1:]] + piped)
        arguments = [self.operand(item, dot) for item in command[1:]] + piped
        return self.operand(first, dot, arguments)

    def call(self, operand: Operand, arguments: list[object]) -> object:
        try:
            return self.functions[operand.text](*arguments)
        except (FunctionError, TypeError, ValueError) as error:
            if isinstance(error, TypeError):
                error = FunctionError(f"wrong number of args for {operand.text}")
            raise self.refuse(
                operand.place, operand.text, f"error calling {operand.text}: {error}"
            ) from error

    def operand(self, operand: Operand, dot: object, arguments: Sequence[object] = ()) -> object:
        value = dot
        if operand.head == "literal":
            value = operand.value
        elif operand.head == "variable":
            value = self.variable(operand)
        elif operand.head == "function":
            value = self.call(operand, [])
        elif operand.head == "pipeline" and isinstance(operand.value, Pipeline):
            value = self.pipeline(operand.value, dot)
        last = len(operand.fields) - 1
        for position, field in enumerate(operand.fields):
            value = self.field(operand, value, field, arguments if position == last else ())
        return value

    def variable(self, operand: Operand) -> object:
        for scope in reversed(self.scopes):
            if operand.text in scope:
                return scope[operand.text]
        line = operand.place.partition(":")[0]
        raise PlainError(f'template: {self.name}:{line}: undefined variable "{operand.text}"')

    def field(
        self, operand: Operand, value: object, field: str, arguments: Sequence[object]
    ) -> object:
        if isinstance(value, Record):
            try:
                return value.column(field, arguments)
            except KeyError:
                reason = f"can't evaluate field {field} in type {value.type_name}"
        elif isinstance(value, Mapping):
            if field in value:
                return value[field]
            for key in value:  # Go's structs say ID where the wire says Id
                if str(key).lower() == field.lower():
                    return value[key]
            reason = f'map has no entry for key "{field}"'
        elif value is None:
            reason = f"nil data; no entry for key {field!r}".replace("'", '"')
        else:
            kind = {
                str: "string",
                bool: "bool",
                int: "int",
                float: "float64",
                list: "[]interface {}",
            }
            reason = f"can't evaluate field {field} in type {kind.get(type(value), 'interface {}')}"
        raise self.refuse(operand.place, operand.shown, reason)

    def refuse(self, place: str, shown: str, reason: str) -> PlainError:
        return PlainError(
            f'template: {self.name}:{place}: executing "{self.name}" at <{shown}>: {reason}'
        )
