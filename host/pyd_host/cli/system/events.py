"""``pyd events``: what happens in the engine, a line each."""

import sys

from pyd_host.cli.command import Command, Invocation
from pyd_host.cli.errors import PlainError
from pyd_host.cli.filters import parse_filters
from pyd_host.cli.flags import Flag
from pyd_host.cli.template import Template
from pyd_host.cli.times import parse_time
from pyd_host.cli.units import local_time
from pyd_host.client.jsonstream import documents

_NANO = 10**9


def line(event: dict[str, object]) -> str:
    """Return time, type, action, id and attributes of one event."""
    actor = event.get("Actor")
    actor = actor if isinstance(actor, dict) else {}
    attributes = actor.get("Attributes") or {}
    listed = ", ".join(f"{key}={attributes[key]}" for key in sorted(attributes))
    suffix = f" ({listed})" if listed else ""
    stamp = _stamp(event)
    return f"{stamp} {event.get('Type')} {event.get('Action')} {actor.get('ID')}{suffix}"


def _stamp(event: dict[str, object]) -> str:
    nanos, seconds = event.get("timeNano"), event.get("time")
    whole = nanos if isinstance(nanos, int) else 0
    if not whole and isinstance(seconds, int):
        whole = seconds * _NANO
    date, clock, zone, _ = local_time(whole // _NANO).split(" ", 3)
    zone = "Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}"
    return f"{date}T{clock}.{whole % _NANO:09d}{zone}"


def run(call: Invocation) -> int:
    """Print events until the end of the asked span, or for ever."""
    values = call.values
    form = values.text("format")
    template = _template(form) if form else None
    query = {
        "since": parse_time(values.text("since")),
        "until": parse_time(values.text("until")),
        "filters": parse_filters(values.texts("filter")),
    }
    response = call.engine.request("GET", "/events", query)
    for event in documents(response.pieces()):
        sys.stdout.write((template.run(event) if template else line(event)) + "\n")
        sys.stdout.flush()
    return 0


def _template(form: str) -> Template:
    try:
        return Template("{{json .}}" if form == "json" else form.replace("\\t", "\t"))
    except PlainError as error:
        message = f"Error parsing format: {error.message}"
        raise PlainError(message) from error


COMMAND = Command(
    "[OPTIONS]",
    run,
    maximum=0,
    aliases=("system events", "events"),
    flags=(
        Flag("filter", "f", "filter", "Print only events for which name=value holds"),
        Flag("format", "", "string", "How to print: 'json', or a Go template run for each"),
        Flag("since", "", "string", "Begin at a time, or so long ago"),
        Flag("until", "", "string", "End at a time, or so long ago"),
    ),
)
