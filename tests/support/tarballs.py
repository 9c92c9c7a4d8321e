"""Layers and image archives made during the test, hostile ones block by block."""

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass
class Member:
    name: str
    data: bytes = b""
    kind: bytes = tarfile.REGTYPE
    mode: int = 0o644
    link: str = ""
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    device: tuple[int, int] = (0, 0)
    pax: dict[str, str] = field(default_factory=dict)


def directory(name: str, mode: int = 0o755, **more: object) -> Member:
    return Member(name, kind=tarfile.DIRTYPE, mode=mode, **more)  # type: ignore[arg-type]


def link(name: str, target: str) -> Member:
    return Member(name, kind=tarfile.SYMTYPE, link=target, mode=0o777)


def hard_link(name: str, target: str) -> Member:
    return Member(name, kind=tarfile.LNKTYPE, link=target)


def tar(*members: Member, form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for member in members:
            info = tarfile.TarInfo(member.name)
            info.type, info.mode, info.linkname = member.kind, member.mode, member.link
            info.uid, info.gid, info.mtime = member.uid, member.gid, member.mtime
            info.devmajor, info.devminor = member.device
            info.pax_headers = member.pax
            info.size = len(member.data)
            archive.addfile(info, io.BytesIO(member.data))
    return out.getvalue()


def header(name: bytes, *, kind: bytes = b"0", size: bytes | None = None, length: int = 0) -> bytes:
    """One ustar block with a right checksum and whatever else is asked for."""
    block = bytearray(512)
    block[0 : len(name)] = name
    block[100:108] = b"0000644\0"
    block[108:116] = block[116:124] = b"0000000\0"
    block[124:136] = size if size is not None else b"%011o\0" % length
    block[136:148] = b"%011o\0" % 0
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    return checksummed(block)


def checksummed(block: bytearray) -> bytes:
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def config(layers: Sequence[bytes], **more: object) -> bytes:
    document: dict[str, object] = {
        "architecture": "amd64",
        "os": "linux",
        "created": "2026-01-02T03:04:05Z",
        "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"], "Labels": {"made": "here"}},
        "history": [
            {"created": "2026-01-02T03:04:05Z", "created_by": f"step {n}"}
            for n in range(len(layers))
        ],
        "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
    }
    return json.dumps(document | more).encode()


def docker_archive(
    *images: tuple[bytes, Sequence[bytes], Sequence[str]], extra: Sequence[Member] = ()
) -> bytes:
    """An archive as ``docker save`` wrote before version 25, from (config, layers, tags)."""
    members: dict[str, Member] = {}
    entries = []
    for data, layers, tags in images:
        name = digest(data).removeprefix("sha256:") + ".json"
        members[name] = Member(name, data)
        paths = []
        for layer in layers:
            path = digest(layer).removeprefix("sha256:") + "/layer.tar"
            members[path] = Member(path, layer)
            paths.append(path)
        entries.append({"Config": name, "RepoTags": list(tags) or None, "Layers": paths})
    manifest = Member("manifest.json", json.dumps(entries).encode())
    return tar(*members.values(), *extra, manifest)


def one_image(*layers: bytes, tags: Sequence[str] = ("made:one",), **more: object) -> bytes:
    return docker_archive((config(layers, **more), layers, tags))
