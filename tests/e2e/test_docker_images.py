"""Images with the stock client: load, import, pull, list, inspect, tag, remove."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.archives import COMPRESSIONS, docker_archive, oci_archive, pack
from support.engine import Engine

pytestmark = pytest.mark.needs("root", "docker", "conmon")
TAG = "pyd-test.example/made:1"
COMMAND = ["/bin/cat", "/etc/made"]


@pytest.fixture(autouse=True)
def _own_images(engine: Engine) -> Iterator[None]:
    """Remove what a test has made also where the engine is not its own."""
    yield
    if engine.foreign:
        engine.remove_all(set())
        for line in engine.out("images", "--format", "{{.Repository}}:{{.Tag}}").splitlines():
            if line.startswith(("pyd-test.example/", "pydmade:", f"127.0.0.1:{_PORT}/")):
                engine.docker("rmi", "-f", line)


def _layers() -> list[bytes]:
    """Return three layers: busybox, two files, and a whiteout of one of them."""
    busybox = Path("/bin/busybox").read_bytes()
    return [
        pack({"bin/cat": busybox, "bin/ls": busybox, "bin/sh": busybox}),
        pack({"etc/made": b"by hand\n", "etc/gone": b"x"}),
        pack({"etc/.wh.gone": b""}),
    ]


@pytest.mark.parametrize("compress", list(COMPRESSIONS))
def test_load_of_a_docker_archive(engine: Engine, tmp_path: Path, compress: str) -> None:
    archive = tmp_path / "image.tar"
    image = docker_archive(archive, TAG, _layers(), COMMAND)
    archive.write_bytes(COMPRESSIONS[compress](archive.read_bytes()))
    assert engine.out("load", "-i", str(archive)) == f"Loaded image: {TAG}"
    assert engine.out("run", "--rm", TAG) == "by hand"
    assert "gone" not in engine.out("run", "--rm", TAG, "/bin/ls", "/etc").split()
    assert engine.out("image", "inspect", "-f", "{{.Id}}", TAG) == image


@pytest.mark.parametrize("compress", list(COMPRESSIONS))
def test_load_of_an_oci_archive(engine: Engine, tmp_path: Path, compress: str) -> None:
    archive = tmp_path / "image.tar"
    if engine.foreign:
        return  # without the containerd store dockerd reads no bare OCI layout
    image = oci_archive(archive, TAG, _layers(), COMMAND, compress)
    done = engine.docker("load", "-i", str(archive))
    assert "Loaded image" in done.stdout
    assert engine.out("run", "--rm", image) == "by hand"


@pytest.mark.parametrize("layer", ["docker-archive", "oci-archive"])
def test_a_layer_that_is_not_what_it_says_is_refused(
    engine: Engine, tmp_path: Path, layer: str
) -> None:
    archive = tmp_path / "image.tar"

    def damage(data: bytes) -> bytes:
        return data[:-700] + b"\1" + data[-699:]

    if layer == "oci-archive":
        oci_archive(archive, TAG, _layers(), COMMAND, damage=damage)
    else:
        layers = _layers()
        docker_archive(archive, TAG, layers, COMMAND)
        archive.write_bytes(archive.read_bytes().replace(b"by hand\n", b"by evil\n"))
    images = engine.out("images", "-aq")
    done = engine.docker("load", "-i", str(archive), check=False)
    if not engine.foreign:
        assert done.returncode == 1, done
        assert re.search("digest|diff ?id|checksum", done.stderr, re.IGNORECASE), done.stderr
        assert engine.out("images", "-aq") == images


def test_import_and_its_changes(engine: Engine, tmp_path: Path) -> None:
    archive = tmp_path / "root.tar"
    archive.write_bytes(pack({"bin/cat": Path("/bin/busybox").read_bytes(), "made": b"imported\n"}))
    changes = ["--change", 'CMD ["/bin/cat", "/made"]', "--change", "ENV A=b", "-m", "a message"]
    image = engine.out("import", *changes, str(archive), TAG).splitlines()[-1]
    assert re.fullmatch("sha256:[0-9a-f]{64}", image)
    assert engine.out("run", "--rm", TAG) == "imported"
    seen = json.loads(engine.out("image", "inspect", TAG))[0]
    assert seen["Config"]["Env"] == ["A=b"]
    assert seen["Comment"] == "a message"


def test_every_name_finds_the_image(engine: Engine, tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    image = docker_archive(archive, "pydmade:latest", _layers(), COMMAND)
    engine.docker("load", "-i", str(archive))
    for name in ("pydmade", "pydmade:latest", "library/pydmade", "docker.io/library/pydmade",
                 "index.docker.io/library/pydmade", image, image[7:], image[7:19]):  # fmt: skip
        assert engine.out("image", "inspect", "-f", "{{.Id}}", name) == image, name


def test_images_tag_and_rmi(engine: Engine, tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    image = docker_archive(archive, TAG, _layers(), COMMAND)
    engine.docker("load", "-i", str(archive))
    engine.out("tag", TAG, "pyd-test.example/other:2")
    listed = engine.out(
        "images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}} {{.Size}}"
    ).splitlines()
    mine = [line.split() for line in listed if line.startswith("pyd-test.example/")]
    assert {line[0] for line in mine} == {TAG, "pyd-test.example/other:2"}
    assert {line[1] for line in mine} == {image[7:19]}
    seen = json.loads(engine.out("image", "inspect", image))[0]
    assert sorted(seen["RepoTags"]) == sorted([TAG, "pyd-test.example/other:2"])
    assert (seen["Architecture"], seen["Os"]) == ("amd64", "linux")
    assert seen["Created"] == "2026-01-02T03:04:05Z"
    assert len(seen["RootFS"]["Layers"]) == 3
    assert seen["Config"]["Labels"] == {"made": "by hand"}
    assert engine.out("rmi", "pyd-test.example/other:2") == "Untagged: pyd-test.example/other:2"
    container = engine.out("create", TAG)
    done = engine.docker("rmi", TAG, check=False)
    assert done.returncode == 1
    assert container[:12] in done.stderr
    engine.out("rm", container)
    said = engine.out("rmi", TAG).splitlines()
    assert said[0] == f"Untagged: {TAG}"
    assert f"Deleted: {image}" in said
    assert engine.docker("image", "inspect", image, check=False).returncode == 1


def test_filters_of_images(engine: Engine, tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    image = docker_archive(archive, TAG, _layers(), COMMAND)
    engine.docker("load", "-i", str(archive))
    listed = ("images", "-q", "--no-trunc")
    assert engine.out(*listed, "pyd-test.example/made") == image
    assert engine.out(*listed, "--filter", "reference=pyd-test.example/*") == image
    assert image in engine.out(*listed, "--filter", "label=made=by hand")
    assert image not in engine.out(*listed, "--filter", "dangling=true")


def test_the_history_of_an_image(engine: Engine, tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    docker_archive(archive, TAG, _layers(), COMMAND)
    engine.docker("load", "-i", str(archive))
    lines = engine.out("history", "--format", "{{.CreatedBy}}", TAG).splitlines()
    assert lines == ["layer 2", "layer 1", "layer 0"]


_REGISTRY = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {root}}}}}
http: {{addr: 127.0.0.1:{port}}}
log: {{level: warn}}
"""
_PORT = 15907


@contextmanager
def _registry(engine: Engine, folder: Path) -> Iterator[str]:
    """Run Debian's registry on the engine's loopback, with one image in it; yield its name."""
    config = folder / "registry.yml"
    config.write_text(_REGISTRY.format(root=folder / "store", port=_PORT))
    archive = folder / "image.tar"
    docker_archive(archive, TAG, _layers(), COMMAND)
    inside = ["nsenter", "-t", str(engine.daemon_pid()), "-n", "--"]
    server = subprocess.Popen(
        [*inside, "docker-registry", "serve", config],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait = (
        "import socket, time; end = time.monotonic() + 20\n"
        "while time.monotonic() < end:\n"
        "    with socket.socket() as s:\n"
        f"        if not s.connect_ex(('127.0.0.1', {_PORT})): break\n"
        "    time.sleep(0.02)\n"
    )
    name = f"127.0.0.1:{_PORT}/made:1"
    try:
        subprocess.run([*inside, sys.executable, "-c", wait], check=True)
        copy = ["skopeo", "--insecure-policy", "copy", "-q", "--dest-tls-verify=false"]
        subprocess.run(
            [*inside, *copy, f"docker-archive:{archive}", f"docker://{name}"],
            check=True,
            env={**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
        )
        yield name
    finally:
        server.kill()
        server.wait()


@pytest.mark.needs("docker-registry", "skopeo")
def test_pull_from_a_plain_registry(engine: Engine, tmp_path: Path) -> None:
    with _registry(engine, tmp_path) as name:
        said = engine.out("pull", name)
        assert f"Status: Downloaded newer image for {name}" in said
        found = re.search("Digest: (sha256:[0-9a-f]{64})", said)
        assert found
        assert engine.out("run", "--rm", name) == "by hand"
        digests = json.loads(engine.out("image", "inspect", "-f", "{{json .RepoDigests}}", name))
        assert digests == [f"{name.rpartition(':')[0]}@{found.group(1)}"]
        assert f"Status: Image is up to date for {name}" in engine.out("pull", name)
        by_digest = digests[0]
        assert engine.out("run", "--rm", by_digest) == "by hand"
        absent = engine.docker("pull", f"{name[:-1]}2", check=False)
        assert absent.returncode == 1
        assert "not found" in absent.stderr or "manifest unknown" in absent.stderr
        engine.out("rmi", "-f", name)


@pytest.mark.needs("docker-registry", "skopeo")
def test_run_pulls_what_is_missing(engine: Engine, tmp_path: Path) -> None:
    with _registry(engine, tmp_path) as name:
        done = engine.docker("run", "--rm", name)
        assert done.stdout == "by hand\n"
        assert f"Unable to find image '{name}' locally" in done.stderr
        engine.out("rmi", name)
