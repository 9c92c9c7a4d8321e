"""``--format`` and ``-q`` of every command that lists things: table, JSON lines or a template."""

import sys
from collections.abc import Mapping, Sequence

from pyd_host.cli.errors import PlainError
from pyd_host.cli.record import Record
from pyd_host.cli.table import align

FORMAT_HELP = (
    "How to print: 'table', 'table TEMPLATE', 'json', or a Go template that is run for every row"
)


def show(
    rows: Sequence[Record],
    headers: Mapping[str, str],
    default: Sequence[str],
    form: str,
) -> None:
    """Print rows as the user asked; ``default`` names the columns of the plain table."""
    form = form.strip(" ")
    if form in {"", "table"}:
        lines = ["\t".join(headers[name] for name in default)]
        lines.extend("\t".join(str(row.column(name, ())) for name in default) for row in rows)
        sys.stdout.write(align(lines))
        return
    if form == "json":
        form = "{{json .}}"
    is_table = form.startswith("table ")
    source = form.removeprefix("table ").strip(" ") if is_table else form
    source = source.replace("\\t", "\t").replace("\\n", "\n")
    from functools import partial

    from pyd_host.cli.template import Template

    try:
        template = Template(source)
    except PlainError as error:
        raise PlainError(f"failed to parse template: {error.message}") from error
    try:
        lines = [template.run(row) for row in rows]
    except PlainError as error:
        raise PlainError(f"failed to execute template: {error.message}") from error
    if not is_table:
        sys.stdout.write("".join(line + "\n" for line in lines))
        return
    columns = {name: partial(str, text) for name, text in headers.items()}
    header = Record("header", columns, {"Label": _label_header})
    heading = Template(source, header=True).run(header)
    sys.stdout.write(align("\n".join([heading, *lines]).split("\n")))


def warn_about_quiet(form: str, *, quiet: bool) -> None:
    """Say that a format is of no use beside ``-q``."""
    if quiet and form:
        sys.stderr.write(
            "WARNING: Ignoring custom format, because both --format and --quiet are set.\n"
        )


def _label_header(name: str) -> str:
    return name.rpartition(".")[2].replace("-", " ").replace("_", " ")
