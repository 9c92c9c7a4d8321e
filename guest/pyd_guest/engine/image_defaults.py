"""What a container takes over from its image's config.

Rules: Docker's, where the request wins field by field, lists of variables and maps are united, and
an entry point given in the request drops the image's command.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from pyd_guest.engine import wire
from pyd_guest.engine.create_fields import HEALTHCHECK


class ImageConfigLike(Protocol):
    """The parts of an OCI image config that matter here; `images.model.ImageConfig` has them."""

    @property
    def entrypoint(self) -> Sequence[str] | None:
        """ENTRYPOINT."""

    @property
    def cmd(self) -> Sequence[str] | None:
        """CMD."""

    @property
    def env(self) -> Sequence[str] | None:
        """ENV as ``NAME=value``."""

    @property
    def user(self) -> str:
        """USER."""

    @property
    def working_dir(self) -> str:
        """WORKDIR."""

    @property
    def labels(self) -> Mapping[str, str] | None:
        """LABEL."""

    @property
    def exposed_ports(self) -> Iterable[str] | None:
        """EXPOSE as ``80/tcp``."""

    @property
    def volumes(self) -> Iterable[str] | None:
        """VOLUME."""

    @property
    def stop_signal(self) -> str | None:
        """STOPSIGNAL."""

    @property
    def healthcheck(self) -> Mapping[str, object] | None:
        """HEALTHCHECK in wire shape."""


def inherit(config: dict[str, object], image: ImageConfigLike) -> None:
    """Fill ``config``, freshly read from a request, with what the image says."""
    _command(config, image)
    config["User"] = config["User"] or image.user
    config["WorkingDir"] = config["WorkingDir"] or image.working_dir
    config["Env"] = environment(config["Env"], image.env)
    config["Labels"] = {**(image.labels or {}), **_mapping(config["Labels"])}
    config["ExposedPorts"] = _union(config.get("ExposedPorts"), image.exposed_ports)
    config["Volumes"] = _union(config["Volumes"], image.volumes)
    if not config.get("StopSignal") and image.stop_signal:
        config["StopSignal"] = image.stop_signal
    if image.healthcheck:
        given = _mapping(config.get("Healthcheck"))
        own = {name: value for name, value in given.items() if value}
        config["Healthcheck"] = {**wire.read(image.healthcheck, HEALTHCHECK, ".Healthcheck"), **own}


def _command(config: dict[str, object], image: ImageConfigLike) -> None:
    if not config["Entrypoint"]:
        if not config["Cmd"] and image.cmd is not None:
            config["Cmd"] = list(image.cmd)
        if config["Entrypoint"] is None and image.entrypoint is not None:
            config["Entrypoint"] = list(image.entrypoint)


def environment(given: object, image: Sequence[str] | None) -> list[str]:
    """Return the request's variables, then those of the image that it does not name."""
    result = [entry for entry in given if isinstance(entry, str)] if isinstance(given, list) else []
    names = {entry.partition("=")[0] for entry in result}
    result.extend(entry for entry in image or () if entry.partition("=")[0] not in names)
    return result


def _union(given: object, image: Iterable[str] | None) -> dict[str, object]:
    names = {*_mapping(given), *(image or ())}
    return {name: {} for name in sorted(names)}


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
