"""One row of a listing, for tables and for templates."""

from collections.abc import Callable, Mapping, Sequence


class Record:
    """A row of a listing: named columns that are computed when asked for."""

    __slots__ = ("_columns", "_methods", "type_name")

    def __init__(
        self,
        type_name: str,
        columns: Mapping[str, Callable[[], object]],
        methods: Mapping[str, Callable[[str], object]] | None = None,
    ) -> None:
        self.type_name = type_name
        self._columns = columns
        self._methods = methods or {}

    def column(self, name: str, arguments: Sequence[object]) -> object:
        """Return a column, or call a method that takes one text. Raises KeyError."""
        if name in self._methods and len(arguments) == 1:
            return self._methods[name](str(arguments[0]))
        return self._columns[name]()

    def mapping(self) -> dict[str, object]:
        """Return all columns, sorted by name, for ``{{json .}}``."""
        return {name: self._columns[name]() for name in sorted(self._columns)}
