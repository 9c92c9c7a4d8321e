"""``pyd inspect``: the engine's own description of containers and images, or a part of it."""

import json
import sys
from collections.abc import Callable

from pyd_api.errors import NotFoundError, PydError
from pyd_host.cli.command import Command, Invocation
from pyd_host.cli.errors import PlainError
from pyd_host.cli.flags import Flag
from pyd_host.cli.nulls import with_types
from pyd_host.client.engine import Engine, image_segment, segment

_TYPES = ("container", "image")
_DOCKER_TYPES = ("config", "network", "node", "plugin", "secret", "service", "task", "volume")
_BAD_TEMPLATE_STATUS = 64

Find = Callable[[str], object]


def _container(engine: Engine, *, size: bool) -> Find:
    query = {"size": True if size else None}
    return lambda name: engine.get(f"/containers/{segment(name.removeprefix('/'))}/json", query)


def _image(engine: Engine) -> Find:
    return lambda name: engine.get(f"/images/{image_segment(name)}/json")


def _either(*finds: Find) -> Find:
    def find(name: str) -> object:
        for attempt in finds:
            try:
                return attempt(name)
            except NotFoundError:
                continue
        raise NotFoundError(f"Error: No such object: {name}")

    return find


def show(names: list[str], find: Find, form: str) -> int:
    """Print a JSON list of what was found, or a template for each; 1 if any was missing."""
    printer = _printer(form)
    found: list[object] = []
    failures: list[str] = []
    for name in names:
        try:
            found.append(find(name))
        except PydError as error:
            if error.hint:
                raise
            failures.append(error.message)
    try:
        sys.stdout.write(printer(found))
    finally:
        sys.stdout.flush()
        sys.stderr.writelines(f"{failure}\n" for failure in failures)
    return 1 if failures else 0


def _printer(form: str) -> Callable[[list[object]], str]:
    if not form:
        return lambda found: json.dumps(found, ensure_ascii=False, indent=4) + "\n"
    if form == "json":
        return lambda found: json.dumps(found, ensure_ascii=False, separators=(",", ":")) + "\n"
    from pyd_host.cli.template import Template

    try:
        template = Template(form, null="<nil>")
    except PlainError as error:
        message = f"template parsing error: {error.message}"
        raise PlainError(message, status=_BAD_TEMPLATE_STATUS) from error

    def run(found: list[object]) -> str:
        try:
            return "".join(template.run(with_types(item)) + "\n" for item in found)
        except PlainError as error:
            raise PlainError(f"template parsing error: {error.message}") from error

    return run


def run(call: Invocation) -> int:
    """Describe whatever has each name: a container first, then an image."""
    values, engine = call.values, call.engine
    kind = values.text("type")
    if values.given("type") and kind not in _TYPES:
        if kind in _DOCKER_TYPES:
            raise PlainError(f'type "{kind}" is not supported yet', hint="use container or image")
        names = ", ".join(f'"{name}"' for name in sorted((*_TYPES, *_DOCKER_TYPES)))
        raise PlainError(f'unknown type: "{kind}": must be one of {names}')
    container = _container(engine, size=values.flag("size"))
    finds = {"container": container, "image": _image(engine)}
    find = finds[kind] if kind else _either(*finds.values())
    return show(call.arguments, find, values.text("format"))


def _run_container(call: Invocation) -> int:
    find = _container(call.engine, size=call.values.flag("size"))
    return show(call.arguments, find, call.values.text("format"))


def _run_image(call: Invocation) -> int:
    return show(call.arguments, _image(call.engine), call.values.text("format"))


_FORMAT = Flag("format", "f", "string", "How to print: 'json', or a Go template run for each")
_SIZE = Flag("size", "s", "bool", "Add how much disk a container takes")
COMMAND = Command(
    "[OPTIONS] NAME|ID [NAME|ID...]",
    run,
    minimum=1,
    flags=(_FORMAT, _SIZE, Flag("type", "", "string", "Look only among containers or images")),
)
CONTAINER = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]", _run_container, minimum=1, flags=(_FORMAT, _SIZE)
)
IMAGE = Command("[OPTIONS] IMAGE [IMAGE...]", _run_image, minimum=1, flags=(_FORMAT,))
