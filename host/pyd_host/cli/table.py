"""Aligned columns from tab-separated lines (the elastic tab stops of Go's text/tabwriter).

A cell belongs to a column when a tab ends it; a column is a run of adjoining lines that have
that cell, so a line without it starts the widths afresh.
"""

from collections.abc import Iterable, Sequence

_MIN_WIDTH = 10
_PADDING = 3


def align(lines: Iterable[str], *, min_width: int = _MIN_WIDTH, padding: int = _PADDING) -> str:
    """Return the lines with every tab replaced by the spaces that align its column."""
    rows = [line.split("\t") for line in lines]
    widths: list[list[int]] = [[] for _ in rows]
    _measure(rows, widths, range(len(rows)), 0, min_width, padding)
    out = []
    for cells, columns in zip(rows, widths, strict=True):
        padded = [cell.ljust(width) for cell, width in zip(cells, columns, strict=False)]
        out.append("".join(padded) + cells[-1] + "\n")
    return "".join(out)


def _measure(
    rows: Sequence[Sequence[str]],
    widths: Sequence[list[int]],
    block: range,
    column: int,
    min_width: int,
    padding: int,
) -> None:
    start = block.start
    while start < block.stop:
        if len(rows[start]) - 1 <= column:
            start += 1
            continue
        stop = start
        width = min_width
        while stop < block.stop and len(rows[stop]) - 1 > column:
            width = max(width, len(rows[stop][column]) + padding)
            stop += 1
        for line in range(start, stop):
            widths[line].append(width)
        _measure(rows, widths, range(start, stop), column + 1, min_width, padding)
        start = stop
