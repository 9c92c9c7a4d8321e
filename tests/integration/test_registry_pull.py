"""Pulls over loopback: from Debian's registry, and from one that lies in every way it can."""

import base64
import gzip
import io
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pyd_api.errors import (
    InternalError,
    InvalidRequestError,
    NotFoundError,
    PydError,
    UnauthorizedError,
    UnsupportedError,
)
from pyd_api.reference import Reference
from pyd_guest.images import wire
from pyd_guest.images.load import load
from pyd_guest.images.platform import Platform
from pyd_guest.images.pull import pull
from pyd_guest.images.service import pull_reference
from pyd_guest.images.store import Images
from pyd_guest.registry.credentials import Credentials
from support.hostile_registry import OCI, Handler, Registry, serving
from support.image_stores import Events, inventory, opened
from support.tarballs import Member, config, digest, one_image, tar

pytestmark = pytest.mark.needs("root")
LAYERS = [
    tar(Member("a", b"1" * 3000)),
    tar(Member("b", b"2")),
    tar(Member("c", b"3")),
    tar(Member("d", b"4")),
    tar(Member("e", b"5")),
]


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def store(tmp_path: Path, events: Events) -> Iterator[Images]:
    with opened(tmp_path / "data", events) as images:
        yield images


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serving() as registry:
        yield registry


def said(images: Images, name: str, **options: object) -> list[dict[str, object]]:
    messages: list[dict[str, object]] = []
    lock = threading.Lock()

    def hear(message: object) -> None:
        assert isinstance(message, dict)
        with lock:
            messages.append(message)

    pull(images, Reference.parse(name), hear, **options)  # type: ignore[arg-type]
    return messages


def nothing(images: Images, tmp_path: Path) -> bool:
    images.collect()
    images.snapshots._sweeper.close()
    return inventory(tmp_path / "data") == [] and images.ids() == []


def test_a_pull_and_its_words(store: Images, registry: Registry, events: Events) -> None:
    top = registry.image("some/thing", LAYERS)
    name = f"{registry.domain}/some/thing"
    messages = said(store, name)
    image = store.get(name)
    assert image.config.diff_ids == tuple(map(digest, LAYERS))
    assert messages[0] == {"status": "Pulling from some/thing", "id": "latest"}
    assert messages[-2:] == [
        {"status": f"Digest: {top['digest']}"},
        {"status": f"Status: Downloaded newer image for {name}:latest"},
    ]
    short = digest(gzip.compress(LAYERS[0], mtime=0))[7:19]
    about = [m["status"] for m in messages if m.get("id") == short]
    assert list(dict.fromkeys(about)) == [
        "Pulling fs layer",
        "Downloading",
        "Verifying Checksum",
        "Download complete",
        "Extracting",
        "Pull complete",
    ]
    assert sum(m["status"] == "Waiting" for m in messages) == 2
    assert wire.inspect(store, name)["RepoDigests"] == [f"{name}@{top['digest']}"]
    assert store.get(f"{name}@{top['digest']}").id == image.id
    assert events.seen == [("image", "pull", f"{name}:latest")]
    assert events.attributes[0]["name"] == name
    asked = registry.count("/blobs/")
    again = said(store, name)
    assert registry.count("/blobs/") == asked + 1  # the config
    assert [m["status"] for m in again[1:-2]] == ["Already exists"] * 5
    assert again[-1] == {"status": f"Status: Image is up to date for {name}:latest"}


def test_pulling_by_digest_gives_no_tag(store: Images, registry: Registry) -> None:
    top = registry.image("x", LAYERS[:1])
    name = f"{registry.domain}/x@{top['digest']}"
    said(store, name)
    shape = wire.inspect(store, name)
    assert (shape["RepoTags"], shape["RepoDigests"]) == ([], [name])


def test_index_and_platform(store: Images, registry: Registry) -> None:
    host = Platform.host().architecture
    manifests = []
    for architecture in ("s390x", host):
        one = registry.image("x", LAYERS[:1], architecture=architecture)
        manifests.append(one | {"platform": {"os": "linux", "architecture": architecture}})
    index = {"schemaVersion": 2, "manifests": manifests}
    registry.manifest("x", index, kind=OCI + "index.v1+json")
    name = f"{registry.domain}/x"
    said(store, name)
    assert store.get(name).config.architecture == host
    said(store, name, platform=Platform.parse("linux/s390x"))
    assert store.get(name).config.architecture == "s390x"
    with pytest.raises(NotFoundError, match="no matching manifest for linux/riscv64"):
        said(store, name, platform=Platform.parse("riscv64"))
    registry.image("single", LAYERS[:1], architecture=host)
    wanted = Platform.parse("linux/s390x")
    last = said(store, f"{registry.domain}/single", platform=wanted)[-1]["status"]
    assert str(last).startswith("WARNING: image with reference")


def test_docker_schema_2(store: Images, registry: Registry) -> None:
    docker = "application/vnd.docker."
    kind = docker + "distribution.manifest.v2+json"
    registry.manifest(
        "x",
        {
            "schemaVersion": 2,
            "mediaType": kind,
            "config": registry.put("x", config(LAYERS[:1]), docker + "container.image.v1+json"),
            "layers": [
                registry.put("x", gzip.compress(LAYERS[0]), docker + "image.rootfs.diff.tar.gzip")
            ],
        },
        kind=kind,
    )
    said(store, f"{registry.domain}/x")


def flip(handler: Handler) -> bool:
    registry = handler.server.registry  # type: ignore[attr-defined]
    data = bytearray(registry.content[handler.path][1])
    data[-9] ^= 1
    return handler.answer(200, bytes(data))


def test_b1_a_bit_flip_ends_the_pull_and_keeps_the_others(
    store: Images, registry: Registry, tmp_path: Path
) -> None:
    registry.image("x", LAYERS)
    bad = digest(gzip.compress(LAYERS[4], mtime=0))
    registry.behaviours[f"/v2/x/blobs/{bad}"] = flip
    with pytest.raises(InvalidRequestError, match=f"verification failed for digest {bad}"):
        said(store, f"{registry.domain}/x")
    assert store.ids() == []
    registry.behaviours.clear()
    before = registry.count("/blobs/")
    said(store, f"{registry.domain}/x")
    assert registry.count("/blobs/") - before < 6  # whole layers were not fetched again


def test_b2_a_cut_connection_is_resumed(store: Images, registry: Registry) -> None:
    registry.image("x", LAYERS[:1])
    noise = b"".join(digest(b"%d" % n).encode() for n in range(30_000))
    registry.image("big", [tar(Member("noise", noise))])
    cuts: list[str] = []

    def cut(handler: Handler) -> bool:
        data = registry.content[handler.path][1]
        span = handler.headers.get("Range")
        start = int(span[6:-1]) if span else 0
        cuts.append(handler.path)
        part = data[start : start + len(data) // 4]
        headers = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
        return handler.answer(206 if start else 200, part, headers, length=len(data) - start)

    registry.behaviours[
        "/v2/big/blobs/" + digest(gzip.compress(tar(Member("noise", noise)), mtime=0))
    ] = cut
    said(store, f"{registry.domain}/big")
    assert len(cuts) == 5


def test_b2_a_registry_that_never_ends_a_blob(
    store: Images, registry: Registry, tmp_path: Path
) -> None:
    registry.image("x", LAYERS[:1])
    registry.behaviours["/v2/x/blobs/" + digest(gzip.compress(LAYERS[0], mtime=0))] = (
        lambda handler: handler.answer(200, b"", length=100)
    )
    with pytest.raises(InternalError, match="unexpected EOF"):
        said(store, f"{registry.domain}/x")
    assert nothing(store, tmp_path)


def test_b2_more_bytes_than_announced(store: Images, registry: Registry, tmp_path: Path) -> None:
    registry.image("x", LAYERS[:1])
    registry.behaviours["/v2/x/blobs/" + digest(gzip.compress(LAYERS[0], mtime=0))] = (
        lambda handler: handler.answer(200, bytes(1 << 20))
    )
    with pytest.raises(InvalidRequestError, match="larger than the"):
        said(store, f"{registry.domain}/x")
    assert nothing(store, tmp_path)


def descriptor(**changes: object) -> dict[str, object]:
    data = config(LAYERS[:1])
    return {
        "mediaType": OCI + "config.v1+json",
        "digest": digest(data),
        "size": len(data),
    } | changes


IMAGE: dict[str, object] = {"schemaVersion": 2, "config": descriptor(), "layers": []}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"<html></html>", "invalid manifest"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"schemaVersion":2,"schemaVersion":2}', "twice"),
        (b'{"a":NaN}', "not JSON"),
        (b'{"a":' + b"1" * 10_000 + b"}", "too long"),
        (b"\xff", "UTF-8"),
        (b"[]", "not a JSON object"),
        ({"schemaVersion": 1}, "schema 1 is not supported"),
        ({"schemaVersion": 2}, "neither"),
        ({**IMAGE, "schemaVersion": 3}, "schemaVersion"),
        ({**IMAGE, "manifests": []}, "both an index and an image"),
        ({**IMAGE, "mediaType": OCI + "index.v1+json"}, "the registry says"),
        ({**IMAGE, "mediaType": 5}, "not a string"),
        ({**IMAGE, "layers": {}}, "not a list"),
        ({**IMAGE, "layers": [5]}, "not an object"),
        ({**IMAGE, "layers": [descriptor()] * 2000}, "2000 layers"),
        ({**IMAGE, "config": descriptor(digest="sha256:../../x")}, "invalid digest"),
        ({**IMAGE, "config": descriptor(digest="sha512:" + "0" * 128)}, "invalid digest"),
        ({**IMAGE, "config": descriptor(digest="SHA256:" + "A" * 64)}, "invalid digest"),
        ({**IMAGE, "config": descriptor(digest="x" * 100_000)}, "invalid digest"),
        ({**IMAGE, "config": descriptor(size=-1)}, "size -1"),
        ({**IMAGE, "config": descriptor(size=1 << 62)}, "size"),
        ({**IMAGE, "config": descriptor(size=True)}, "without media type or size"),
        ({**IMAGE, "config": descriptor(size=500 << 20)}, "image config is larger"),
        ({**IMAGE, "config": descriptor(size=5)}, "config verification failed"),
        ({**IMAGE, "config": descriptor(mediaType="application/x-helm")}, "not an image's"),
        (IMAGE, "0 layers, the config has 1"),
    ],
)
def test_b3_b4_b6_bad_manifests(
    store: Images, registry: Registry, tmp_path: Path, document: object, words: str
) -> None:
    registry.put("x", config(LAYERS[:1]), OCI + "config.v1+json")
    registry.manifest("x", document)
    with pytest.raises(InvalidRequestError, match=words):
        said(store, f"{registry.domain}/x")
    assert nothing(store, tmp_path)


def test_b5_oversize_documents_are_cut_off(store: Images, registry: Registry) -> None:
    registry.manifest("x", b" " * (5 << 20))
    with pytest.raises(InvalidRequestError, match="larger than"):
        said(store, f"{registry.domain}/x")


def test_b7_urls_of_layers_are_not_followed(store: Images, registry: Registry) -> None:
    registry.image("x", LAYERS[:1])
    kind, data = registry.content["/v2/x/manifests/latest"]
    document = json.loads(data)
    document["layers"][0]["urls"] = [f"http://{registry.domain}/elsewhere"]
    registry.manifest("x", document, kind=kind)
    said(store, f"{registry.domain}/x")
    assert registry.count("elsewhere") == 0


def test_b10_encoded_answers_are_refused(store: Images, registry: Registry) -> None:
    registry.image("x", LAYERS[:1])
    registry.behaviours["/v2/x/manifests"] = lambda handler: handler.answer(
        200, gzip.compress(bytes(1 << 20)), {"Content-Encoding": "gzip"}
    )
    with pytest.raises(InvalidRequestError, match="encoded content"):
        said(store, f"{registry.domain}/x")


def test_a19_wrong_diff_id(store: Images, registry: Registry, tmp_path: Path) -> None:
    registry.image(
        "x", LAYERS[:2], rootfs={"type": "layers", "diff_ids": [digest(LAYERS[0]), digest(b"")]}
    )
    with pytest.raises(InvalidRequestError, match="wrong diff id"):
        said(store, f"{registry.domain}/x")
    assert nothing(store, tmp_path)


def test_a_manifest_that_is_not_what_its_digest_says(store: Images, registry: Registry) -> None:
    top = registry.image("x", LAYERS[:1])
    registry.image("x", LAYERS[1:2], tag=str(top["digest"]))
    with pytest.raises(InvalidRequestError, match="manifest verification failed"):
        said(store, f"{registry.domain}/x@{top['digest']}")


def test_what_is_not_there(store: Images, registry: Registry) -> None:
    with pytest.raises(
        NotFoundError, match=r"manifest for .*/x:latest not found: manifest unknown"
    ):
        said(store, f"{registry.domain}/x")
    registry.behaviours["/v2/x/"] = lambda handler: handler.answer(503, b"busy")
    with pytest.raises(InternalError, match="unexpected HTTP status: 503"):
        said(store, f"{registry.domain}/x")
    registry.behaviours["/v2/x/"] = lambda handler: handler.answer(
        403, b'{"errors":[{"code":"DENIED","message":"requested access"}]}'
    )
    with pytest.raises(NotFoundError, match=r"pull access denied for .*: denied: requested access"):
        said(store, f"{registry.domain}/x")
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(InternalError, match=rf'Get "http://127.0.0.1:{port}/v2/": dial tcp'):
            said(store, f"127.0.0.1:{port}/x")


def header(**fields: str) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()


def test_basic_and_bearer(store: Images, registry: Registry) -> None:
    registry.image("x", LAYERS[:1])
    basic = "Basic " + base64.b64encode(b"me:secret").decode()

    def need(value: str, challenge: str) -> None:
        def behave(handler: Handler) -> bool:
            if handler.headers.get("Authorization") == value:
                return False
            return handler.answer(401, b"{}", {"WWW-Authenticate": challenge})

        registry.behaviours["/v2/"] = behave

    def token(handler: Handler) -> bool:
        assert "scope=repository%3Ax%3Apull" in handler.path
        if handler.headers.get("Authorization") not in (None, basic):
            return handler.answer(401, b"{}")
        return handler.answer(200, b'{"token": "abc"}')

    mine = Credentials.parse(header(username="me", password="secret"))
    need(basic, 'Basic realm="r"')
    said(store, f"{registry.domain}/x", credentials=mine)
    with pytest.raises(UnauthorizedError, match="no basic auth credentials"):
        said(store, f"{registry.domain}/x")
    other = Credentials.parse(
        header(username="me", password="secret", serveraddress="elsewhere.example")
    )
    with pytest.raises(UnauthorizedError):
        said(store, f"{registry.domain}/x", credentials=other)
    need("Bearer abc", f'Bearer realm="http://{registry.domain}/token",service="s"')
    registry.behaviours["/token"] = token
    said(store, f"{registry.domain}/x")
    said(store, f"{registry.domain}/x", credentials=mine)
    said(store, f"{registry.domain}/x", credentials=Credentials.parse(header(registrytoken="abc")))


@pytest.mark.parametrize(
    "realm",
    [
        "http://169.254.169.254/token",
        "ftp://x/",
        "",
        "https://user@x/",
        "http://[::1",
        "file:///etc/passwd",
    ],
)
def test_b8_token_realms(store: Images, registry: Registry, realm: str) -> None:
    registry.behaviours["/v2/"] = lambda handler: handler.answer(
        401, b"{}", {"WWW-Authenticate": f'Bearer realm="{realm}"'}
    )
    began = time.monotonic()
    with pytest.raises(PydError):
        said(store, f"{registry.domain}/x")
    assert time.monotonic() - began < 20


def test_redirects_carry_no_credentials(store: Images, registry: Registry) -> None:
    registry.image("x", LAYERS[:1])
    basic = "Basic " + base64.b64encode(b"me:secret").decode()
    with serving() as other:
        other.content = {path.replace("/v2/", "/cdn/"): c for path, c in registry.content.items()}

        def away(handler: Handler) -> bool:
            if handler.headers.get("Authorization") != basic:
                return handler.answer(401, b"{}", {"WWW-Authenticate": 'Basic realm="r"'})
            if "/blobs/" not in handler.path:
                return False
            where = f"http://{other.domain}{handler.path.replace('/v2/', '/cdn/')}"
            return handler.answer(307, b"", {"Location": where})

        registry.behaviours["/v2/"] = away
        mine = Credentials.parse(header(username="me", password="secret"))
        said(store, f"{registry.domain}/x", credentials=mine)
        assert len(other.asked) == 2
        assert all("Authorization" not in headers for _, headers in other.asked)
    registry.behaviours["/v2/x/"] = lambda handler: handler.answer(
        302, b"", {"Location": handler.path}
    )
    registry.behaviours.pop("/v2/")
    with pytest.raises(InvalidRequestError, match="in circles"):
        said(store, f"{registry.domain}/x")


def test_a_client_that_leaves_ends_the_pull_soon(
    store: Images, registry: Registry, tmp_path: Path
) -> None:
    registry.image("x", LAYERS)
    stuck = threading.Event()

    def hang(handler: Handler) -> bool:
        stuck.wait(20)
        return False

    registry.behaviours["/v2/x/blobs/" + digest(gzip.compress(LAYERS[0], mtime=0))] = hang

    def hear(message: object) -> None:
        assert isinstance(message, dict)
        if message["status"] == "Pull complete":
            raise InternalError("gone")

    began = time.monotonic()
    with pytest.raises(InternalError, match="gone"):
        pull(store, Reference.parse(f"{registry.domain}/x"), hear)
    stuck.set()
    assert time.monotonic() - began < 10
    assert nothing(store, tmp_path)


def test_b11_ten_clients_one_download(store: Images, registry: Registry) -> None:
    registry.image("x", LAYERS[:2])
    name = f"{registry.domain}/x"
    threads = [threading.Thread(target=said, args=(store, name)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert store.get(name).config.diff_ids == tuple(map(digest, LAYERS[:2]))
    layers = [digest(gzip.compress(layer, mtime=0)) for layer in LAYERS[:2]]
    assert [registry.count(layer) for layer in layers] == [1, 1]


def test_names_of_a_pull_request() -> None:
    top = "sha256:" + "a" * 64
    assert str(pull_reference("x", "1")) == "docker.io/library/x:1"
    assert str(pull_reference("x:2", "")) == "docker.io/library/x:2"
    assert str(pull_reference("x", top)) == f"docker.io/library/x@{top}"
    with pytest.raises(UnsupportedError, match="all tags"):
        pull_reference("127.0.0.1:5000/x", "")
    for name, tag in (
        ("X", "1"),
        ("x", "a b"),
        ("x", "sha256:1"),
        ("", "1"),
        ("x/", "1"),
        (f"x@{top}", "1"),
        ("x" * 300, "1"),
        ("é", "1"),
    ):
        with pytest.raises(InvalidRequestError):
            pull_reference(name, tag)


@pytest.mark.needs("docker-registry", "skopeo")
def test_the_registry_of_debian(store: Images, tmp_path: Path) -> None:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        domain = f"127.0.0.1:{free.getsockname()[1]}"
    (tmp_path / "c.yml").write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/r}}}}\n"
        f'http: {{addr: "{domain}"}}\nlog: {{level: error}}\n'
    )
    (tmp_path / "i.tar").write_bytes(one_image(*LAYERS))
    server = subprocess.Popen(
        ["docker-registry", "serve", str(tmp_path / "c.yml")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(100):
            with closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", int(domain.rpartition(":")[2]))) == 0:
                    break
            time.sleep(0.05)
        subprocess.run(
            [
                "skopeo",
                "copy",
                "-q",
                "--dest-tls-verify=false",
                f"docker-archive:{tmp_path}/i.tar",
                f"docker://{domain}/a/b:1",
            ],
            check=True,
        )
        said(store, f"{domain}/a/b:1")
        with pytest.raises(NotFoundError, match="manifest unknown"):
            said(store, f"{domain}/a/b:2")
    finally:
        server.terminate()
        server.wait()
    load(store, io.BytesIO(one_image(*LAYERS, tags=["same:1"])), lambda _: None)
    assert store.get("same:1").id == store.get(f"{domain}/a/b:1").id
