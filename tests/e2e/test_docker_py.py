"""The Python SDK (docker-py), unmodified."""

import contextlib
import io
import time

import pytest
from docker.errors import APIError, ContainerError, ImageNotFound, NotFound

from support.archives import docker_archive, pack
from support.engine import Engine

pytestmark = [
    pytest.mark.needs("root", "docker", "conmon"),
    # docker-py leaves the sockets of streams that are not read to their end to the collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_ping_version_info(engine: Engine) -> None:
    with engine.client() as client:
        assert client.ping() is True
        version = client.version()
        assert version["Os"] == "linux"
        assert tuple(map(int, version["ApiVersion"].split("."))) >= (1, 50)
        assert version["MinAPIVersion"] == "1.24"
        info = client.info()
        assert info["Containers"] == info["ContainersRunning"] + info[
            "ContainersStopped"
        ] + info.get("ContainersPaused", 0)
        assert info["Swarm"]["LocalNodeState"] == "inactive"


def test_run_returns_the_output(engine: Engine) -> None:
    with engine.client() as client:
        assert client.containers.run(engine.image, "echo hi", remove=True) == b"hi\n"
        both = client.containers.run(
            engine.image, ["sh", "-c", "echo o; echo e >&2"], remove=True, stdout=True, stderr=True
        )
        assert sorted(both.split()) == [b"e", b"o"]


def test_run_raises_what_went_wrong(engine: Engine) -> None:
    with engine.client() as client:
        with pytest.raises(ContainerError) as failed:
            client.containers.run(engine.image, ["sh", "-c", "echo no >&2; exit 3"], remove=True)
        assert failed.value.exit_status == 3
        assert failed.value.stderr == b"no\n"
        with pytest.raises(ImageNotFound):
            client.images.get("no-such-image")
        with pytest.raises(NotFound):
            client.containers.get("no-such-container")
        with pytest.raises(APIError) as refused:
            client.containers.run(engine.image, "no-such-program", remove=True)
        assert "executable file not found" in str(refused.value)


def test_a_container_from_create_to_remove(engine: Engine) -> None:
    with engine.client() as client:
        script = ["sh", "-c", "trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done"]
        box = client.containers.create(
            engine.image, script, name="py-box", labels={"pydtest": "py"}
        )
        assert box.status == "created"
        box.start()
        for line in box.logs(stream=True, follow=True):
            assert line == b"up\n"
            break
        box.reload()
        assert box.status == "running"
        assert box.labels == {"pydtest": "py"}
        assert [one.id for one in client.containers.list(filters={"label": "pydtest=py"})] == [
            box.id
        ]
        box.rename("py-other")
        box.reload()
        assert box.name == "py-other"
        box.stop(timeout=10)
        assert box.wait() == {"StatusCode": 5}
        assert box.logs() == b"up\n"
        assert box.logs(timestamps=True).split(b" ", 1)[1] == b"up\n"
        box.remove()
        assert client.containers.list(all=True, filters={"label": "pydtest=py"}) == []


def test_exec_run(engine: Engine) -> None:
    with engine.client() as client:
        box = client.containers.run(engine.image, ["sleep", "600"], detach=True)
        code, output = box.exec_run(["sh", "-c", "echo out; echo err >&2; exit 4"], demux=True)
        assert (code, output) == (4, (b"out\n", b"err\n"))
        code, stream = box.exec_run(["sh", "-c", "echo a; sleep 0.3; echo b"], stream=True)
        assert (code, b"".join(stream)) == (None, b"a\nb\n")
        code, output = box.exec_run("id -u", user="65534", environment={"A": "b"}, workdir="/tmp")
        assert (code, output) == (0, b"65534\n")
        box.remove(force=True)


def test_attach_socket_talks_both_ways(engine: Engine) -> None:
    with engine.client() as client:
        box = client.containers.create(engine.image, "cat", stdin_open=True, tty=False)
        raw = box.attach_socket(params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        box.start()
        connection = raw._sock
        connection.settimeout(20)
        connection.sendall(b"hello\n")
        seen = b""
        while len(seen) < 8 + 6:
            seen += connection.recv(4096)
        assert seen == b"\x01\0\0\0\0\0\0\x06hello\n"
        raw.close()
        connection.close()
        assert box.wait()["StatusCode"] == 0  # docker-py asks for StdinOnce
        box.remove()


def test_images(engine: Engine) -> None:
    with engine.client() as client:
        path = engine.folder / "py.tar"
        image_id = docker_archive(path, "pyd-test.example/py:1", [pack({"a": b"b"})], ["/a"])
        (image,) = client.images.load(path.read_bytes())
        path.unlink()
        assert image.id == image_id
        assert image.tags == ["pyd-test.example/py:1"]
        assert image.tag("pyd-test.example/py", "2") is True
        image.reload()
        assert len(image.tags) == 2
        assert image_id in [one.id for one in client.images.list()]
        client.images.remove("pyd-test.example/py:1")
        client.images.remove("pyd-test.example/py:2")
        with pytest.raises(ImageNotFound):
            client.images.get(image_id)


def test_import_of_a_stream(engine: Engine) -> None:
    with engine.client() as client:
        data = io.BytesIO(pack({"a": b"b"}))
        client.api.import_image_from_data(
            data.getvalue(), repository="pyd-test.example/in", tag="1"
        )
        assert client.images.get("pyd-test.example/in:1").attrs["RootFS"]["Type"] == "layers"
        client.images.remove("pyd-test.example/in:1")


def test_events(engine: Engine) -> None:
    with engine.client() as client:
        begin = time.time()
        box = client.containers.run(engine.image, "true", detach=True)
        box.wait()
        box.remove()
        events = client.events(
            since=begin, until=time.time(), decode=True, filters={"container": box.id}
        )
        assert [event["Action"] for event in events] == ["create", "start", "die", "destroy"]


def test_ports(engine: Engine) -> None:
    with engine.client() as client:
        ports = {"80/tcp": ("127.0.0.1", 28088), "81/udp": 28089}
        box = client.containers.run(engine.image, "sleep 600", detach=True, ports=ports)
        box.reload()
        assert box.ports["80/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": "28088"}]
        assert {"HostIp": "0.0.0.0", "HostPort": "28089"} in box.ports["81/udp"]
        box.remove(force=True)


def test_auto_remove_and_wait_for_removal(engine: Engine) -> None:
    with engine.client() as client:
        box = client.containers.create(engine.image, ["sh", "-c", "exit 6"], auto_remove=True)
        box.start()
        # Over before or after the question: the answer is the status or "gone", never a hang.
        with contextlib.suppress(NotFound):
            assert box.wait(condition="removed", timeout=20)["StatusCode"] == 6
        assert box.id not in engine.containers()


@pytest.mark.parametrize("version", ["1.24", "1.30", "1.41", "1.43", "1.50"])
def test_older_clients(engine: Engine, version: str) -> None:
    prefix = f"/v{version}"
    body = {"Image": engine.image, "Cmd": ["sh", "-c", "echo old; exit 2"]}
    created = engine.request("POST", f"{prefix}/containers/create", body)
    assert created.status == 201
    box = created.json()["Id"]
    assert engine.request("POST", f"{prefix}/containers/{box}/start").status == 204
    waited = engine.request("POST", f"{prefix}/containers/{box}/wait")
    assert waited.json()["StatusCode"] == 2
    logs = engine.request("GET", f"{prefix}/containers/{box}/logs?stdout=1")
    assert logs.body == b"\x01\0\0\0\0\0\0\x04old\n"
    listed = engine.request("GET", f"{prefix}/containers/json?all=1").json()
    assert box in [one["Id"] for one in listed]
    assert engine.request("DELETE", f"{prefix}/containers/{box}").status == 204
