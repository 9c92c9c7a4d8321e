"""Parts of the API that pyd lacks; and nothing documented is an unknown page."""

import pytest

from pyd_guest.api.edge import Edge
from support.asgi import ask


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/swarm"), ("GET", "/nodes"), ("GET", "/services"), ("GET", "/tasks"),
        ("GET", "/secrets"), ("GET", "/configs"), ("GET", "/swarm/unlockkey"),
        ("POST", "/services/create"), ("DELETE", "/nodes/x"), ("POST", "/swarm/update"),
    ],
)  # fmt: skip
def test_swarm(app: Edge, method: str, path: str) -> None:
    answer = ask(app, method, f"/v1.50{path}")
    assert answer.status == 503
    assert str(answer.message).startswith("This node is not a swarm manager.")


def test_leaving_a_swarm(app: Edge) -> None:
    answer = ask(app, "POST", "/swarm/leave")
    assert (answer.status, answer.message) == (503, "This node is not part of a swarm")


def test_empty_lists(app: Edge) -> None:
    assert ask(app, "GET", "/plugins").json() == []
    assert ask(app, "GET", "/volumes").json() == {"Volumes": [], "Warnings": None}


def test_unknown_objects(app: Edge) -> None:
    assert ask(app, "GET", "/plugins/x/json").message == 'plugin "x" not found'
    assert ask(app, "DELETE", "/plugins/x").status == 404
    assert ask(app, "GET", "/volumes/x").message == "get x: no such volume"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/build"), ("POST", "/commit"), ("GET", "/networks"), ("POST", "/auth"),
        ("POST", "/networks/create"), ("POST", "/volumes/create"), ("GET", "/system/df"),
        ("GET", "/containers/a/stats"), ("POST", "/containers/a/pause"), ("GET", "/images/get"),
        ("PUT", "/containers/a/archive"), ("HEAD", "/containers/a/archive"),
        ("POST", "/containers/prune"), ("GET", "/containers/a/attach/ws"),
        ("GET", "/distribution/a/b/json"), ("POST", "/images/a/b/push"),
    ],
)  # fmt: skip
def test_what_is_missing_says_so(app: Edge, method: str, path: str) -> None:
    answer = ask(app, method, path)
    assert answer.status == 501
    assert "not implemented by pyd" in str(answer.message)


def test_session_needs_an_upgrade(app: Edge) -> None:
    answer = ask(app, "POST", "/session")
    assert (answer.status, answer.message) == (400, "no upgrade proto in request")
    assert ask(app, "POST", "/session", headers={"upgrade": "h2c"}).status == 501
