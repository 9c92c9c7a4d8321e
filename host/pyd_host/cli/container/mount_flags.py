"""``--volume``, ``--mount``, ``--tmpfs``: where a container's directories come from."""

import os
from collections.abc import Callable, Sequence

from pyd_host.cli.container.option_errors import bad_argument
from pyd_host.cli.flags import parse_bool, parse_bytes

_BOOLEANS = {"readonly", "ro", "volume-nocopy", "bind-nonrecursive", "bind-create-src"}
_GROUPS = {"bind": "BindOptions", "volume": "VolumeOptions", "tmpfs": "TmpfsOptions",
           "image": "ImageOptions"}  # fmt: skip
_TARGETS = frozenset({"target", "dst", "destination"})
_MODES = frozenset("01234567")


def parse_volumes(words: Sequence[str]) -> tuple[list[str], dict[str, dict[str, str]]]:
    """Return binds (as the engine reads them) and unnamed volumes."""
    binds: list[str] = []
    unnamed: dict[str, dict[str, str]] = {}
    for word in words:
        source, colon, rest = word.partition(":")
        if not colon:
            unnamed[word] = {}
            continue
        if source.startswith((".", "~")):  # a path of this side, as seen from here
            source = os.path.abspath(os.path.expanduser(source))  # noqa: PTH100, PTH111 - pathlib costs 8 ms
        binds.append(f"{source}:{rest}")
    return binds, unnamed


def parse_tmpfs(words: Sequence[str]) -> dict[str, str]:
    """Return options by directory."""
    return {target: options for target, _, options in (word.partition(":") for word in words)}


def parse_mount(word: str) -> dict[str, object]:
    """Read one ``--mount`` (comma-separated, quoted as in CSV)."""
    import csv

    def refuse(reason: str) -> Exception:
        return bad_argument("--mount", word, reason)

    mount: dict[str, object] = {"Type": "volume"}
    try:
        fields = next(csv.reader([word], strict=True))
    except (csv.Error, StopIteration):
        raise refuse("invalid field list") from None
    for field in fields:
        key, equals, value = field.partition("=")
        key = key.lower()
        if not equals:
            if key not in _BOOLEANS:
                raise refuse(f"invalid field '{field}' must be a key=value pair")
            value = "true"
        _set(mount, key, value, field, refuse)
    if not mount.get("Target"):
        raise refuse("target is required")
    kind = str(mount["Type"])
    for other, group in _GROUPS.items():
        if group in mount and other != kind:
            raise refuse(f"cannot mix '{other}-*' options with mount type '{kind}'")
    return mount


def _set(
    mount: dict[str, object],
    key: str,
    value: str,
    field: str,
    refuse: Callable[[str], Exception],
) -> None:
    def boolean() -> bool:
        try:
            return parse_bool(value)
        except ValueError:
            raise refuse(f"invalid value for {key}: {value}") from None

    if key == "type":
        mount["Type"] = value.lower()
    elif key in {"source", "src"}:
        relative = value.startswith(".")
        mount["Source"] = os.path.abspath(value) if relative else value  # noqa: PTH100 - as above
    elif key in _TARGETS:
        mount["Target"] = value
    elif key in {"readonly", "ro"}:
        mount["ReadOnly"] = boolean()
    elif key == "consistency":
        mount["Consistency"] = value.lower()
    elif key == "bind-propagation":
        _group(mount, "bind")["Propagation"] = value.lower()
    elif key == "bind-nonrecursive":
        _group(mount, "bind")["NonRecursive"] = boolean()
    elif key == "bind-create-src":
        _group(mount, "bind")["CreateMountpoint"] = boolean()
    elif key == "bind-recursive":
        _recursive(_group(mount, "bind"), value, refuse)
    elif key == "volume-subpath":
        _group(mount, "volume")["Subpath"] = value
    elif key == "image-subpath":
        _group(mount, "image")["Subpath"] = value
    elif key == "volume-nocopy":
        _group(mount, "volume")["NoCopy"] = boolean()
    elif key == "volume-label":
        name, _, text = value.partition("=")
        _map(_group(mount, "volume"), "Labels")[name] = text
    elif key == "volume-driver":
        _map(_group(mount, "volume"), "DriverConfig")["Name"] = value
    elif key == "volume-opt":
        name, _, text = value.partition("=")
        driver = _map(_group(mount, "volume"), "DriverConfig")
        _map(driver, "Options")[name] = text
    elif key == "tmpfs-size":
        try:
            _group(mount, "tmpfs")["SizeBytes"] = parse_bytes(value)
        except ValueError:
            raise refuse(f"invalid value for {key}: {value}") from None
    elif key == "tmpfs-mode":
        if not value or not set(value) <= _MODES:
            raise refuse(f"invalid value for {key}: {value}")
        _group(mount, "tmpfs")["Mode"] = int(value, 8)
    else:
        raise refuse(f"unexpected key '{key}' in '{field}'")


def _recursive(options: dict[str, object], value: str, refuse: Callable[[str], Exception]) -> None:
    if value == "disabled":
        options["NonRecursive"] = True
    elif value == "writable":
        options["ReadOnlyNonRecursive"] = True
    elif value == "readonly":
        options["ReadOnlyForceRecursive"] = True
    elif value != "enabled":
        raise refuse(
            f"invalid value for bind-recursive: {value} "
            '(must be "enabled", "disabled", "writable", or "readonly")'
        )


def _group(mount: dict[str, object], kind: str) -> dict[str, object]:
    return _map(mount, _GROUPS[kind])


def _map(holder: dict[str, object], key: str) -> dict[str, object]:
    found = holder.setdefault(key, {})
    if not isinstance(found, dict):
        raise TypeError(key)
    return found
