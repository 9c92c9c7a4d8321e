import logging

import pytest
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pyd_api.errors import ERRORS, PydError
from pyd_guest.api.app import build_app
from pyd_guest.api.edge import Edge
from support.asgi import ask

OLD = (
    "client version {} is too old. Minimum supported API version is 1.24, "
    "please upgrade your client to a newer version"
)
NEW = "client version {} is too new. Maximum supported API version is 1.50"


@pytest.mark.parametrize("prefix", ["", "/v1.24", "/v1.43", "/v1.50"])
def test_versions_served(app: Edge, prefix: str) -> None:
    answer = ask(app, "GET", f"{prefix}/_ping")
    assert (answer.status, answer.body) == (200, b"OK")


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("1.10", OLD),
        ("0.1", OLD),
        ("1", OLD),
        ("1.51", NEW),
        ("1.99", NEW),
        ("999.0", NEW),
        ("1..2", "invalid API version: {}"),
        ("1.", "invalid API version: {}"),
        ("9" * 5000, "invalid API version: " + "9" * 40),
    ],
)
def test_e7_versions_refused(app: Edge, version: str, words: str) -> None:
    answer = ask(app, "GET", f"/v{version}/info")
    assert (answer.status, answer.message) == (400, words.format(version))


@pytest.mark.parametrize(
    "path",
    [
        "/nope",
        "/v1.50/nope",
        "/v1.50",
        "/v1.50/",
        "/v1.50/v1.50/_ping",
        "/vx/_ping",
        "//x",
        "//_ping",
        "/containers//json",
        "/containers/%2e%2e/json",
        "/containers/../json",
        "/containers/a%00b/json",
        "/containers/a%0ab/json",
        "/containers/json/",
        "/docs",
        "/openapi.json",
        "/redoc",
    ],
)
def test_e7_unknown_pages(app: Edge, path: str) -> None:
    answer = ask(app, "GET", path)
    assert (answer.status, answer.message) == (404, "page not found")


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/containers/json"), ("DELETE", "/_ping"), ("PATCH", "/info"), ("X", "/info")],
)
def test_a_wrong_method_is_an_unknown_page(app: Edge, method: str, path: str) -> None:
    answer = ask(app, method, path)
    assert (answer.status, answer.message) == (404, "page not found")


def test_e7_the_path_is_decoded_once(app: Edge) -> None:
    answer = ask(app, "GET", "/containers/a%252Fb/json")
    assert answer.message == "No such container: a%2Fb"
    answer = ask(app, "GET", "/containers/a%2Fb/json")
    assert answer.message == "No such container: a/b"


@pytest.mark.parametrize("path", ["/_ping", "/nope", "/v1.10/info", "/containers/none/json"])
def test_every_answer_carries_the_headers_of_the_engine(app: Edge, path: str) -> None:
    headers = ask(app, "GET", path).headers
    assert headers["api-version"] == "1.50"
    assert headers["ostype"] == "linux"
    assert headers["docker-experimental"] == "false"
    assert headers["server"] == "pyd/0.1.0 (linux)"


def test_ping(app: Edge) -> None:
    for method, body in (("GET", b"OK"), ("HEAD", b"")):
        answer = ask(app, method, "/_ping")
        assert answer.body == body
        assert answer.headers["cache-control"] == "no-cache, no-store, must-revalidate"
        assert answer.headers["pragma"] == "no-cache"
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["builder-version"]
        assert answer.headers["swarm"] == "inactive"


@pytest.mark.parametrize(
    ("headers", "server"),
    [
        ({"sec-fetch-site": "cross-site"}, ("/sock", None)),
        ({"sec-fetch-site": "same-site"}, ("127.0.0.1", 2375)),
        ({"origin": "http://evil.example", "host": "127.0.0.1:2375"}, ("127.0.0.1", 2375)),
        ({"origin": "null"}, ("/sock", None)),
        ({"host": "evil.example:2375"}, ("127.0.0.1", 2375)),
        ({"host": "127.0.0.1.evil.example"}, ("127.0.0.1", 2375)),
    ],
)
def test_e8_e9_web_pages_are_kept_out(
    app: Edge, headers: dict[str, str], server: tuple[str, int | None]
) -> None:
    answer = ask(app, "POST", "/containers/create", headers=headers, server=server)
    assert answer.status == 403


@pytest.mark.parametrize(
    "host", ["127.0.0.1:2375", "localhost", "[::1]:2375", "10.0.0.7", "docker", ""]
)
def test_e8_own_names_are_served_on_tcp(app: Edge, host: str) -> None:
    answer = ask(app, "GET", "/_ping", headers={"host": host}, server=("127.0.0.1", 2375))
    assert answer.status == 200


def _failing(error: Exception) -> Edge:
    routes = APIRouter()

    async def fail(_request: Request) -> Response:
        raise error

    async def typed(number: int) -> Response:
        return JSONResponse(number)

    routes.add_route("/fail", fail, ["GET"])
    routes.add_api_route("/typed", typed, response_model=None)
    return build_app(routes, version="0.1.0")


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_class_becomes_its_status(kind: type[PydError]) -> None:
    answer = ask(_failing(kind("what happened", hint="never shown")), "GET", "/fail")
    assert answer.status == kind.status
    if kind.status == 304:
        assert answer.body == b""
    else:
        assert answer.message == "what happened"


def test_a_bug_is_logged_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        answer = ask(_failing(RuntimeError("secret detail")), "GET", "/fail")
    assert answer.status == 500
    assert answer.message == "internal error: see the log of the daemon"
    assert caplog.text.count("secret detail") >= 1
    assert len(caplog.records) == 1


def test_a_validation_failure_is_400_in_docker_shape() -> None:
    answer = ask(_failing(RuntimeError()), "GET", "/typed?number=x")
    assert answer.status == 400
    assert "number" in str(answer.message)
