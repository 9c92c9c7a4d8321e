"""``POST /containers/create``: check everything, make what lasts, write the row last.

::

    image ─▶ merge, parse ─▶ name ─▶ writable layer ─▶ directory ─▶ row ─▶ event

Until the row is committed the container does not exist, and each step is undone when a later one
fails; what a kill -9 leaves (a layer or a directory without a row) the next start removes.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from pyd_api.errors import InternalError, InvalidRequestError, NotFoundError
from pyd_api.ids import ContainerId, new_id
from pyd_guest.engine import create_request, names
from pyd_guest.engine.announce import announce
from pyd_guest.engine.index import parse_name
from pyd_guest.engine.model import Container
from pyd_guest.engine.parts import Parts
from pyd_guest.engine.times import now_ns
from pyd_guest.images.model import Image
from pyd_guest.linux.trees import remove_tree


@dataclass(frozen=True, slots=True)
class CreateResult:
    """What the client is told."""

    id: ContainerId
    warnings: list[str]


def create(
    parts: Parts, name: str | None, body: Mapping[str, object], *, platform: str | None
) -> CreateResult:
    """Make a container; PydError with dockerd's words, and nothing made, when it cannot be."""
    parts.quicken()  # the start will be asked for within milliseconds
    container_id = ContainerId(new_id())
    image = _image(parts, body, platform)
    config, host_config = create_request.merge(
        body, image.config, container_id=container_id, facts=parts.facts
    )
    _name_by_id(parts, host_config)
    spec = create_request.parse(config, host_config, parts.facts)
    with ExitStack() as undo:
        chosen = _reserve(parts, name, container_id)
        undo.callback(parts.index.release, chosen)
        container = Container(
            id=container_id,
            name=chosen,
            created_ns=now_ns(),
            image_id=image.id,
            config=config,
            host_config=host_config,
            spec=spec,
        )
        try:
            parts.snapshots.prepare(container_id, image.top)
            undo.callback(parts.snapshots.remove, container_id)
            kept = parts.paths.kept(container_id)
            kept.mkdir(mode=0o710)
            undo.callback(remove_tree, kept)
            parts.store.insert(container)
        except OSError as error:
            raise InternalError(f"failed to create container: {error}") from error
        undo.pop_all()
    parts.index.add(container)
    announce(parts, container, "create")
    parts.prefetch()
    return CreateResult(container_id, list(spec.warnings))


def _name_by_id(parts: Parts, host_config: dict[str, object]) -> None:
    """Keep a container whose network is shared by its id: a name may change hands."""
    kind, _, reference = str(host_config["NetworkMode"]).partition(":")
    if kind == "container" and reference:
        try:
            host_config["NetworkMode"] = f"container:{parts.index.get(reference).id}"
        except NotFoundError as error:  # not a 404: the CLI takes that for a missing image
            raise InvalidRequestError(f"joining network namespace of container: {error}") from error


def _image(parts: Parts, body: Mapping[str, object], platform: str | None) -> Image:
    name = next((value for key, value in body.items() if key.lower() == "image"), None)
    if not isinstance(name, str) or not name:
        raise InvalidRequestError("no command specified: no image was named")
    image = parts.images.get(name)
    if platform:
        _check_platform(name, image, platform)
    return image


def _check_platform(name: str, image: Image, platform: str) -> None:
    """Refuse an image made for another platform; an empty variant fits every variant."""
    have = [image.config.os or "linux", image.config.architecture, image.config.variant]
    wanted = [*platform.lower().split("/"), "", ""][:3]
    if not wanted[1]:  # "amd64" alone names an architecture, "linux" an operating system
        wanted = ["linux", *wanted[:1], ""] if wanted[0] != "linux" else wanted
    if any(want and has and want != has for want, has in zip(wanted, have, strict=True)):
        raise NotFoundError(
            f"image with reference {name} was found but its platform "
            f"({'/'.join(filter(None, have))}) does not match the specified platform ({platform})"
        )


def _reserve(parts: Parts, name: str | None, container_id: ContainerId) -> str:
    chosen = parse_name(name) if name else names.free_name(parts.index.is_free)
    parts.index.reserve(chosen, container_id)
    return chosen
