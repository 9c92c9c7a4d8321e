"""Image archives made by hand: docker-archive (image-spec v1.2) and OCI image layout in a tar."""

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

Files = Mapping[str, bytes]


def pack(files: Files) -> bytes:
    """Return a tar with these files, owned by root and without times."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755
            archive.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


def zstd(data: bytes) -> bytes:
    """Compress with the zstd program."""
    return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "zstd": zstd,
}


def digest(data: bytes) -> str:
    """Return the sha256 digest as the formats spell it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _config(layers: Sequence[bytes], command: Sequence[str]) -> bytes:
    return json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": "2026-01-02T03:04:05Z",
            "config": {"Cmd": list(command), "Env": ["PATH=/bin"], "Labels": {"made": "by hand"}},
            "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
            "history": [{"created_by": f"layer {number}"} for number in range(len(layers))],
        }
    ).encode()


def docker_archive(path: Path, tag: str, layers: Sequence[bytes], command: Sequence[str]) -> str:
    """Write a docker-archive with one image; return the image's id."""
    config = _config(layers, command)
    names = [f"{hashlib.sha256(layer).hexdigest()}/layer.tar" for layer in layers]
    manifest = [{"Config": "config.json", "RepoTags": [tag], "Layers": names}]
    files = {"config.json": config, "manifest.json": json.dumps(manifest).encode()}
    path.write_bytes(pack({**files, **dict(zip(names, layers, strict=True))}))
    return digest(config)


def oci_archive(
    path: Path,
    tag: str,
    layers: Sequence[bytes],
    command: Sequence[str],
    compress: str = "plain",
    damage: Callable[[bytes], bytes] = bytes,
) -> str:
    """Write an OCI layout as one tar; return the image's id. ``damage`` spoils the last layer."""
    config = _config(layers, command)
    suffix = "" if compress == "plain" else f"+{compress}"
    blobs = {}

    def blob(data: bytes, kind: str, stored: bytes | None = None) -> dict[str, object]:
        blobs[f"blobs/sha256/{digest(data)[7:]}"] = data if stored is None else stored
        return {"mediaType": kind, "digest": digest(data), "size": len(data)}

    descriptors = []
    for number, layer in enumerate(layers):
        data = COMPRESSIONS[compress](layer)
        last = number == len(layers) - 1
        kind = f"application/vnd.oci.image.layer.v1.tar{suffix}"
        descriptors.append(blob(data, kind, damage(data) if last else None))
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob(config, "application/vnd.oci.image.config.v1+json"),
        "layers": descriptors,
    }
    whole = blob(json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json")
    names = {"org.opencontainers.image.ref.name": tag, "io.containerd.image.name": tag}
    index = {"schemaVersion": 2, "manifests": [{**whole, "annotations": names}]}
    layout = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": json.dumps(index).encode(),
    }
    path.write_bytes(pack({**layout, **blobs}))
    return digest(config)
