"""Images as values: the parsed config and what the store knows beside it.

OCI image-spec, "Image Configuration"; fields that only Docker has (``Healthcheck``, ``OnBuild``,
``Shell``) are kept as Docker writes them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pyd_api.digest import DIGEST_PATTERN, ChainID, DiffID, chain_id, digest_of
from pyd_api.errors import InvalidRequestError
from pyd_api.ids import ImageId
from pyd_guest.images.documents import CONFIG_MAX, Object, parse_object
from pyd_guest.snapshots.layers import DEPTH_MAX


@dataclass(frozen=True, slots=True)
class History:
    """One line of an image's history."""

    created: str
    created_by: str
    comment: str
    empty_layer: bool


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """An image config, checked; None where Docker tells "not given" from "empty"."""

    architecture: str
    os: str
    variant: str
    created: str
    author: str
    comment: str
    docker_version: str
    entrypoint: tuple[str, ...] | None
    cmd: tuple[str, ...] | None
    env: tuple[str, ...] | None
    user: str
    working_dir: str
    labels: Mapping[str, str] | None
    exposed_ports: tuple[str, ...] | None
    volumes: tuple[str, ...] | None
    stop_signal: str
    stop_timeout_s: int | None
    healthcheck: Object | None
    shell: tuple[str, ...] | None
    onbuild: tuple[str, ...] | None
    args_escaped: bool
    diff_ids: tuple[DiffID, ...]
    history: tuple[History, ...]

    @property
    def chain_ids(self) -> tuple[ChainID, ...]:
        """The ChainID of each layer, base first."""
        chains: list[ChainID] = []
        for diff_id in self.diff_ids:
            chains.append(chain_id(chains[-1] if chains else None, diff_id))
        return tuple(chains)

    @property
    def top(self) -> ChainID | None:
        """The ChainID of the whole image; None for one without layers."""
        return self.chain_ids[-1] if self.diff_ids else None


@dataclass(frozen=True, slots=True)
class Image:
    """One image in the store."""

    id: ImageId
    config: ImageConfig
    top: ChainID | None
    size: int


def image_id(config: bytes) -> ImageId:
    """Name an image by the digest of its config."""
    return ImageId(digest_of(config))


def parse_config(data: bytes) -> ImageConfig:
    """Read an image config; raise InvalidRequestError that names the field that is wrong."""
    if len(data) > CONFIG_MAX:
        raise InvalidRequestError(f"image config is larger than {CONFIG_MAX} bytes")
    document = parse_object(data, "image config")
    if "layers" in document or "manifests" in document:
        raise InvalidRequestError("invalid image config: it is also a manifest")
    run = _object(document, "config") or {}
    rootfs = _object(document, "rootfs")
    if rootfs is None:
        raise InvalidRequestError("invalid image config: no rootfs")
    if _text(rootfs, "type") != "layers":
        raise InvalidRequestError("invalid image config: rootfs.type is not layers")
    diff_ids = _diff_ids(rootfs)
    history = _history(document)
    filled = sum(not line.empty_layer for line in history)
    if history and filled != len(diff_ids):
        raise InvalidRequestError(
            f"invalid image config: history has {filled} layers, rootfs has {len(diff_ids)}"
        )
    return ImageConfig(
        architecture=_text(document, "architecture"),
        os=_text(document, "os"),
        variant=_text(document, "variant"),
        created=_text(document, "created"),
        author=_text(document, "author"),
        comment=_text(document, "comment"),
        docker_version=_text(document, "docker_version"),
        entrypoint=_texts(run, "Entrypoint"),
        cmd=_texts(run, "Cmd"),
        env=_texts(run, "Env"),
        user=_text(run, "User"),
        working_dir=_text(run, "WorkingDir"),
        labels=_text_map(run, "Labels"),
        exposed_ports=_keys(run, "ExposedPorts"),
        volumes=_keys(run, "Volumes"),
        stop_signal=_text(run, "StopSignal"),
        stop_timeout_s=_integer(run, "StopTimeout"),
        healthcheck=_object(run, "Healthcheck"),
        shell=_texts(run, "Shell"),
        onbuild=_texts(run, "OnBuild"),
        args_escaped=run.get("ArgsEscaped") is True,
        diff_ids=diff_ids,
        history=history,
    )


def _wrong(key: str, wanted: str) -> InvalidRequestError:
    return InvalidRequestError(f"invalid image config: {key} is not {wanted}")


def _text(value: Object, key: str) -> str:
    found = value.get(key)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise _wrong(key, "a string")
    return found


def _integer(value: Object, key: str) -> int | None:
    found = value.get(key)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int):
        raise _wrong(key, "a number")
    return found


def _object(value: Object, key: str) -> dict[str, object] | None:
    found = value.get(key)
    if found is None:
        return None
    if not isinstance(found, dict):
        raise _wrong(key, "an object")
    return found


def _texts(value: Object, key: str) -> tuple[str, ...] | None:
    found = value.get(key)
    if found is None:
        return None
    if not isinstance(found, list):
        raise _wrong(key, "a list of strings")
    texts = tuple(text for text in found if isinstance(text, str))
    if len(texts) != len(found):
        raise _wrong(key, "a list of strings")
    return texts


def _text_map(value: Object, key: str) -> dict[str, str] | None:
    found = _object(value, key)
    if found is None:
        return None
    texts = {name: text for name, text in found.items() if isinstance(text, str)}
    if len(texts) != len(found):
        raise _wrong(key, "a map of strings")
    return texts


def _keys(value: Object, key: str) -> tuple[str, ...] | None:
    found = _object(value, key)
    return None if found is None else tuple(found)


def _diff_ids(rootfs: Object) -> tuple[DiffID, ...]:
    texts = _texts(rootfs, "diff_ids") or ()
    if len(texts) > DEPTH_MAX:
        raise InvalidRequestError(
            f"image has {len(texts)} layers, at most {DEPTH_MAX} are possible"
        )
    for text in texts:
        if not DIGEST_PATTERN.fullmatch(text):
            raise InvalidRequestError(f"invalid image config: bad diff id {text[:100]!r}")
    return tuple(DiffID(text) for text in texts)


def _history(document: Object) -> tuple[History, ...]:
    found = document.get("history")
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(line, dict) for line in found):
        raise _wrong("history", "a list of objects")
    return tuple(
        History(
            _text(line, "created"),
            _text(line, "created_by"),
            _text(line, "comment"),
            line.get("empty_layer") is True,
        )
        for line in found
    )
