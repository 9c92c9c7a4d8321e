"""The storage part of a create request: tmpfs, /dev/shm, and what is not there yet.

Volumes and bind mounts are refused with the field's name. An image's VOLUME is kept as a plain
directory of the writable layer, with a warning, so that such an image can be used.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pyd_api.errors import InvalidRequestError, UnsupportedError
from pyd_guest.engine.parse_process import strings
from pyd_guest.runtime.mounts import SHM_SIZE_BYTES, Tmpfs, clean_target

_LATER = ("Binds", "VolumesFrom", "VolumeDriver")
_SHM_MAX_BYTES = 1 << 50


@dataclass(frozen=True, slots=True)
class StoragePart:
    """What `parse` found."""

    shm_size: int
    tmpfs: tuple[Tmpfs, ...]
    volume_paths: tuple[str, ...]
    warnings: tuple[str, ...]


def parse(config: Mapping[str, object], host: Mapping[str, object]) -> StoragePart:
    """Check and return the storage part."""
    for name in _LATER:
        if host[name]:
            raise UnsupportedError(f"volumes are not supported yet: HostConfig.{name}")
    if host.get("StorageOpt"):
        raise UnsupportedError("storage options are not supported: HostConfig.StorageOpt")
    size = host["ShmSize"]
    size = size if isinstance(size, int) else SHM_SIZE_BYTES
    if size < 0:
        raise InvalidRequestError("SHM size can not be less than 0")
    if size > _SHM_MAX_BYTES:
        raise InvalidRequestError(f"SHM size can not be more than {_SHM_MAX_BYTES} bytes")
    given = host.get("Tmpfs")
    tmpfs = [
        Tmpfs.parse(target, options)
        for target, options in (given.items() if isinstance(given, dict) else ())
    ]
    tmpfs += [_mount(entry) for entry in _list(host.get("Mounts"))]
    seen: set[str] = set()
    for mount in tmpfs:
        if mount.target in seen:
            raise InvalidRequestError(f"Duplicate mount point: {mount.target}")
        seen.add(mount.target)
    volumes = tuple(
        path for path in map(_volume_path, _keys(config["Volumes"])) if path not in seen
    )
    return StoragePart(
        shm_size=size,
        tmpfs=tuple(tmpfs),
        volume_paths=volumes,
        warnings=tuple(
            f"Volumes are not supported yet: {path} is kept in the container's writable layer."
            for path in volumes
        ),
    )


def _mount(entry: object) -> Tmpfs:
    mount = entry if isinstance(entry, dict) else {}
    kind, target = str(mount.get("Type", "")), str(mount.get("Target", ""))
    prefix = f'invalid mount config for type "{kind}": '
    if not target:
        raise InvalidRequestError(f"{prefix}field Target must not be empty")
    if kind in ("bind", "volume", "image", "npipe", "cluster"):
        raise UnsupportedError(
            f"mounts of type {kind} are not supported yet: HostConfig.Mounts {target!r}"
        )
    if kind != "tmpfs":
        raise InvalidRequestError(f"{prefix}mount type unknown")
    try:
        target = clean_target(target)
    except InvalidRequestError as error:
        raise InvalidRequestError(f"{prefix}{error.message}") from error
    if mount.get("Source"):
        raise InvalidRequestError(f"{prefix}field Source must not be specified")
    for name in ("BindOptions", "VolumeOptions", "ImageOptions", "ClusterOptions"):
        if mount.get(name):
            raise InvalidRequestError(f"{prefix}field {name} must not be specified")
    return Tmpfs.parse(target, ",".join(_mount_options(mount, prefix)))


def _mount_options(mount: Mapping[str, object], prefix: str) -> list[str]:
    options = mount.get("TmpfsOptions")
    found: list[str] = ["ro"] if mount.get("ReadOnly") else []
    if not isinstance(options, dict):
        return found
    size, mode = options.get("SizeBytes", 0), options.get("Mode", 0)
    if size < 0:
        raise InvalidRequestError(f"{prefix}invalid tmpfs size: {size}")
    if mode > 0o7777:
        raise InvalidRequestError(f"{prefix}invalid tmpfs mode: {mode:o}")
    found += [f"size={size}"] if size else []
    found += [f"mode={mode:o}"] if mode else []
    for extra in _list(options.get("Options")):
        words = strings(extra)
        if not 1 <= len(words) <= 2 or words[0] not in ("exec", "noexec"):
            raise InvalidRequestError(f"{prefix}invalid tmpfs option: {words[:2]!r}")
        found.append(words[0])
    return found


def _volume_path(path: str) -> str:
    try:
        return clean_target(path)
    except InvalidRequestError as error:
        raise InvalidRequestError(f"invalid image volume: {error.message}") from error


def _keys(value: object) -> list[str]:
    return list(value) if isinstance(value, dict) else []


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
