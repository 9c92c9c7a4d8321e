"""JSON documents from outside: manifests, indexes, image configs, what an archive says of itself.

OCI image-spec: manifest, image index, config; Docker image manifest version 2, schema 2. Bounded in
size and depth, each key once, and one meaning only: a document that could be read as two different
kinds is refused (CVE-2021-41190).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pyd_api.digest import Digest, parse_digest
from pyd_api.errors import InvalidRequestError

MANIFEST_MAX = 4 << 20
CONFIG_MAX = 8 << 20
_DEPTH_MAX = 100
_SIZE_MAX = 1 << 50
_DIGITS_MAX = 25

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"

_INDEXES = (OCI_INDEX, DOCKER_LIST)
_MANIFESTS = (OCI_MANIFEST, DOCKER_MANIFEST)
_CONFIGS = (OCI_CONFIG, DOCKER_CONFIG)
_LAYERS_MAX = 1000

Object = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What points to a blob."""

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str]
    platform: Object | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """One image for one platform."""

    config: Descriptor
    layers: tuple[Descriptor, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """Images for several platforms, or several images."""

    manifests: tuple[Descriptor, ...]


def parse_json(data: bytes, what: str) -> object:
    """Read one JSON document; raise InvalidRequestError that names ``what`` for anything else."""
    try:
        text = data.decode()
        _check_depth(data, what)
        value: object = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_integer
        )
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError(f"invalid {what}: {_reason(error)}") from error
    return value


def parse_object(data: bytes, what: str) -> dict[str, object]:
    """Read one JSON object."""
    value = parse_json(data, what)
    if not isinstance(value, dict):
        raise InvalidRequestError(f"invalid {what}: not a JSON object")
    return value


def parse_manifest(data: bytes, media_type: str = "") -> Manifest | Index:
    """Read a manifest or an index; ``media_type`` is what the transport said."""
    document = parse_object(data, "manifest")
    own = document.get("mediaType", "")
    if not isinstance(own, str):
        raise InvalidRequestError("invalid manifest: mediaType is not a string")
    if media_type and own and media_type != own:
        raise InvalidRequestError(
            f"invalid manifest: it says {own[:100]!r}, the registry says {media_type[:100]!r}"
        )
    kind = own or media_type
    if document.get("schemaVersion") == 1 or kind == DOCKER_SCHEMA_1:
        raise InvalidRequestError(
            "Docker image manifest version 2, schema 1 is not supported: push the image again"
        )
    if document.get("schemaVersion") != 2:
        raise InvalidRequestError("invalid manifest: schemaVersion is not 2")
    has_index, has_image = "manifests" in document, "layers" in document or "config" in document
    if has_index and has_image:
        raise InvalidRequestError("invalid manifest: both an index and an image")
    if has_index and kind not in _MANIFESTS:
        return Index(tuple(_descriptor(d) for d in _list(document, "manifests")))
    if has_image and kind not in _INDEXES:
        if kind and kind not in _MANIFESTS:
            raise InvalidRequestError(f"unsupported manifest type {kind[:100]!r}")
        return _image(document)
    raise InvalidRequestError(
        "invalid manifest: neither an index nor an image, or not what it says"
    )


def _image(document: Object) -> Manifest:
    config = _descriptor(document.get("config"))
    if config.media_type not in _CONFIGS:
        raise InvalidRequestError(
            f"invalid manifest: config of type {config.media_type[:100]!r} is not an image's"
        )
    layers = tuple(_descriptor(d) for d in _list(document, "layers"))
    if len(layers) > _LAYERS_MAX:
        raise InvalidRequestError(f"invalid manifest: {len(layers)} layers")
    return Manifest(config, layers)


def _descriptor(value: object) -> Descriptor:
    if not isinstance(value, dict):
        raise InvalidRequestError("invalid manifest: a descriptor is not an object")
    media_type, size = value.get("mediaType"), value.get("size")
    platform, annotations = value.get("platform"), value.get("annotations") or {}
    if not isinstance(media_type, str) or isinstance(size, bool) or not isinstance(size, int):
        raise InvalidRequestError("invalid manifest: a descriptor without media type or size")
    if not 0 <= size <= _SIZE_MAX:
        raise InvalidRequestError(f"invalid manifest: a descriptor with size {size}")
    if platform is not None and not isinstance(platform, dict):
        raise InvalidRequestError("invalid manifest: platform is not an object")
    if not isinstance(annotations, dict):
        raise InvalidRequestError("invalid manifest: annotations are not an object")
    texts = {str(k): v for k, v in annotations.items() if isinstance(v, str)}
    return Descriptor(media_type, parse_digest(_text(value, "digest")), size, texts, platform)


def _text(value: Object, key: str) -> str:
    found = value.get(key)
    return found if isinstance(found, str) else ""


def _list(document: Object, key: str) -> list[object]:
    value = document.get(key)
    if not isinstance(value, list):
        raise InvalidRequestError(f"invalid manifest: {key} is not a list")
    return value


def _check_depth(data: bytes, what: str) -> None:
    """Refuse deep nesting before the parser meets it; brackets in strings do not count."""
    if data.count(b"[") + data.count(b"{") <= _DEPTH_MAX:
        return
    depth = 0
    quoted = escaped = False
    for byte in data:
        if quoted:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                quoted = False
        elif byte == 0x22:
            quoted = True
        elif byte in b"[{":
            depth += 1
            if depth > _DEPTH_MAX:
                raise InvalidRequestError(f"invalid {what}: nested too deeply")
        elif byte in b"]}":
            depth -= 1


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key occurs twice")
    return document


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is not JSON")


def _integer(digits: str) -> int:
    if len(digits) > _DIGITS_MAX:
        raise ValueError("a number is too long")
    return int(digits)


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return str(error)[:200]
