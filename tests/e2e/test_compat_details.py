"""Small things by which a client would notice that this is not dockerd, compared with it."""

import json
import time

import pytest

from support.engine import Engine

pytestmark = pytest.mark.needs("root", "docker", "conmon")


@pytest.mark.parametrize(
    ("network", "status", "words"),
    [
        ("no-such", 404, "failed to set up container networking: network no-such not found"),
        ("container:no-such", 400, "joining network namespace of container: No such container"),
    ],
)
def test_a_network_that_is_not_there_is_not_taken_for_a_missing_image(
    engine: Engine, network: str, status: int, words: str
) -> None:
    done = engine.docker("run", "--rm", "--network", network, engine.image, "true", check=False)
    assert done.returncode == 125
    assert words in done.stderr
    assert "Unable to find image" not in done.stderr
    body = {"Image": engine.image, "HostConfig": {"NetworkMode": network}}
    answer = engine.request("POST", "/v1.50/containers/create?name=lost", body)
    if answer.status == 201:
        assert "no-such" in engine.out("inspect", "lost", "-f", "{{.HostConfig.NetworkMode}}")
        answer = engine.request("POST", "/v1.50/containers/lost/start")
    assert answer.status == status
    assert answer.message.startswith(words)


def test_nothing_ends_before_it_has_started(engine: Engine) -> None:
    for number in range(5):
        engine.out("run", "--name", f"brief{number}", engine.image, "true")
        state = json.loads(engine.out("inspect", f"brief{number}", "-f", "{{json .State}}"))
        started, finished = (state[key].rstrip("Z") for key in ("StartedAt", "FinishedAt"))
        whole, _, fraction = started.partition(".")
        ended, _, rest = finished.partition(".")
        assert (whole, fraction.ljust(9, "0")) <= (ended, rest.ljust(9, "0"))


def test_details_of_a_log_without_attributes_are_a_blank(engine: Engine) -> None:
    engine.out("run", "--name", "chatty", engine.image, "printf", "one\ntwo\n")
    assert engine.docker("logs", "--details", "chatty").stdout == " one\n two\n"
    stamped = engine.docker("logs", "--details", "-t", "--tail", "1", "chatty").stdout
    assert stamped.endswith("Z  two\n")


def test_a_tmpfs_of_mounts_is_a_mount_point_and_one_of_tmpfs_is_not(engine: Engine) -> None:
    mount = "type=tmpfs,dst=/q,tmpfs-size=1m"
    engine.out("create", "--name", "box", "--mount", mount, "--tmpfs", "/z", engine.image)
    expected = {"Type": "tmpfs", "Source": "", "Destination": "/q", "Mode": "", "RW": True}
    expected["Propagation"] = ""
    assert json.loads(engine.out("inspect", "box", "-f", "{{json .Mounts}}")) == [expected]
    rows = engine.request("GET", "/v1.50/containers/json?all=1&size=1").json()
    assert rows[0]["Mounts"] == [expected]
    assert "SizeRw" not in rows[0]
    assert rows[0]["SizeRootFs"] > 0


def test_a_resize_is_an_event(engine: Engine) -> None:
    engine.out("run", "-dt", "--name", "wide", engine.image, "sleep", "100")
    assert engine.request("POST", "/v1.50/containers/wide/resize?h=10&w=20").status == 200
    asked = f"since=0&until={time.time():.9f}"
    answer = engine.request("GET", f'/v1.50/events?{asked}&filters={{"event":["resize"]}}')
    (event,) = answer.body.splitlines()
    attributes = json.loads(event)["Actor"]["Attributes"]
    assert (attributes["height"], attributes["width"]) == ("10", "20")


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("POST", "/containers/no-such/rename", 400, "Neither old nor new names may be empty"),
        ("POST", "/containers/box/rename?name=a%20b", 400, "Error when allocating new name: Inv"),
        ("GET", '/containers/json?filters={"publish":["x"]}', 400, "invalid port in filter: x"),
    ],
)
def test_words_of_refusals(engine: Engine, method: str, path: str, status: int, words: str) -> None:
    engine.out("create", "--name", "box", engine.image)
    answer = engine.request(method, f"/v1.50{path}")
    assert answer.status == status
    assert answer.message.startswith(words)


def test_a_dotted_host_name_has_a_short_form(engine: Engine) -> None:
    hosts = engine.out("run", "--rm", "--hostname", "foo.bar", engine.image, "cat", "/etc/hosts")
    assert hosts.splitlines()[-1].split()[1:] == ["foo.bar", "foo"]


def test_a_refused_import_is_told_while_the_client_sends(engine: Engine) -> None:
    for _ in range(5):
        done = engine.docker("import", "-c", "RUN x", "-", stdin="x" * 100_000, check=False)
        assert "RUN is not a valid change command" in done.stderr


@pytest.mark.parametrize("asked", ["since=0&until=0", "until=0", "until={now}"])
def test_events_that_have_been(engine: Engine, asked: str) -> None:
    engine.out("create", "--name", "one", engine.image)
    limits = asked.format(now=f"{time.time():.9f}")
    answer = engine.request("GET", f'/v1.50/events?{limits}&filters={{"container":["one"]}}')
    assert [json.loads(line)["Action"] for line in answer.body.splitlines()][-1] == "create"
