"""What the API says of images: the shapes of Docker Engine API 1.50 as dockerd 28 fills them.

Older shapes are made from these by the router, which knows what the client speaks.
"""

from datetime import UTC, datetime

from pyd_api.digest import ChainID
from pyd_api.errors import NotFoundError
from pyd_guest.images.model import Image, ImageConfig
from pyd_guest.images.platform import Platform
from pyd_guest.images.store import Images

_UNSET_TIME = "0001-01-01T00:00:00Z"
_UNSET_SECONDS = -62135596800


def inspect(
    images: Images, name_or_id: str, *, platform: Platform | None = None
) -> dict[str, object]:
    """Describe one image."""
    image = images.get(name_or_id)
    if platform is not None:
        check_platform(image, name_or_id, platform)
    config = image.config
    tags, digests = images.references(image.id)
    comment = config.comment or (config.history[-1].comment if config.history else "")
    document: dict[str, object] = {
        "Id": image.id,
        "RepoTags": [tag.familiar for tag in tags],
        "RepoDigests": [digest.familiar for digest in digests],
        "Parent": "",
        "Comment": comment,
        "Created": config.created or _UNSET_TIME,
        "DockerVersion": config.docker_version,
        "Author": config.author,
        "Architecture": config.architecture,
        "Os": config.os,
        "Size": image.size,
        "GraphDriver": {"Data": _directories(images, image.top), "Name": "overlay2"},
        "RootFS": {"Type": "layers", "Layers": list(config.diff_ids)},
        "Metadata": {"LastTagTime": _UNSET_TIME},
        "Config": config_shape(config),
    }
    if config.variant:
        document["Variant"] = config.variant
    if not config.diff_ids:
        document["RootFS"] = {"Type": "layers"}
    return document


def check_platform(image: Image, name: str, wanted: Platform) -> None:
    """Raise NotFoundError in dockerd's words unless the image is for ``wanted``."""
    config = image.config
    has = Platform(config.os, config.architecture, config.variant)
    if not wanted.fits(has):
        raise NotFoundError(
            f"image with reference {name} was found but its platform ({has}) "
            f"does not match the specified platform ({wanted})"
        )


def config_shape(config: ImageConfig) -> dict[str, object]:
    """Return the part that containers inherit, empty values as dockerd shows them."""

    def listed(words: tuple[str, ...] | None) -> list[str] | None:
        return list(words) if words is not None else None

    def keyed(words: tuple[str, ...] | None) -> dict[str, object] | None:
        return {word: {} for word in words} if words else None

    shape: dict[str, object] = {
        "Cmd": listed(config.cmd),
        "Entrypoint": listed(config.entrypoint),
        "Env": listed(config.env),
        "Labels": dict(config.labels) if config.labels else None,
        "OnBuild": listed(config.onbuild),
        "User": config.user,
        "Volumes": keyed(config.volumes),
        "WorkingDir": config.working_dir,
    }
    optional: dict[str, object] = {
        "ArgsEscaped": config.args_escaped,
        "ExposedPorts": keyed(config.exposed_ports),
        "Healthcheck": config.healthcheck,
        "Shell": listed(config.shell),
        "StopSignal": config.stop_signal,
        "StopTimeout": config.stop_timeout_s,
    }
    return shape | {key: value for key, value in optional.items() if value}


def _directories(images: Images, top: ChainID | None) -> dict[str, str]:
    if top is None:
        return {}
    layers = images.snapshots.layers
    paths = [str(layers.root / short / "fs") for _, short in layers.ancestry(top)]
    data = {"UpperDir": paths[0]}
    if len(paths) > 1:
        data["LowerDir"] = ":".join(paths[1:])
    return data


def history(images: Images, name_or_id: str) -> list[dict[str, object]]:
    """List how the image came about, newest first."""
    image = images.get(name_or_id)
    tags = [tag.familiar for tag in images.references(image.id)[0]]
    sizes = images.snapshots.layers.sizes(image.top) if image.top is not None else []
    sizes.reverse()
    lines: list[dict[str, object]] = []
    at = 0
    for line in image.config.history:
        size = 0
        if not line.empty_layer and at < len(sizes):
            size, at = sizes[at][1], at + 1
        lines.append(
            {
                "Comment": line.comment,
                "Created": unix_time(line.created),
                "CreatedBy": line.created_by,
                "Id": "<missing>",
                "Size": size,
                "Tags": None,
            }
        )
    if lines:
        lines[-1] |= {"Id": image.id, "Tags": tags or None}
    return lines[::-1]


def unix_time(text: str) -> int:
    """Return an RFC 3339 time as whole seconds; the zero time of Go for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return _UNSET_SECONDS
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
