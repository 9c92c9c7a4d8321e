import json

import pytest

from pyd_api.errors import ConflictError
from pyd_guest.api.edge import Edge
from support.asgi import Answer, ask
from support.served_api import Served


def post(app: Edge, path: str, body: object = None) -> Answer:
    return ask(app, "POST", path, body=json.dumps(body).encode() if body is not None else b"")


def test_create_and_inspect(served: Served, app: Edge) -> None:
    body = {"Cmd": ["ls"], "AttachStdout": True}
    answer = post(app, "/containers/c/exec", body)
    assert (answer.status, answer.json()) == (201, {"Id": "e1"})
    assert served.execs.calls == [("create", "c", body)]
    assert ask(app, "GET", "/exec/e1/json").status == 200
    assert post(app, "/exec/e1/resize?h=1&w=2").status == 200
    assert served.execs.calls[-1] == ("resize", "e1", 1, 2)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (None, "No exec command specified"),
        ({}, "No exec command specified"),
        ({"Cmd": []}, "No exec command specified"),
        (
            {"Cmd": "a"},
            ("invalid JSON: json: cannot unmarshal string into Go struct field ExecOptions.Cmd "
            "of type []string"),
        ),
        ({"Cmd": ["a"], "DetachKeys": "zz"}, "Invalid detach keys (zz) provided"),
    ],
)  # fmt: skip
def test_create_refusals(served: Served, app: Edge, body: object, words: str) -> None:
    answer = post(app, "/containers/c/exec", body)
    assert (answer.status, answer.message) == (400, words)
    assert served.execs.calls == []


def test_unknown_execs(app: Edge) -> None:
    for method, path in (
        ("POST", "/exec/none/start"),
        ("GET", "/exec/none/json"),
    ):
        answer = ask(app, method, path)
        assert (answer.status, answer.message) == (404, "No such exec instance: none")
    assert post(app, "/exec/none/resize?h=a&w=1").status == 400


def test_detached_start(served: Served, app: Edge) -> None:
    post(app, "/containers/c/exec", {"Cmd": ["ls"]})
    answer = post(app, "/exec/e1/start", {"Detach": True, "Tty": True, "ConsoleSize": [24, 80]})
    assert (answer.status, answer.body) == (200, b"")
    assert served.execs.calls[-1] == ("start", "e1", True, True, (24, 80))
    served.execs.failure = ConflictError("exec command e1 has already run")
    assert post(app, "/exec/e1/start", {"Detach": True}).status == 409


@pytest.mark.parametrize(
    "body",
    [{"Detach": "x"}, {"ConsoleSize": [1]}, {"ConsoleSize": ["a", 1]}, {"ConsoleSize": [-1, 1]}],
)
def test_bad_starts(served: Served, app: Edge, body: object) -> None:
    post(app, "/containers/c/exec", {"Cmd": ["ls"]})
    assert post(app, "/exec/e1/start", body).status == 400
    assert served.execs.calls[-1][0] == "create"
