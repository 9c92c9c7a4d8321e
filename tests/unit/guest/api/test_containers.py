import json
from collections.abc import Mapping

import pytest

from pyd_api.errors import NotModifiedError
from pyd_guest.api.edge import Edge
from support.asgi import Answer, ask
from support.fakes_api import Waited
from support.served_api import Served


def post(app: Edge, path: str, body: Mapping[str, object] | None = None) -> Answer:
    return ask(app, "POST", path, body=json.dumps(body).encode() if body is not None else b"")


def test_list(served: Served, app: Edge) -> None:
    served.containers.add("c")
    answer = ask(app, "GET", '/containers/json?all=1&limit=5&size=true&filters={"name":["c"]}')
    assert answer.json() == [{"Id": "c"}]
    assert served.containers.calls == [("list", True, 5, True, {"name": ["c"]})]
    ask(app, "GET", "/containers/json?limit=-1")
    assert served.containers.calls[-1] == ("list", False, None, False, {})


@pytest.mark.parametrize("query", ["limit=abc", "filters={bad", 'filters={"xx":["a"]}'])
def test_bad_list_queries_reach_no_engine(served: Served, app: Edge, query: str) -> None:
    assert ask(app, "GET", f"/containers/json?{query}").status == 400
    assert served.containers.calls == []


def test_create(served: Served, app: Edge) -> None:
    answer = post(app, "/v1.50/containers/create?name=c&platform=linux", {"Image": "x"})
    assert (answer.status, answer.json()) == (201, {"Id": "c", "Warnings": []})
    assert served.containers.calls == [("create", "c", {"Image": "x"}, "linux")]
    assert post(app, "/containers/create?name=c", {"Image": "x"}).status == 409


def test_create_refusals(app: Edge) -> None:
    assert post(app, "/containers/create").message == (
        "invalid JSON: got EOF while reading request body"
    )
    assert post(app, "/containers/create", {}).message == (
        "config cannot be empty in order to create a container"
    )
    assert ask(app, "POST", "/containers/create", body=b"null").status == 400
    assert ask(app, "POST", "/containers/create", body=b"[]").message == (
        "invalid JSON: json: cannot unmarshal array into Go value of type container.CreateRequest"
    )


VERBS: list[tuple[str, tuple[object, ...]]] = [
    ("stop", ("stop", "c", None, None)),
    ("stop?t=-1&signal=SIGINT", ("stop", "c", "SIGINT", -1)),
    ("restart?t=0", ("restart", "c", None, 0)),
    ("kill", ("kill", "c", None)),
    ("kill?signal=HUP", ("kill", "c", "HUP")),
    ("rename?name=d", ("rename", "c", "d")),
]


def test_verbs(served: Served, app: Edge) -> None:
    served.containers.add("c")
    assert ask(app, "GET", "/containers/c/json?size=1").json() == {"Id": "c", "Size": True}
    assert post(app, "/containers/c/start").status == 204
    assert post(app, "/containers/c/start").status == NotModifiedError.status
    for path, call in VERBS:
        answer = post(app, f"/containers/c/{path}")
        assert (answer.status, answer.body) == (204, b"")
        assert served.containers.calls[-1] == call
    assert post(app, "/containers/c/resize?h=24&w=80").status == 200
    assert served.containers.calls[-1] == ("resize", "c", 24, 80)
    assert ask(app, "DELETE", "/containers/c?force=1&v=1").status == 204
    assert tuple(served.containers.calls[-1]) == ("remove", "c", True, True, False)


@pytest.mark.parametrize(
    "path",
    ["start?detachKeys=foo", "stop?t=abc", "restart?t=x", "resize", "resize?h=a&w=1",
     "wait?condition=foo", "attach?detachKeys=ctrl-!", "logs"],
)  # fmt: skip
def test_bad_queries(served: Served, app: Edge, path: str) -> None:
    served.containers.add("c")
    method = "GET" if path == "logs" else "POST"
    assert ask(app, method, f"/containers/c/{path}").status == 400
    assert served.containers.calls == []


@pytest.mark.parametrize(
    ("method", "verb"),
    [
        ("GET", "json"), ("POST", "start"), ("POST", "stop"), ("POST", "restart"),
        ("POST", "kill"), ("POST", "rename?name=x"), ("POST", "resize?h=1&w=1"),
        ("POST", "wait"), ("POST", "attach"), ("GET", "logs?stdout=1"),
    ],
)  # fmt: skip
def test_unknown_containers(app: Edge, method: str, verb: str) -> None:
    answer = ask(app, method, f"/containers/none/{verb}")
    assert (answer.status, answer.message) == (404, "No such container: none")


@pytest.mark.parametrize(
    ("prefix", "query", "condition"),
    [
        ("", "", "not-running"),
        ("", "?condition=next-exit", "next-exit"),
        ("/v1.30", "?condition=removed", "removed"),
        ("/v1.29", "?condition=whatever", "not-running"),
    ],
)
def test_wait(served: Served, app: Edge, prefix: str, query: str, condition: str) -> None:
    served.containers.add("c")
    served.containers.waits["c"].set_result(Waited(7))
    answer = post(app, f"{prefix}/containers/c/wait{query}")
    assert (answer.status, answer.json()) == (200, {"StatusCode": 7})
    assert served.containers.calls == [("wait", "c", condition)]


def test_wait_with_an_error(served: Served, app: Edge) -> None:
    served.containers.add("c")
    served.containers.waits["c"].set_result(Waited(127, "no such file"))
    assert post(app, "/containers/c/wait").json() == {
        "StatusCode": 127,
        "Error": {"Message": "no such file"},
    }


def test_a_raw_stream_needs_a_server_that_can(served: Served, app: Edge) -> None:
    served.containers.add("c")
    assert post(app, "/containers/c/attach?stream=1&stdout=1").status == 501
