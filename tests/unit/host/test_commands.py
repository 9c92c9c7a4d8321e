"""Whole commands against a scripted engine: what is asked, printed and returned."""
# ruff: noqa: E501 - tables of command lines and messages, one row a line

import io
import json
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pyd_api.framing import frame
from unit.host.scripted import Done, Request, ScriptedEngine, answer, hijacked

Pyd = Callable[..., Done]
ID = "c" * 64
CONTAINER = {
    "Id": ID, "Names": ["/web", "/other/alias"], "Image": "nginx", "ImageID": "sha256:" + "1" * 64,
    "Command": "nginx -g 'daemon off;'", "Ports": [{"PrivatePort": 80, "Type": "tcp"}],
    "Labels": {"b": "2", "a": "1"}, "State": "running", "Status": "Up 2 hours",
    "NetworkSettings": {"Networks": {"bridge": {}}}, "Mounts": [],
}  # fmt: skip
STREAM = "application/vnd.docker.multiplexed-stream"


def containers(**changes: object) -> bytes:
    return answer(200, [{**CONTAINER, "Created": int(time.time()) - 7200, **changes}])


def test_ps_prints_a_table(scripted: ScriptedEngine, pyd: Pyd) -> None:
    scripted.on("GET", "/containers/json", containers())
    done = pyd("ps", "-a", "-f", "status=running", "--filter", "status=exited", "-n", "3")
    header, line = done.out.splitlines()
    assert header.split("   ")[0] == "CONTAINER ID"
    assert line == (
        'cccccccccccc   nginx     "nginx -g \'daemon of…"   2 hours ago   Up 2 hours   80/tcp    web'
    )
    assert scripted.requests[0].target == (
        "/v1.50/containers/json?all=1&limit=3"
        "&filters=%7B%22status%22%3A%20%5B%22running%22%2C%20%22exited%22%5D%7D"
    )


@pytest.mark.parametrize(
    ("words", "out"),
    [
        (["-q"], "cccccccccccc\n"),
        (["-q", "--no-trunc"], ID + "\n"),
        (["--format", "{{.Names}}\\t{{.State}}"], "web\trunning\n"),
        (["--format", "table {{.Names}}\\t{{.Image}}"], "NAMES     IMAGE\nweb       nginx\n"),
        (["--format", '{{.Label "a"}} {{.Labels}}'], "1 a=1,b=2\n"),
        (["--format", "{{json .Names}}", "--no-trunc"], '"web,other/alias"\n'),
    ],
)
def test_ps_formats(scripted: ScriptedEngine, pyd: Pyd, words: list[str], out: str) -> None:
    scripted.on("GET", "/containers/json", containers())
    assert pyd("container", "ls", *words) == Done(0, out, "")


def test_ps_as_json(scripted: ScriptedEngine, pyd: Pyd) -> None:
    scripted.on("GET", "/containers/json", containers())
    row = json.loads(pyd("ps", "--format", "json").out)
    assert list(row) == sorted(row)
    assert (row["ID"], row["Names"], row["Networks"]) == ("c" * 12, "web", "bridge")


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"Image": ""}, "<no image>"),
        ({"Image": "sha256:" + "1" * 64}, "1" * 12),
        ({"Image": "x:1@sha256:" + "2" * 64}, "x:1"),
        ({"Image": "x@sha256:" + "2" * 64}, "x@sha256:" + "2" * 64),
    ],
)
def test_ps_shows_the_image(
    scripted: ScriptedEngine, pyd: Pyd, changes: dict[str, object], shown: str
) -> None:
    scripted.on("GET", "/containers/json", containers(**changes))
    assert pyd("ps", "--format", "{{.Image}}").out == shown + "\n"


IMAGE = {"Id": "sha256:" + "a" * 64, "ParentId": "", "Size": 1_982_333, "SharedSize": -1,
         "Containers": -1, "Labels": None}  # fmt: skip


def test_images_has_a_line_for_every_name(scripted: ScriptedEngine, pyd: Pyd) -> None:
    now = int(time.time())
    scripted.on("GET", "/images/json", answer(200, [
        {**IMAGE, "Created": now - 60, "RepoTags": [], "RepoDigests": []},
        {**IMAGE, "Created": now - 30, "RepoTags": ["h:5/a/b:1", "h:5/a/b:2", "c:3"],
         "RepoDigests": ["c@sha256:d1"]},
        {**IMAGE, "Created": now - 90, "RepoTags": None, "RepoDigests": ["e@sha256:d2"]},
    ]))  # fmt: skip
    done = pyd("images", "--format", "{{.Repository}} {{.Tag}} {{.ID}} {{.Size}} {{.CreatedSince}}")
    assert [line.split(" ", 4) for line in done.out.splitlines()] == [
        ["h:5/a/b", "1", "a" * 12, "1.98MB", "30 seconds ago"],
        ["h:5/a/b", "2", "a" * 12, "1.98MB", "30 seconds ago"],
        ["c", "3", "a" * 12, "1.98MB", "30 seconds ago"],
        ["<none>", "<none>", "a" * 12, "1.98MB", "About a minute ago"],
        ["e", "<none>", "a" * 12, "1.98MB", "About a minute ago"],
    ]
    assert "sha256:d1" in pyd("images", "--digests").out
    assert pyd("images", "c:3").status == 0
    assert "reference" in scripted.requests[-1].target


def test_version_without_an_engine_shows_the_client(
    pyd: Pyd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nope")
    done = pyd("version")
    assert done.out.startswith("Client:\n Version: ")
    assert "Is the pyd daemon running?" in done.err
    assert done.status == 1


def run_engine(
    scripted: ScriptedEngine,
    *,
    output: bytes = b"",
    status: int = 0,
    start: bytes | None = None,
) -> threading.Event:
    """Play an engine that creates, attaches and runs; return the event of its start."""
    started = threading.Event()

    def attach(_request: Request, client: socket.socket) -> None:
        client.sendall(hijacked())
        started.wait(5)
        client.sendall(output)
        client.close()

    def wait(_request: Request, client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        started.wait(5)
        body = json.dumps({"StatusCode": status}).encode()
        client.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        client.close()

    def starting(_request: Request, client: socket.socket) -> bytes:
        started.set()
        return start or answer(204)

    scripted.on("POST", "/containers/create", answer(201, {"Id": ID, "Warnings": ["careful"]}))
    scripted.on("POST", f"/containers/{ID}/attach", attach)
    scripted.on("POST", f"/containers/{ID}/wait", wait)
    scripted.on("POST", f"/containers/{ID}/start", starting)
    return started


def test_run_attaches_waits_and_starts_in_this_order(scripted: ScriptedEngine, pyd: Pyd) -> None:
    run_engine(scripted, output=frame(1, b"hi\n") + frame(2, b"oh\n"), status=7)
    assert pyd("run", "--rm", "--name", "x", "img", "cmd", "-x") == Done(
        7, "hi\n", "WARNING: careful\noh\n"
    )
    assert [request.target.removeprefix("/v1.50") for request in scripted.requests] == [
        "/containers/create?name=x",
        f"/containers/{ID}/attach?stream=1&stdout=1&stderr=1",
        f"/containers/{ID}/wait?condition=removed",
        f"/containers/{ID}/start",
    ]
    body = scripted.requests[0].json
    assert isinstance(body, dict)
    assert (body["Image"], body["Cmd"]) == ("img", ["cmd", "-x"])


def test_run_detached_prints_the_id(scripted: ScriptedEngine, pyd: Pyd) -> None:
    run_engine(scripted)
    done = pyd("run", "-d", "img")
    assert (done.status, done.out) == (0, ID + "\n")
    assert not scripted.sent("POST", "attach|wait")


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ('exec: "x": executable file not found in $PATH', 127),
        ("exec: /x: no such file or directory", 127),
        ("exec: /etc: Permission denied", 126),
        ("exec: /etc: is a directory", 126),
        ("no space left", 125),
    ],
)
@pytest.mark.parametrize("detach", [True, False])
def test_run_tells_why_it_did_not_start(
    scripted: ScriptedEngine, pyd: Pyd, message: str, status: int, *, detach: bool
) -> None:
    run_engine(scripted, start=answer(400, {"message": message}))
    done = pyd("run", "--rm", *(["-d"] if detach else []), "img", "x")
    assert done.status == status
    assert done.err == (
        f"WARNING: careful\npyd: Error response from daemon: {message}\n\n"
        "Run 'pyd run --help' for more information\n"
    )


def test_run_pulls_what_is_missing(scripted: ScriptedEngine, pyd: Pyd) -> None:
    tries: list[bytes] = [
        answer(201, {"Id": ID, "Warnings": []}),
        answer(404, {"message": "No such image: a/b:latest"}),
    ]
    run_engine(scripted)
    scripted.on("POST", "/containers/create", lambda _request, _client: tries.pop())
    progress = b'{"status":"Pulling from a/b","id":"latest"}{"status":"Status: done"}'
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(progress)
    scripted.on("POST", "/images/create", head + progress)
    done = pyd("run", "-d", "--platform", "linux/amd64", "a/b")
    assert done == Done(
        0,
        ID + "\n",
        "Unable to find image 'a/b:latest' locally\nlatest: Pulling from a/b\nStatus: done\n",
    )
    assert scripted.sent("POST", "images/create")[0].target.endswith(
        "?fromImage=a%2Fb&tag=latest&platform=linux%2Famd64"
    )


def test_run_never_pulls_when_told_so(scripted: ScriptedEngine, pyd: Pyd) -> None:
    missing = answer(404, {"message": "No such image: a:latest"})
    scripted.on("POST", "/containers/create", missing)
    done = pyd("run", "--pull", "never", "a")
    assert (done.status, done.err.splitlines()[0]) == (
        125, "pyd: Error response from daemon: No such image: a:latest",
    )  # fmt: skip
    assert not scripted.sent("POST", "images")


def test_the_id_file_is_new_and_vanishes_with_the_attempt(
    scripted: ScriptedEngine, pyd: Pyd, tmp_path: Path
) -> None:
    file = tmp_path / "cid"
    scripted.on("POST", "/containers/create", answer(409, {"message": "name in use"}))
    assert pyd("create", "--cidfile", str(file), "img").status == 1
    assert not file.exists()
    scripted.on("POST", "/containers/create", answer(201, {"Id": ID, "Warnings": None}))
    assert pyd("create", "--cidfile", str(file), "img") == Done(0, ID + "\n", "")
    assert file.read_text() == ID
    done = pyd("create", "--cidfile", str(file), "img")
    assert done.status == 125
    assert "container ID file found" in done.err


def test_exec_leaves_with_the_commands_status(scripted: ScriptedEngine, pyd: Pyd) -> None:
    def start(request: Request, client: socket.socket) -> None:
        client.sendall(hijacked() + frame(1, b"out\n"))
        client.close()

    scripted.on("POST", "/containers/web/exec", answer(201, {"Id": "e1"}))
    scripted.on("POST", "/exec/e1/start", start)
    scripted.on("GET", "/exec/e1/json", answer(200, {"ExitCode": 4, "Running": False}))
    assert pyd("exec", "-u", "bob", "-w", "/x", "-e", "A=1", "web", "ls", "-l") == Done(
        4, "out\n", ""
    )
    assert scripted.requests[0].json == {
        "User": "bob", "Privileged": False, "Tty": False, "AttachStdin": False,
        "AttachStderr": True, "AttachStdout": True, "DetachKeys": "", "Env": ["A=1"],
        "WorkingDir": "/x", "Cmd": ["ls", "-l"],
    }  # fmt: skip


def test_exec_detached_returns_at_once(scripted: ScriptedEngine, pyd: Pyd) -> None:
    scripted.on("POST", "/containers/web/exec", answer(201, {"Id": "e1"}))
    scripted.on("POST", "/exec/e1/start", answer(200))
    assert pyd("exec", "-d", "web", "ls") == Done(0, "", "")
    assert scripted.requests[1].json == {"Detach": True, "Tty": False}


def test_logs_keep_the_streams_apart(scripted: ScriptedEngine, pyd: Pyd) -> None:
    body = frame(1, b"a\n") + frame(2, b"b\n")
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {STREAM}\r\nContent-Length: {len(body)}\r\n\r\n"
    scripted.on("GET", "/containers/web/logs", head.encode() + body)
    assert pyd("logs", "-f", "-t", "-n", "5", "--since", "1.5", "web") == Done(0, "a\n", "b\n")
    assert scripted.requests[0].target.endswith(
        "?stdout=1&stderr=1&follow=1&timestamps=1&since=1.5&tail=5"
    )


def test_logs_of_an_older_engine_need_a_look_at_the_container(
    scripted: ScriptedEngine, pyd: Pyd
) -> None:
    scripted.on("GET", "/containers/web/logs", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nraw\n")
    scripted.on("GET", "/containers/web/json", answer(200, {"Id": ID, "Config": {"Tty": True}}))
    assert pyd("logs", "web") == Done(0, "raw\n", "")


@pytest.mark.parametrize("words", [["stop", "-t", "3"], ["kill", "-s", "HUP"], ["rm", "-fv"]])
def test_one_failure_does_not_spare_the_others(
    scripted: ScriptedEngine, pyd: Pyd, words: list[str]
) -> None:
    for method in ("POST", "DELETE"):
        scripted.on(method, r"/containers/(a|c)(/\w+)?", answer(204))
        scripted.on(method, r"/containers/b(/\w+)?", answer(409, {"message": "b is busy"}))
    assert pyd(*words, "a", "b", "c") == Done(
        1, "a\nc\n", "Error response from daemon: b is busy\n"
    )
    query = {"stop": "?t=3", "kill": "?signal=HUP", "rm": "?force=1&v=1"}[words[0]]
    assert scripted.requests[0].target.endswith(query)


def test_rm_with_force_takes_a_missing_container_for_removed(
    scripted: ScriptedEngine, pyd: Pyd
) -> None:
    scripted.on("DELETE", "/containers/x", answer(404, {"message": "No such container: x"}))
    assert pyd("rm", "x").status == 1
    assert pyd("rm", "-f", "x") == Done(0, "", "Error response from daemon: No such container: x\n")


def test_without_an_engine_many_names_are_one_error(
    pyd: Pyd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nope")
    assert pyd("rm", "a", "b").err.count("Cannot connect") == 1


def test_start_names_what_failed(scripted: ScriptedEngine, pyd: Pyd) -> None:
    scripted.on("POST", "/containers/a/start", answer(204))
    scripted.on("POST", "/containers/b/start", answer(404, {"message": "No such container: b"}))
    assert pyd("start", "b", "a") == Done(
        1, "a\n",
        "Error response from daemon: No such container: b\nError: failed to start containers: b\n",
    )  # fmt: skip
    assert (
        pyd("start", "-a", "a", "b").err
        == "you cannot start and attach multiple containers at once\n"
    )


def test_wait_prints_statuses(scripted: ScriptedEngine, pyd: Pyd) -> None:
    scripted.on("POST", "/containers/a/wait", answer(200, {"StatusCode": 3}))
    assert pyd("wait", "a", "a") == Done(0, "3\n3\n", "")


def test_inspect_looks_among_containers_and_images(scripted: ScriptedEngine, pyd: Pyd) -> None:
    scripted.on("GET", "/containers/a/json", answer(200, {"Id": "1", "Cmd": None, "N": "é"}))
    scripted.on("GET", "/images/b/c:1/json", answer(200, {"Id": "2"}))
    done = pyd("inspect", "a", "b/c:1", "no")
    assert done == Done(
        1,
        '[\n    {\n        "Id": "1",\n        "Cmd": null,\n        "N": "é"\n    },\n'
        '    {\n        "Id": "2"\n    }\n]\n',
        "Error: No such object: no\n",
    )
    assert pyd("inspect", "-f", "{{.Id}} {{.Cmd}}", "a") == Done(0, "1 []\n", "")
    assert pyd("inspect", "-f", "{{.Id", "a").status == 64
    assert pyd("inspect", "--type", "image", "a").status == 1
    assert pyd("inspect", "--type", "x", "a").err.startswith('unknown type: "x": must be one of')
    assert pyd("inspect", "nothing").out == "[]\n"


def test_load_sends_the_file(scripted: ScriptedEngine, pyd: Pyd, tmp_path: Path) -> None:
    archive = tmp_path / "x.tar"
    archive.write_bytes(b"z" * 500_000)
    reply = b'{"stream":"Loaded image: x:1\\n"}'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    scripted.on("POST", "/images/load", head % len(reply) + reply)
    assert pyd("load", "-i", str(archive)) == Done(0, "Loaded image: x:1\n", "")
    assert len(scripted.requests[0].body) == 500_000
    assert pyd("load", "-i", "/nope").err == "open /nope: no such file or directory\n"


def test_import_sends_changes(scripted: ScriptedEngine, pyd: Pyd, tmp_path: Path) -> None:
    archive = tmp_path / "x.tar"
    archive.write_bytes(b"tar")
    scripted.on("POST", "/images/create", answer(200, {"status": "sha256:abc"}))
    done = pyd("import", "-c", "CMD a", "-c", "USER b", "-m", "hi", str(archive), "x:1")
    assert done == Done(0, "sha256:abc\n", "")
    assert scripted.requests[0].target.endswith(
        "?fromSrc=-&repo=x&tag=1&changes=CMD%20a&changes=USER%20b&message=hi"
    )


def test_tag_and_rmi(scripted: ScriptedEngine, pyd: Pyd) -> None:
    scripted.on("POST", "/images/a/b:1/tag", answer(201))
    assert pyd("tag", "a/b:1", "h:5/c:2") == Done(0, "", "")
    assert scripted.requests[0].target.endswith("?repo=h%3A5%2Fc&tag=2")
    assert pyd("tag", "a", "B!").err.startswith('Error parsing reference: "B!" is not a valid')
    scripted.on("DELETE", "/images/a", answer(200, [{"Untagged": "a:1"}, {"Deleted": "sha256:x"}]))
    scripted.on("DELETE", "/images/b", answer(404, {"message": "No such image: b:latest"}))
    expected = Done(1, "Untagged: a:1\nDeleted: sha256:x\n", "Error response from daemon: No such image: b:latest\n")  # fmt: skip
    assert pyd("rmi", "b", "a") == expected
    assert pyd("rmi", "-f", "b").status == 0


def test_events_are_printed_as_they_come(
    scripted: ScriptedEngine, pyd: Pyd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    event = {"status": "start", "id": "x", "Type": "container", "Action": "start", "time": 1,
             "Actor": {"ID": "x", "Attributes": {"name": "n", "image": "i"}},
             "timeNano": 1_000_000_005}  # fmt: skip
    scripted.on("GET", "/events", answer(200, event))
    assert pyd("events", "--filter", "type=container").out == (
        "1970-01-01T00:00:01.000000005Z container start x (image=i, name=n)\n"
    )
    assert pyd("events", "--format", "{{.Action}} {{.Actor.Attributes.name}}").out == "start n\n"
    assert json.loads(pyd("events", "--format", "json").out) == event


@pytest.mark.parametrize(
    ("words", "status", "err"),
    [
        (["rum"], 1, "pyd: unknown command: pyd rum\n\nDid you mean 'pyd rm' or 'pyd run'?\n\nRun 'pyd --help' for more information\n"),
        (["zzz"], 1, "pyd: unknown command: pyd zzz\n\nRun 'pyd --help' for more information\n"),
        (["container", "foo"], 1, "pyd: unknown command: pyd container foo\n\nUsage:  pyd container\n\nRun 'pyd container --help' for more information\n"),
        (["--bogus"], 125, "unknown flag: --bogus\n\nUsage:  pyd [OPTIONS] COMMAND [ARG...]\n\nRun 'pyd --help' for more information\n"),
        (["ps", "x"], 1, "pyd: 'pyd ps' accepts no arguments\n\nUsage:  pyd ps [OPTIONS]\n\nRun 'pyd ps --help' for more information\n"),
        (["stop"], 1, "pyd: 'pyd stop' requires at least 1 argument\n\nUsage:  pyd stop [OPTIONS] CONTAINER [CONTAINER...]\n\nSee 'pyd stop --help' for more information\n"),
        (["tag", "a"], 1, "pyd: 'pyd tag' requires 2 arguments\n\nUsage:  pyd tag SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]\n\nRun 'pyd tag --help' for more information\n"),
        (["container", "rm", "--bogus"], 125, "unknown flag: --bogus\n\nUsage:  pyd container rm [OPTIONS] CONTAINER [CONTAINER...]\n\nRun 'pyd container rm --help' for more information\n"),
        (["run", "-m", "foo", "x"], 125, "invalid argument \"foo\" for \"-m, --memory\" flag: invalid size: 'foo'\n\nUsage:  pyd run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\nRun 'pyd run --help' for more information\n"),
        (["run", "-e", "=", "x"], 125, "invalid argument \"=\" for \"-e, --env\" flag: invalid environment variable: =\n\nUsage:  pyd run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\nRun 'pyd run --help' for more information\n"),
        (["run", "-d", "-a", "stdout", "x"], 1, "conflicting options: cannot specify both --attach and --detach\n"),
        (["run", "--pull", "x", "y"], 125, "pyd: invalid pull option: 'x': must be one of \"always\", \"missing\" or \"never\"\n\nRun 'pyd run --help' for more information\n"),
        (["-H", "ssh://x", "ps"], 1, "ssh:// engine addresses are not supported yet: ssh://x\n\nuse unix:///path/to/socket or tcp://host:port\n"),
        (["-c", "x", "ps"], 1, "pyd: contexts are not supported yet: 'x'\n\nchoose the engine with -H or DOCKER_HOST\n"),
        (["network", "ls"], 1, "pyd: 'network' is not supported yet\n\nRun 'pyd --help' for the commands that are; the docker command can drive the same engine through DOCKER_HOST\n"),
        (["swarm", "init"], 1, "pyd: 'swarm' is not part of pyd\n\nRun 'pyd --help' for more information\n"),
    ],
)  # fmt: skip
def test_wrong_words(pyd: Pyd, words: list[str], status: int, err: str) -> None:
    assert pyd(*words) == Done(status, "", err)


def test_contexts_are_refused_and_not_ignored(pyd: Pyd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    assert "contexts are not supported yet" in pyd("ps").err
    monkeypatch.setenv("DOCKER_CONTEXT", "default")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    assert "TLS connections to an engine are not supported yet" in pyd("ps").err


def test_a_terminal_session_needs_a_terminal(pyd: Pyd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    for words in (["run", "-it", "x"], ["exec", "-it", "x", "y"]):
        done = pyd(*words)
        assert (done.status, done.err.splitlines()[0]) == (1, "the input device is not a TTY")


def test_every_command_has_help(pyd: Pyd) -> None:
    from pyd_host.cli.commands import COMMON, NOUNS, OTHERS

    assert pyd("--help").out == pyd().out == pyd("help").out
    words = [[name] for name in (*COMMON, *OTHERS) if name != "daemon"]
    words += [[noun, verb] for noun, (_, verbs) in NOUNS.items() for verb in verbs]
    for name in words:
        done = pyd(*name, "--help")
        assert done.out.startswith(f"Usage:  pyd {' '.join(name)} ")
        assert (done.status, done.err) == (0, "")
        assert max(map(len, done.out.splitlines())) <= 90
    assert pyd("help", "ps").out == pyd("ps", "--help").out
    assert pyd("ps", "-h").out == pyd("ps", "--help").out


def test_the_version_flag(pyd: Pyd) -> None:
    assert pyd("--version").out.startswith("pyd version ")
