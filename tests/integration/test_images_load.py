"""``docker load`` and ``docker import`` into a real store: every form of archive, every bad one."""

import gzip
import io
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Thread

import pytest
from backports import zstd

from pyd_api.errors import (
    InternalError,
    InvalidRequestError,
    NotFoundError,
    PydError,
    UnsupportedError,
)
from pyd_guest.images import wire
from pyd_guest.images.base import BASE, ensure_base
from pyd_guest.images.base_layer import layer
from pyd_guest.images.import_ import import_archive
from pyd_guest.images.listing import list_images
from pyd_guest.images.load import load
from pyd_guest.images.service import ImageService
from pyd_guest.images.store import Images
from support.image_stores import Events, Users, inventory, opened
from support.tarballs import (
    Member,
    config,
    digest,
    directory,
    docker_archive,
    hard_link,
    link,
    one_image,
    tar,
)

pytestmark = pytest.mark.needs("root")
LAYER = tar(directory("bin"), Member("bin/sh", b"#!", mode=0o755))
OTHER = tar(Member("etc/x", b"1"), Member("bin/.wh.sh"))


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def store(tmp_path: Path, events: Events) -> Iterator[Images]:
    with opened(tmp_path / "data", events) as images:
        yield images


def held(tmp_path: Path, images: Images) -> list[str]:
    images.snapshots._sweeper.close()
    return inventory(tmp_path / "data")


def lines(images: Images, data: bytes, **options: object) -> list[object]:
    said: list[object] = []
    load(images, io.BytesIO(data), lambda m: said.append(m["stream"]), **options)  # type: ignore[arg-type]
    return said


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd.compress])
def test_docker_archives(store: Images, events: Events, pack: object) -> None:
    assert callable(pack)
    data = pack(one_image(LAYER, OTHER, tags=["x:1", "docker.io/library/x:2"]))
    assert lines(store, data) == ["Loaded image: x:1\n", "Loaded image: x:2\n"]
    image = store.get("x:1")
    assert image.id == digest(config([LAYER, OTHER]))
    assert image.size == 3
    assert image.config.cmd == ("sh",)
    assert events.seen == [("image", "load", image.id)]
    assert events.attributes == [{"made": "here", "name": image.id}]
    for name in (
        "x:2",
        "library/x:1",
        "docker.io/x:2",
        "index.docker.io/library/x:2",
        image.id,
        image.id[7:],
        image.id[7:19],
        image.id[:15],
    ):
        assert store.get(name).id == image.id, name
    assert [line["CreatedBy"] for line in wire.history(store, "x:1")] == ["step 1", "step 0"]


def test_loading_again_moves_the_tag(store: Images) -> None:
    lines(store, one_image(LAYER))
    first = store.get("made:one").id
    moved = (
        f"The image made:one already exists, renaming the old one with ID {first} to empty string\n"
    )
    assert lines(store, one_image(LAYER)) == ["Loaded image: made:one\n"]
    assert lines(store, one_image(OTHER)) == [
        moved,
        "Loaded image: made:one\n",
    ]
    assert lines(store, docker_archive((config([LAYER]), [LAYER], []))) == [
        f"Loaded image ID: {first}\n"
    ]
    summaries = {str(s["Id"]): s["RepoTags"] for s in list_images(store, {})}
    assert summaries[first] == []
    assert list_images(store, {"dangling": ["true"]})[0]["Id"] == first


def test_images_share_layers(store: Images, tmp_path: Path) -> None:
    one = (config([LAYER]), [LAYER], ["a:1"])
    two = (config([LAYER, OTHER]), [LAYER, OTHER], ["a:2"])
    three = (config([OTHER, LAYER]), [OTHER, LAYER], ["a:3"])
    assert len(lines(store, docker_archive(one, two, three))) == 3
    layers = [name for name in held(tmp_path, store) if name.startswith("snapshots/layers")]
    assert len([name for name in layers if not name.endswith(".init")]) == 4
    shared = {str(s["RepoTags"]): s["SharedSize"] for s in list_images(store, {}, shared_size=True)}
    assert shared == {"['a:1']": 2, "['a:2']": 2, "['a:3']": 0}


def test_legacy_links_between_layers(store: Images) -> None:
    data = config([LAYER, LAYER])
    name = digest(data)[7:] + ".json"
    manifest = [{"Config": name, "RepoTags": ["l:1"], "Layers": ["b/layer.tar", "c/layer.tar"]}]
    archive = tar(
        Member(name, data),
        Member("a/layer.tar", LAYER),
        link("b", "a"),
        link("c/layer.tar", "../a/layer.tar"),
        hard_link("d", "a/layer.tar"),
        Member("manifest.json", json.dumps(manifest).encode()),
    )
    assert lines(store, archive) == ["Loaded image: l:1\n"]


@pytest.mark.needs("skopeo")
def test_oci_archives_of_another_tool(store: Images, tmp_path: Path) -> None:
    source, target = tmp_path / "in.tar", tmp_path / "oci.tar"
    source.write_bytes(one_image(LAYER, OTHER))
    subprocess.run(
        ["skopeo", "copy", "-q", f"docker-archive:{source}", f"oci-archive:{target}:named/x:5"],
        check=True,
    )
    assert lines(store, target.read_bytes()) == ["Loaded image: named/x:5\n"]
    image = store.get("named/x:5")
    assert image.config.diff_ids == (digest(LAYER), digest(OTHER))


def oci(
    *,
    platforms: Sequence[str] = (),
    names: Sequence[str] = ("docker.io/library/o:1",),
    nested: bool = False,
) -> bytes:
    """An OCI layout with one image, or one for each platform below an index."""
    blobs: dict[str, bytes] = {}

    def put(data: bytes, kind: str, **more: object) -> dict[str, object]:
        blobs[digest(data)] = data
        return {
            "mediaType": f"application/vnd.oci.image.{kind}",
            "digest": digest(data),
            "size": len(data),
            **more,
        }

    def image(architecture: str) -> dict[str, object]:
        document: dict[str, object] = {
            "schemaVersion": 2,
            "config": put(config([LAYER], architecture=architecture), "config.v1+json"),
            "layers": [put(gzip.compress(LAYER, mtime=0), "layer.v1.tar+gzip")],
        }
        return put(
            json.dumps(document).encode(),
            "manifest.v1+json",
            platform={"os": "linux", "architecture": architecture},
        )

    tops = [image(a) for a in platforms] or [image("amd64")]
    if nested:
        index = {"schemaVersion": 2, "manifests": tops}
        tops = [put(json.dumps(index).encode(), "index.v1+json")]
    named = [{**tops[0], "annotations": {"io.containerd.image.name": name}} for name in names]
    index = {"schemaVersion": 2, "manifests": named or tops}
    members = [Member("blobs/" + name.replace(":", "/"), data) for name, data in blobs.items()]
    return tar(*members, Member("index.json", json.dumps(index).encode()))


def test_oci_layouts(store: Images) -> None:
    assert lines(store, oci(names=["docker.io/library/o:1", "r.example/o:2"])) == [
        "Loaded image: o:1\n",
        "Loaded image: r.example/o:2\n",
    ]
    assert lines(store, oci(names=[]))[0] == f"Loaded image ID: {store.get('o:1').id}\n"


def test_oci_index_chooses_the_platform(store: Images) -> None:
    import platform

    machine = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    lines(store, oci(platforms=["s390x", machine, "riscv64"], nested=True))
    assert store.get("o:1").config.architecture == machine
    with pytest.raises(NotFoundError, match="no matching manifest for linux/"):
        lines(store, oci(platforms=["s390x", "riscv64"], nested=True))


def manifest(entries: object) -> Member:
    return Member("manifest.json", json.dumps(entries).encode())


CONFIG = config([LAYER])
GOOD = {"Config": "c", "RepoTags": ["x:1"], "Layers": ["l"]}
PARTS = (Member("c", CONFIG), Member("l", LAYER))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"hello", "unexpected end"),
        (b"<html>" * 200, "not a tar archive"),
        (gzip.compress(one_image(LAYER))[:-500], "truncated"),
        (one_image(LAYER)[:-12000], "unexpected end"),
        (tar(Member("x", b"1")), "neither manifest.json nor index.json"),
        (tar(manifest({})), "not a list"),
        (tar(manifest([])), "no image"),
        (tar(manifest([1])), "without Config"),
        (tar(Member("manifest.json", b"[" * 100_000)), "nested too deeply"),
        (tar(Member("manifest.json", b'[{"Config":"a","Config":"b"}]')), "occurs twice"),
        (tar(Member("manifest.json", b"[" + b"1" * 10_000 + b"]")), "number"),
        (tar(Member("manifest.json", b"\xff\xfe")), "UTF-8"),
        (tar(Member("manifest.json", b" " * (5 << 20))), "larger than"),
        (tar(*PARTS, manifest([GOOD | {"Config": "../../etc/passwd"}])), "leaves the layer"),
        (tar(*PARTS, manifest([GOOD | {"Config": "nowhere"}])), "has no 'nowhere'"),
        (tar(*PARTS, manifest([GOOD | {"Layers": ["/etc/passwd"]}])), "has no"),
        (tar(*PARTS, manifest([GOOD | {"Layers": []}])), "length mismatch: expected 1, got 0"),
        (tar(*PARTS, manifest([GOOD | {"Layers": "l"}])), "not a list of strings"),
        (tar(*PARTS, manifest([GOOD | {"RepoTags": ["UPPER:x"]}])), "must be lowercase"),
        (tar(*PARTS, manifest([GOOD | {"RepoTags": ["x@" + digest(b"")]}])), "invalid tag"),
        (tar(Member("c", b"{}"), PARTS[1], manifest([GOOD])), "no rootfs"),
        (tar(Member("c", b"[]"), PARTS[1], manifest([GOOD])), "not a JSON object"),
        (tar(Member("c", CONFIG), Member("l", OTHER), manifest([GOOD])), "wrong diff id"),
        (tar(Member("c", CONFIG), Member("l", b"<html>"), manifest([GOOD])), "unexpected end"),
        (tar(*PARTS, Member("l", OTHER), manifest([GOOD])), "twice"),
        (tar(link("c", "../../../etc/passwd"), PARTS[1], manifest([GOOD])), "leaves the layer"),
        (tar(link("c", "c"), PARTS[1], manifest([GOOD])), "has no 'c'"),
        (tar(Member("../x", b"1"), *PARTS, manifest([GOOD])), "leaves the layer"),
        (tar(*PARTS, manifest([GOOD, GOOD | {"Config": "nowhere"}])), "has no"),
        (tar(Member("index.json", b'{"schemaVersion":2,"manifests":[],"layers":[]}')), "both"),
        (oci().replace(b"gzip", b"gzap", 1), "digest mismatch"),
    ],
)
def test_b13_bad_archives_change_nothing(
    store: Images, events: Events, tmp_path: Path, data: bytes, words: str
) -> None:
    with pytest.raises(InvalidRequestError, match=words):
        lines(store, data)
    assert held(tmp_path, store) == []
    assert store.ids() == []
    assert events.seen == []


def test_a14_a_bomb_is_stopped_by_the_disk_and_leaves_nothing(tmp_path: Path) -> None:
    disk, place = tmp_path / "disk", tmp_path / "small"
    place.mkdir()
    with disk.open("wb") as file:
        file.truncate(96 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", disk], check=True)
    subprocess.run(["mount", "-o", "loop", disk, place], check=True)
    try:
        (place / "lost+found").rmdir()
        layer_data = gzip.compress(tar(Member("zeros", bytes(200 << 20))), 1)
        data = json.dumps({"rootfs": {"type": "layers", "diff_ids": [digest(b"")]}}).encode()
        archive = docker_archive((data, [layer_data], ["bomb:1"]))
        with opened(place / "data") as images:
            with pytest.raises(PydError, match="No space left"):
                lines(images, archive)
            images.snapshots._sweeper.close()
            assert inventory(place / "data") == []
            assert lines(images, one_image(LAYER)) == ["Loaded image: made:one\n"]
    finally:
        subprocess.run(["umount", place], check=True)


def test_progress_bars_when_asked(store: Images) -> None:
    said: list[object] = []
    load(store, io.BytesIO(one_image(LAYER)), lambda m: said.append(dict(m)), quiet=False)
    size = len(LAYER)
    assert said[0] == {
        "status": "Loading layer",
        "progressDetail": {"current": size, "total": size},
        "progress": f"[{'=' * 50}>]  {size / 1000:.4g}kB/{size / 1000:.4g}kB",
        "id": digest(LAYER)[7:19],
    }


def test_a_client_that_leaves_stops_the_load(store: Images, tmp_path: Path) -> None:
    def gone(_: object) -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        load(store, io.BytesIO(one_image(LAYER)), gone, quiet=False)
    assert held(tmp_path, store) == []


def test_b11_loads_of_the_same_layers_at_once(store: Images, tmp_path: Path) -> None:
    archives = [one_image(LAYER, OTHER, tags=[f"p:{n}"]) for n in range(6)]
    threads = [Thread(target=lines, args=(store, data)) for data in archives]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len({store.get(f"p:{n}").id for n in range(6)}) == 1
    names = [n for n in held(tmp_path, store) if n.startswith("snapshots/")]
    assert len(names) == 3  # two layers and the engine-made one


def test_import(store: Images, events: Events) -> None:
    said: list[object] = []
    import_archive(
        store,
        io.BytesIO(gzip.compress(LAYER)),
        said.append,
        repository="imp",
        tag="7",
        message="words",
        changes=[
            'CMD ["sh", "-c"]',
            "ENV A=1 B='2 3'\nENV A=4",
            "EXPOSE 80 53/udp",
            "LABEL k=v",
            "VOLUME /a /b",
            "WORKDIR /w",
            "WORKDIR x",
            "USER 5:6",
            "STOPSIGNAL SIGINT",
            "entrypoint run it",
        ],
    )
    image = store.get("imp:7")
    assert said == [{"status": image.id}]
    assert events.seen == [("image", "import", image.id)]
    shape = wire.inspect(store, "imp:7")
    assert shape["Comment"] == "words"
    assert shape["Config"] == {
        "Cmd": ["sh", "-c"],
        "Entrypoint": ["/bin/sh", "-c", "run it"],
        "Env": ["A=4", "B=2 3"],
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        "Labels": {"k": "v"},
        "OnBuild": None,
        "StopSignal": "SIGINT",
        "User": "5:6",
        "Volumes": {"/a": {}, "/b": {}},
        "WorkingDir": "/w/x",
    }


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ("RUN x", InvalidRequestError),
        ("ONBUILD RUN x", UnsupportedError),
        ("HEALTHCHECK NONE", UnsupportedError),
        ("EXPOSE 99999", InvalidRequestError),
        ("EXPOSE 80/icmp", InvalidRequestError),
        ("ENV", InvalidRequestError),
        ("ENV 'a", InvalidRequestError),
        ("STOPSIGNAL no such", InvalidRequestError),
    ],
)
def test_bad_changes(store: Images, change: str, error: type[PydError]) -> None:
    with pytest.raises(error):
        import_archive(store, io.BytesIO(LAYER), lambda _: None, changes=[change])
    assert store.ids() == []


def test_bad_imports(store: Images, tmp_path: Path) -> None:
    for data in (b"", b"hello", b"<html>" * 200):
        with pytest.raises(InvalidRequestError):
            import_archive(store, io.BytesIO(data), lambda _: None, repository="x")
    with pytest.raises(InvalidRequestError, match="lowercase"):
        import_archive(store, io.BytesIO(LAYER), lambda _: None, repository="X")
    assert held(tmp_path, store) == []


def test_the_base_image(store: Images) -> None:
    ensure_base(store)
    image = store.get("pyd.local/base")
    began = time.perf_counter()
    ensure_base(store)
    assert time.perf_counter() - began < 0.05
    assert image.config.cmd == ("sh",)
    root = store.snapshots.layers.path(image.top or pytest.fail("no layer"))
    for name in ("bin/sh", "bin/ls", "usr/bin/wc", "usr/sbin/httpd"):
        assert (root / name).samefile(root / "bin/busybox"), name
    assert (root / "tmp").stat().st_mode & 0o7777 == 0o1777
    assert (root / "etc/passwd").read_text().startswith("root:x:0:0:")
    assert (root / "etc/shadow").stat().st_mode & 0o7777 == 0o640
    assert store.tag_owner(BASE) == image.id
    assert layer(b"x", ["bin/b", "bin/a"]) == layer(b"x", ["bin/a", "bin/b", "bin/a", "opt/z"])


def test_g7_a_full_disk_is_said_so(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "none", place], check=True)
    try:
        with opened(place / "data") as images:
            service = ImageService(images, Users())
            filler = place / "filler"
            filler.write_bytes(bytes(19 << 20))
            archive = one_image(tar(Member("f", os.urandom(3 << 20))))
            with pytest.raises(InternalError, match="space"):
                service.load(io.BytesIO(archive), lambda _: None, quiet=True)
            images.snapshots._sweeper.close()
            assert inventory(place / "data") == []
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_worker_that_is_killed_fails_its_layer_only(store: Images, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # the worker waits for a writer
    with store.snapshots.unpacking() as batch:
        job = batch.submit(pipe, digest=None, diff_id=None, parent=None)
        while not batch._busy:
            time.sleep(0.001)
        (worker,) = batch._busy
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(InternalError, match="ended in the middle"):
            job.result(10)
    assert held(tmp_path, store) == []


def test_leaving_ends_workers_that_are_busy(store: Images, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with store.snapshots.unpacking() as batch:
        job = batch.submit(pipe, digest=None, diff_id=None, parent=None)
        while not batch._busy:
            time.sleep(0.001)
        (worker,) = batch._busy
    assert isinstance(job.exception(10), InternalError)
    assert not Path(f"/proc/{worker.pid}").exists()
    assert held(tmp_path, store) == []
