"""A command as data: its usage, its flags, how many arguments it takes, what it runs."""

from collections.abc import Callable, Sequence

from pyd_host.cli.errors import UsageError
from pyd_host.cli.flags import Flag, Values
from pyd_host.client.engine import Engine


class Invocation:
    """One command line, parsed: what the function behind a command receives."""

    __slots__ = ("_connect", "_engine", "arguments", "name", "values")

    def __init__(
        self, name: str, values: Values, arguments: list[str], connect: Callable[[], Engine]
    ) -> None:
        self.name = name
        self.values = values
        self.arguments = arguments
        self._connect = connect
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The engine that the user chose; nothing is dialled before the first request."""
        if self._engine is None:
            self._engine = self._connect()
        return self._engine

    def close(self) -> None:
        """Close the connections to the engine, if there are any."""
        if self._engine is not None:
            self._engine.close()


class Command:
    """What ``pyd WORD`` accepts; ``run`` returns the exit status."""

    __slots__ = ("aliases", "flags", "interspersed", "maximum", "minimum", "raw", "run", "usage")

    def __init__(
        self,
        usage: str,
        run: Callable[[Invocation], int],
        *,
        flags: Sequence[Flag] = (),
        minimum: int = 0,
        maximum: int | None = None,
        interspersed: bool = True,
        raw: bool = False,
        aliases: Sequence[str] = (),
    ) -> None:
        self.usage = usage
        self.run = run
        self.flags = flags
        self.minimum = minimum
        self.maximum = maximum
        self.interspersed = interspersed
        self.raw = raw  # the words go to the function unread
        self.aliases = aliases

    def check(self, name: str, arguments: Sequence[str]) -> None:
        """Raise UsageError when the number of arguments is wrong."""
        count = len(arguments)
        if count >= self.minimum and (self.maximum is None or count <= self.maximum):
            return
        if self.maximum == 0:
            raise UsageError(f"'{name}' accepts no arguments", status=1, prefixed=True)
        if self.maximum is None:
            need, bound = "at least ", self.minimum
        elif self.minimum == self.maximum:
            need, bound = "", self.minimum
        elif count > self.maximum:
            need, bound = "at most ", self.maximum
        else:
            need, bound = "at least ", self.minimum
        plural = "" if bound == 1 else "s"
        raise UsageError(
            f"'{name}' requires {need}{bound} argument{plural}",
            status=1,
            prefixed=True,
            verb="Run" if self.maximum == bound else "See",
        )
