"""Bad input, call by call: the status, words that name what is wrong, and nothing half-created.

The words are dockerd's (28.5), as clients match them. Where dockerd answers bad input with a 500,
pyd says 400; see `_CLIENT_FAULT`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote

import pytest

from support.archives import docker_archive, pack
from support.engine import Answer, Engine

pytestmark = pytest.mark.needs("root", "docker", "conmon")

Case: TypeAlias = tuple[str, str, "bytes | dict[str, object] | None", int, str]


def _filters(**wanted: str) -> str:
    return "filters=" + quote(json.dumps({name: [value] for name, value in wanted.items()}))


def _host(**config: object) -> dict[str, object]:
    return {"Image": "IMAGE", "HostConfig": config}


def _publish(port: str, **binding: str) -> dict[str, object]:
    return _host(PortBindings={port: [binding]})


_CREATE = "/containers/create"
_NO_BOX = "No such container: nope"
_LOWER = "must be lowercase"
_CASES: list[Case] = [
    ("GET", "/containers/json?limit=x", None, 400, 'parsing "x": invalid syntax'),
    ("GET", "/containers/json?filters=notjson", None, 400, "invalid filter"),
    ("GET", f"/containers/json?{_filters(nope='x')}", None, 400, "invalid filter 'nope'"),
    ("GET", f"/containers/json?{_filters(status='x')}", None, 400, "invalid value for state (x)"),
    ("GET", f"/containers/json?{_filters(exited='x')}", None, 400, "invalid filter 'exited=x'"),
    ("GET", f"/containers/json?{_filters(before='zzz')}", None, 404, "No such container: zzz"),
    ("GET", "/containers/nope/json", None, 404, _NO_BOX),
    ("GET", "/containers/nope/logs?stdout=1", None, 404, _NO_BOX),
    ("GET", "/containers/BOX/logs", None, 400, "you must choose at least one stream"),
    ("GET", "/containers/BOX/logs?stdout=1&since=x", None, 400, '"x": invalid syntax'),
    ("GET", "/containers/BOX/logs?stdout=1&until=x", None, 400, '"x": invalid syntax'),
    ("POST", "/containers/nope/start", None, 404, _NO_BOX),
    ("POST", "/containers/nope/stop", None, 404, _NO_BOX),
    ("POST", "/containers/BOX/stop?t=x", None, 400, 'parsing "x": invalid syntax'),
    ("POST", "/containers/BOX/stop?signal=SIGNOPE", None, 400, "invalid signal: SIGNOPE"),
    ("POST", "/containers/BOX/kill?signal=SIGNOPE", None, 400, "invalid signal: SIGNOPE"),
    ("POST", "/containers/BOX/kill?signal=99", None, 400, "does not support signal 99"),
    ("POST", "/containers/BOX/kill?signal=0", None, 400, "invalid signal: 0"),
    ("POST", "/containers/nope/kill", None, 404, f"cannot kill container: nope: {_NO_BOX}"),
    ("POST", "/containers/nope/restart", None, 404, _NO_BOX),
    ("POST", "/containers/nope/wait", None, 404, _NO_BOX),
    ("POST", "/containers/BOX/wait?condition=someday", None, 400, 'invalid condition: "someday"'),
    ("POST", "/containers/nope/attach", None, 404, _NO_BOX),
    ("POST", "/containers/BOX/attach?stream=1&detachKeys=nope", None, 400, "nope"),
    ("POST", "/containers/nope/resize?h=1&w=1", None, 404, _NO_BOX),
    ("POST", "/containers/BOX/resize?h=x&w=1", None, 400, 'invalid resize height "x"'),
    ("POST", "/containers/BOX/resize", None, 400, 'invalid resize height ""'),
    ("POST", "/containers/nope/rename?name=x", None, 404, _NO_BOX),
    ("POST", "/containers/BOX/rename?name=", None, 400, "Neither old nor new names may be empty"),
    ("POST", "/containers/BOX/rename?name=a/b", None, 400, "Invalid container name (/a/b)"),
    ("POST", "/containers/BOX/rename?name=BOX", None, 400, "with the same name as its current"),
    ("DELETE", "/containers/nope", None, 404, _NO_BOX),
    ("DELETE", "/containers/BOX", None, 409, "stop the container before removing or force remove"),
    ("POST", _CREATE, None, 400, "got EOF while reading request body"),
    ("POST", _CREATE, b"", 400, "got EOF while reading request body"),
    ("POST", _CREATE, b"{invalid json", 400, "invalid character 'i' looking for beginning of obj"),
    ("POST", _CREATE, b"[]", 400, "json: cannot unmarshal array into Go value of type container."),
    ("POST", _CREATE, b"null", 400, "config cannot be empty in order to create a container"),
    ("POST", _CREATE, b"{}", 400, "config cannot be empty in order to create a container"),
    ("POST", _CREATE, b'{"Image":"IMAGE"} trailing', 400, "unexpected content after JSON"),
    ("POST", _CREATE, {"Image": ""}, 400, "no command specified"),
    ("POST", _CREATE, {"Image": "no-such-image:x"}, 404, "No such image: no-such-image:x"),
    ("POST", _CREATE, {"Image": "Bad Image"}, 400, "invalid reference format"),
    ("POST", _CREATE, {"Image": "IMAGE", "Cmd": 7}, 400, "cannot unmarshal number into Go value"),
    ("POST", _CREATE, {"Image": "IMAGE", "Tty": "yes"}, 400, "cannot unmarshal string into Go"),
    ("POST", _CREATE, {"Image": "IMAGE", "Env": ["=x"]}, 400, "invalid environment variable: =x"),
    ("POST", _CREATE, {"Image": "IMAGE", "WorkingDir": "rel"}, 400, "'rel' is invalid, it needs"),
    ("POST", _CREATE, {"Image": "IMAGE", "StopSignal": "SIGNOPE"}, 400, "invalid signal: SIGNOPE"),
    ("POST", _CREATE, _publish("80/tcp", HostPort="99999"), 400, 'port specification: "99999"'),
    ("POST", _CREATE, _publish("80/tcp", HostPort="x"), 400, 'invalid port specification: "x"'),
    ("POST", _CREATE, _publish("0x/tcp", HostPort="80"), 400, 'invalid port specification: "0x"'),
    ("POST", _CREATE, _host(Memory=1024), 400, "Minimum memory limit allowed is 6MB"),
    ("POST", _CREATE, _host(IpcMode="nope"), 400, "invalid IPC mode: nope"),
    ("POST", _CREATE, _host(PidMode="nope"), 400, "invalid PID mode: nope"),
    ("POST", _CREATE, _host(UTSMode="nope"), 400, "invalid UTS mode: nope"),
    ("POST", _CREATE, _host(RestartPolicy={"Name": "nope"}), 400, "unknown policy 'nope'"),
    ("POST", _CREATE, _host(AutoRemove=True, RestartPolicy={"Name": "always"}), 400,
     "can't create 'AutoRemove' container with restart policy"),
    ("POST", _CREATE, _host(CapAdd=["NOPE"]), 400, 'unknown capability: "CAP_NOPE"'),
    ("POST", _CREATE, _host(ExtraHosts=["nope"]), 400, 'bad format for add-host: "nope"'),
    ("POST", _CREATE, _host(OomScoreAdj=5000), 400, "Invalid value 5000, range for oom score adj"),
    ("POST", _CREATE, _host(ShmSize=-1), 400, "SHM size can not be less than 0"),
    ("POST", _CREATE, _host(Runtime="nope"), 400, "unknown or invalid runtime name: nope"),
    ("POST", _CREATE, _host(LogConfig={"Type": "nope"}), 400, "nope"),
    ("POST", _CREATE, _host(SecurityOpt=["nope"]), 400, "nope"),
    ("POST", _CREATE, _host(Tmpfs={"relative": ""}), 400, "'relative' mount path must be absolute"),
    ("POST", f"{_CREATE}?name=bad%20name", {"Image": "IMAGE"}, 400, "container name (bad name)"),
    ("POST", f"{_CREATE}?name=a", {"Image": "IMAGE"}, 400, "Invalid container name (a)"),
    ("POST", f"{_CREATE}?name=BOX", {"Image": "IMAGE"}, 409, 'container name "/BOX" is already'),
    ("POST", f"{_CREATE}?platform=plan9/vax", {"Image": "IMAGE"}, 404, "platform (plan9/vax)"),
    ("POST", "/containers/nope/exec", {"Cmd": ["true"]}, 404, _NO_BOX),
    ("POST", "/containers/BOX/exec", {"Cmd": []}, 400, "No exec command specified"),
    ("POST", "/containers/BOX/exec", b"{", 400, "unexpected EOF"),
    ("POST", "/containers/BOX/exec", {"Cmd": ["true"], "DetachKeys": "nope"}, 400, "nope"),
    ("POST", "/exec/nope/start", {"Detach": False}, 404, "No such exec instance: nope"),
    ("GET", "/exec/nope/json", None, 404, "No such exec instance: nope"),
    ("POST", "/exec/nope/resize?h=1&w=1", None, 404, "No such exec instance: nope"),
    ("GET", "/images/nope/json", None, 404, "No such image: nope:latest"),
    ("GET", "/images/Bad%20Ref/json", None, 400, "invalid reference format"),
    ("DELETE", "/images/nope", None, 404, "No such image: nope:latest"),
    ("DELETE", "/images/IMAGE", None, 409, "conflict: unable to remove repository reference"),
    ("POST", "/images/nope/tag?repo=x&tag=y", None, 404, "No such image: nope:latest"),
    ("POST", "/images/IMAGE/tag?repo=UPPER&tag=y", None, 400, _LOWER),
    ("POST", "/images/IMAGE/tag?repo=x&tag=bad%20tag", None, 400, "invalid tag format"),
    ("POST", "/images/create?fromSrc=-&repo=UPPER", b"", 400, _LOWER),
    ("POST", "/images/create?fromImage=UPPER", None, 400, _LOWER),
    ("GET", f"/images/json?{_filters(nope='x')}", None, 400, "invalid filter 'nope'"),
    ("GET", "/events?since=x&until=1", None, 400, 'parsing "x": invalid syntax'),
    ("GET", "/v1.10/version", None, 400, "client version 1.10 is too old. Minimum supported API"),
    ("GET", "/v1.99/version", None, 400, "client version 1.99 is too new. Maximum supported API"),
    ("GET", "/vx/version", None, 404, "page not found"),
    ("GET", "/nope", None, 404, "page not found"),
    ("POST", "/version", None, 404, "page not found"),
    ("GET", "/swarm", None, 503, "This node is not a swarm manager."),
    ("GET", "/nodes", None, 503, "This node is not a swarm manager."),
    ("POST", "/session", None, 400, ""),
]  # fmt: skip
# Bad input that dockerd reports as its own failure: ours is 400.
_CLIENT_FAULT = {500: 400}


@pytest.fixture
def box(engine: Engine) -> Iterator[str]:
    name = "pyd-bad-input"
    engine.out("run", "-d", "--name", name, engine.image, "sleep", "600")
    yield name
    engine.docker("rm", "-f", name, check=False)


def _ask(engine: Engine, box: str, case: Case) -> Answer:
    method, path, body, _, _ = case
    raw = json.dumps(body).encode() if isinstance(body, dict) else body
    if raw is not None:
        raw = raw.replace(b"IMAGE", engine.image.encode())
    path = path.replace("BOX", box).replace("IMAGE", engine.image)
    headers = {} if body is None else {"Content-Type": "application/json"}
    return engine.request(method, path, raw, headers)


def test_each_call_refuses_bad_input(engine: Engine, box: str) -> None:
    """All in one test, on one container: a refusal leaves everything as it is."""
    wrong = []
    before = engine.containers()
    for case in _CASES:
        answer = _ask(engine, box, case)
        status = (
            _CLIENT_FAULT.get(answer.status, answer.status) if engine.foreign else answer.status
        )
        text = answer.body.decode(errors="replace")
        try:
            said = json.loads(text)["message"]
        except (ValueError, KeyError, TypeError):
            # dockerd's attach has taken the connection over when it refuses: plain words.
            plain = engine.foreign or "/attach" in case[1]
            said = text if plain else f"not the error shape: {text}"
        if status != case[3] or case[4].replace("BOX", box) not in said:
            wrong.append(f"{case[:3]}: wanted {case[3]} {case[4]!r}, got {answer.status} {said!r}")
        if case[1].startswith(_CREATE) and engine.containers() != before:
            wrong.append(f"{case[:3]}: the containers changed")
            before = engine.containers()
    assert not wrong, f"{len(wrong)} of {len(_CASES)}:\n" + "\n".join(wrong)
    assert engine.request("GET", "/_ping").body == b"OK"
    assert engine.out("inspect", "-f", "{{.State.Running}}", box) == "true"


@pytest.mark.parametrize(
    "data",
    [
        b"not a tarball",
        b"",
        b"\0" * 1024,
        b"\x1f\x8b\x08\0\0\0\0\0\0\0garbage",
        b"\x28\xb5\x2f\xfdx",
    ],
    ids=["text", "empty", "end", "gzip", "zstd"],
)
def test_a_load_of_garbage_is_an_error(engine: Engine, data: bytes) -> None:
    images = engine.out("images", "-aq")
    path = engine.folder / "garbage"
    path.write_bytes(data)
    done = engine.docker("load", "-i", str(path), check=False)
    path.unlink()
    assert done.returncode == 1 or (engine.foreign and not done.stderr), done
    assert "Traceback" not in done.stderr
    assert engine.out("images", "-aq") == images


def test_a_truncated_image_archive_leaves_nothing(engine: Engine, tmp_path: Path) -> None:
    images = engine.out("images", "-aq")
    archive = tmp_path / "image.tar"
    layers = [pack({"etc/one": b"1" * 50_000}), pack({"etc/two": b"2" * 50_000})]
    docker_archive(archive, "pyd-test.example/part:1", layers, ["/x"])
    data = archive.read_bytes()
    for length in (600, len(data) // 4, len(data) // 2, len(data) - 10_240 - 30_000):
        archive.write_bytes(data[:length])
        done = engine.docker("load", "-i", str(archive), check=False)
        if not engine.foreign:
            assert done.returncode == 1, length
            assert done.stderr.strip()
            assert engine.out("images", "-aq") == images


def test_a_head_that_is_no_http_closes_only_that_connection(engine: Engine) -> None:
    with engine.connect() as bare:
        bare.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        answer = bare.recv(4096)
    assert answer == b"" or b"400" in answer
    assert engine.request("GET", "/_ping").status == 200


def test_a_client_that_leaves_in_the_middle_of_a_body(engine: Engine) -> None:
    with engine.connect() as bare:
        head = b"POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
        bare.sendall(head + b'Content-Length: 1000\r\n\r\n{"Image":')
    assert engine.containers() == []
    assert engine.request("GET", "/_ping").status == 200


def test_a_body_without_the_json_type_is_refused(engine: Engine) -> None:
    body = json.dumps({"Image": engine.image}).encode()
    answer = engine.request("POST", "/containers/create", body, {"Content-Type": "text/plain"})
    assert answer.status == 400
    assert "text/plain" in answer.message
