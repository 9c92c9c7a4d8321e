"""Exec requests: words of refusals, and what an exec takes from its container."""

import pytest

from pyd_api.errors import InvalidRequestError
from pyd_guest.engine import exec_request
from pyd_guest.engine.container_spec import ContainerSpec, SecuritySpec
from pyd_guest.runtime import capabilities
from pyd_guest.runtime.host import HostFacts
from pyd_guest.runtime.resources import Resources, Rlimit
from pyd_guest.runtime.users import User

FACTS = HostFacts(1, frozenset({0}), frozenset({0}), capabilities.KNOWN, "machine")
ALICE = User(1000, 1000, (1000, 29), "/home/alice", "alice")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "No exec command specified"),
        ({"Cmd": []}, "No exec command specified"),
        (
            {"Cmd": "true"},
            (
                "invalid JSON: json: cannot unmarshal string into Go struct field ExecOptions.Cmd"
                " of type []string"
            ),
        ),
        ({"Cmd": ["x"], "DetachKeys": "bad"}, "Invalid escape keys (bad) provided"),
        ({"Cmd": ["x"], "Env": ["=x"]}, "invalid environment variable: =x"),
        (
            {"Cmd": ["x"], "WorkingDir": "rel"},
            "the working directory 'rel' is invalid, it needs to be an absolute path",
        ),
        (
            {"Cmd": ["x"], "WorkingDir": "/proc/self/fd/7"},
            "the working directory '/proc/self/fd/7' is invalid: it is inside a process's /proc",
        ),
    ],
)
def test_refusals(body: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        exec_request.parse(body)
    assert caught.value.message == message


def test_a_request_becomes_values() -> None:
    spec = exec_request.parse(
        {
            "Cmd": ["id"],
            "user": "alice",
            "Tty": True,
            "AttachStdout": True,
            "ConsoleSize": [24, 80],
            "DetachKeys": "ctrl-a,b",
            "Detach": False,
        }
    )
    assert spec.argv == ("id",)
    assert spec.user == "alice"
    assert spec.console_size == (24, 80)
    assert spec.tty
    assert not spec.attach_stdin
    assert spec.detach_keys == "ctrl-a,b"


def _container() -> ContainerSpec:
    return ContainerSpec(
        image="x",
        argv=("sleep",),
        env=("A=1", "B=2"),
        cwd="/srv",
        hostname="box",
        security=SecuritySpec(cap_drop=("CAP_KILL",), no_new_privileges=True),
        resources=Resources(rlimits=(Rlimit("nofile", 1, 2),)),
    )


def test_an_exec_starts_from_its_container() -> None:
    document = exec_request.process(
        _container(),
        exec_request.parse({"Cmd": ["id"], "Env": ["B=3", "A"]}),
        ALICE,
        FACTS,
        tty=False,
        size=None,
    )
    assert document["cwd"] == "/srv"
    assert document["noNewPrivileges"] is True
    assert document["rlimits"] == [{"type": "RLIMIT_NOFILE", "soft": 1, "hard": 2}]
    env = document["env"]
    assert isinstance(env, list)
    assert set(env) == {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOSTNAME=box",
        "HOME=/home/alice",
        "B=3",
    }
    caps = document["capabilities"]
    assert isinstance(caps, dict)
    assert set(caps) == {"bounding", "effective", "permitted"}
    assert "CAP_KILL" not in caps["bounding"]
    assert document["user"] == {"uid": 1000, "gid": 1000, "additionalGids": [1000, 29]}


def test_privileged_adds_capabilities_and_nothing_else() -> None:
    document = exec_request.process(
        _container(),
        exec_request.parse({"Cmd": ["id"], "Privileged": True, "WorkingDir": "/w"}),
        ALICE,
        FACTS,
        tty=True,
        size=(5, 6),
    )
    caps = document["capabilities"]
    assert isinstance(caps, dict)
    assert caps["bounding"] == list(capabilities.KNOWN)
    assert document["cwd"] == "/w"
    assert document["consoleSize"] == {"height": 5, "width": 6}
    env = document["env"]
    assert isinstance(env, list)
    assert "TERM=xterm" in env
