"""Create, start, stop, kill, wait, rename, remove, and what `ps`, `inspect` and `events` say."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from support.engine import Engine

pytestmark = pytest.mark.needs("root", "docker", "conmon")
FOREVER = "trap 'exit 0' TERM; while :; do sleep 0.05; done"
DEAF = "trap '' TERM; echo up; while :; do sleep 0.05; done"


def _inspect(engine: Engine, name: str) -> Any:
    return json.loads(engine.out("inspect", name))[0]


def _started_deaf(engine: Engine, name: str, *flags: str) -> None:
    """Start a container that ignores SIGTERM, and return once it does."""
    engine.out("run", "-d", "--name", name, *flags, engine.image, "sh", "-c", DEAF)
    follow = engine.popen("logs", "-f", name)
    try:
        assert follow.stdout is not None
        assert follow.stdout.readline() == b"up\n"
    finally:
        follow.kill()
        follow.communicate()


def test_create_start_stop_start_remove(engine: Engine) -> None:
    created = engine.out("create", "--name", "life", engine.image, "sh", "-c", FOREVER)
    assert _inspect(engine, "life")["State"]["Status"] == "created"
    assert engine.out("start", "life") == "life"
    state = _inspect(engine, created[:12])["State"]
    assert (state["Status"], state["Running"], state["ExitCode"]) == ("running", True, 0)
    assert state["Pid"] > 0
    first_start = state["StartedAt"]
    assert engine.out("stop", "life") == "life"
    state = _inspect(engine, "life")["State"]
    assert (state["Status"], state["Running"], state["Pid"]) == ("exited", False, 0)
    assert state["FinishedAt"] > first_start
    engine.out("start", "life")
    assert _inspect(engine, "life")["State"]["StartedAt"] > first_start
    assert _inspect(engine, "life")["State"]["FinishedAt"] == state["FinishedAt"]
    done = engine.docker("rm", "life", check=False)
    assert done.returncode == 1
    assert "container is running" in done.stderr
    engine.out("rm", "-f", "life")
    assert engine.containers() == []


def test_start_of_a_running_and_stop_of_a_stopped_are_fine(engine: Engine) -> None:
    engine.out("run", "-d", "--name", "twice", engine.image, "sh", "-c", FOREVER)
    assert engine.request("POST", "/containers/twice/start").status == 304
    engine.out("start", "twice")
    engine.out("stop", "twice")
    assert engine.request("POST", "/containers/twice/stop").status == 304
    engine.out("stop", "twice")


def test_start_attached_gives_output_and_status(engine: Engine) -> None:
    engine.out("create", "-i", "--name", "again", engine.image, "sh", "-c", "cat; exit 3")
    for turn in ("one", "two"):
        done = engine.docker("start", "-ai", "again", stdin=turn, check=False)
        assert (done.stdout, done.returncode) == (turn, 3)


def test_stop_waits_then_kills(engine: Engine) -> None:
    _started_deaf(engine, "deaf")
    begin = time.monotonic()
    engine.out("stop", "-t", "1", "deaf")
    assert 0.9 < time.monotonic() - begin < 8
    assert _inspect(engine, "deaf")["State"]["ExitCode"] == 137


def test_stop_with_no_patience_kills_at_once(engine: Engine) -> None:
    _started_deaf(engine, "deaf")
    begin = time.monotonic()
    engine.out("stop", "-t", "0", "deaf")
    assert time.monotonic() - begin < 5
    assert _inspect(engine, "deaf")["State"]["ExitCode"] == 137


def test_stop_signal_and_timeout_of_the_container(engine: Engine) -> None:
    script = "trap 'exit 21' USR1; echo up; while :; do sleep 0.05; done"
    flags = ["--stop-signal", "USR1", "--stop-timeout", "30"]
    engine.out("run", "-d", "--name", "usr", *flags, engine.image, "sh", "-c", script)
    for _ in range(200):
        if engine.out("logs", "usr"):
            break
    engine.out("stop", "usr")
    assert _inspect(engine, "usr")["State"]["ExitCode"] == 21


def test_restart_is_a_new_process(engine: Engine) -> None:
    engine.out("run", "-d", "--name", "re", engine.image, "sh", "-c", FOREVER)
    pid = _inspect(engine, "re")["State"]["Pid"]
    engine.out("restart", "-t", "5", "re")
    state = _inspect(engine, "re")["State"]
    assert state["Running"]
    assert state["Pid"] != pid


@pytest.mark.parametrize("signal", ["KILL", "SIGKILL", "9"])
def test_kill(engine: Engine, signal: str) -> None:
    engine.out("run", "-d", "--name", "kill", engine.image, "sleep", "600")
    engine.out("kill", "-s", signal, "kill")
    assert engine.out("wait", "kill") == "137"
    done = engine.docker("kill", "kill", check=False)
    assert done.returncode == 1
    assert "is not running" in done.stderr


def test_kill_with_a_signal_that_is_not_deadly(engine: Engine) -> None:
    script = "trap 'echo caught' HUP; echo up; while :; do sleep 0.05; done"
    engine.out("run", "-d", "--name", "hup", engine.image, "sh", "-c", script)
    follow = engine.popen("logs", "-f", "hup")
    assert follow.stdout is not None
    assert follow.stdout.readline() == b"up\n"
    engine.out("kill", "-s", "HUP", "hup")
    assert follow.stdout.readline() == b"caught\n"
    follow.kill()
    follow.communicate()
    assert _inspect(engine, "hup")["State"]["Running"]


def test_wait_gives_each_status(engine: Engine) -> None:
    for name, status in (("w1", 4), ("w2", 5)):
        engine.out("run", "-d", "--name", name, engine.image, "sh", "-c", f"exit {status}")
    assert engine.out("wait", "w1", "w2").split() == ["4", "5"]


def test_wait_before_the_end(engine: Engine) -> None:
    engine.out("run", "-d", "-i", "--name", "later", engine.image, "sh", "-c", "read x; exit 6")
    waiting = engine.popen("wait", "later")
    feeding = engine.popen("attach", "later")
    feeding.communicate(b"go\n", timeout=20)
    out, _ = waiting.communicate(timeout=20)
    assert out == b"6\n"


def test_a_taken_name_is_a_conflict(engine: Engine) -> None:
    first = engine.out("create", "--name", "taken", engine.image, "true")
    done = engine.docker("create", "--name", "taken", engine.image, "true", check=False)
    assert done.returncode == 1
    assert 'The container name "/taken" is already in use by container "' + first in done.stderr
    assert len(engine.containers()) == 1
    engine.out("rm", "taken")
    engine.out("create", "--name", "taken", engine.image, "true")


def test_rename(engine: Engine) -> None:
    engine.out("create", "--name", "old", engine.image, "true")
    engine.out("create", "--name", "other", engine.image, "true")
    engine.out("rename", "old", "new")
    assert _inspect(engine, "new")["Name"] == "/new"
    assert engine.docker("inspect", "old", check=False).returncode == 1
    done = engine.docker("rename", "new", "other", check=False)
    assert done.returncode == 1
    assert "already in use" in done.stderr


def test_ps_columns(engine: Engine) -> None:
    engine.out("run", "-d", "--name", "up", "-p", "18081:80", engine.image, "sleep", "600")
    engine.docker("run", "--name", "down", engine.image, "sh", "-c", "exit 3", check=False)
    engine.out("create", "--name", "new", engine.image, "echo", "a b", "c")
    form = "{{.Names}}|{{.Image}}|{{.Command}}|{{.Status}}|{{.Ports}}|{{.State}}"
    running = engine.out("ps", "--no-trunc", "--format", form).splitlines()
    mine = [line.split("|") for line in running if line.startswith("up|")]
    assert mine[0][1:3] == [engine.image, '"sleep 600"']
    assert re.fullmatch(r"Up (\d+ seconds?|Less than a second)", mine[0][3])
    assert "0.0.0.0:18081->80/tcp" in mine[0][4]
    lines = engine.out("ps", "-a", "--no-trunc", "--format", form).splitlines()
    every = {line.split("|")[0]: line.split("|") for line in lines}
    assert re.fullmatch(r"Exited \(3\) .* ago", every["down"][3])
    assert every["down"][5] == "exited"
    assert every["new"][2:4] == ["\"echo 'a b' c\"", "Created"]
    assert engine.out("ps", "-aq", "--filter", "status=created", "--filter", "name=new")
    assert not engine.out("ps", "-q", "--filter", "name=down")
    assert engine.out("ps", "-aq", "--filter", "exited=3", "--filter", "name=down")
    latest = engine.out("ps", "-lq", "--no-trunc")
    if not engine.foreign:
        assert latest == _inspect(engine, "new")["Id"]


def test_ps_filters_by_label_and_refuses_nonsense(engine: Engine) -> None:
    one = engine.out("create", "--label", "pydtest=1", "--label", "b", engine.image, "true")
    two = engine.out("create", "--label", "pydtest=2", engine.image, "true")
    listed = ("ps", "-aq", "--no-trunc", "--filter")
    assert set(engine.out(*listed, "label=pydtest").split()) == {one, two}
    assert engine.out(*listed, "label=pydtest=2") == two
    assert engine.out(*listed, f"id={one[:10]}") == one
    done = engine.docker("ps", "--filter", "nonsense=1", check=False)
    assert done.returncode == 1
    assert "invalid filter 'nonsense'" in done.stderr


def test_inspect_has_the_shape_that_tools_read(engine: Engine) -> None:
    flags = ["-e", "A=b", "-l", "x=y", "-h", "box", "-w", "/tmp", "-p", "127.0.0.1:18082:80"]
    command = ["sh", "-c", FOREVER]
    engine.out("run", "-d", "--name", "shape", *flags, engine.image, *command)
    seen = _inspect(engine, "shape")
    assert re.fullmatch("[0-9a-f]{64}", seen["Id"])
    assert re.fullmatch("sha256:[0-9a-f]{64}", seen["Image"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]+\.\d+Z", seen["Created"])
    assert (seen["Path"], seen["Args"]) == (command[0], command[1:])
    config = seen["Config"]
    assert (config["Image"], config["Hostname"], config["WorkingDir"]) == (
        engine.image,
        "box",
        "/tmp",
    )
    assert config["Cmd"] == command
    assert config["Labels"] == {"x": "y"}
    assert "A=b" in config["Env"]
    assert any(variable.startswith("PATH=") for variable in config["Env"])
    binding = [{"HostIp": "127.0.0.1", "HostPort": "18082"}]
    assert seen["HostConfig"]["PortBindings"] == {"80/tcp": binding}
    assert seen["NetworkSettings"]["Ports"] == {"80/tcp": binding}
    bridge = seen["NetworkSettings"]["Networks"]["bridge"]
    assert re.fullmatch(r"\d+\.\d+\.\d+\.\d+", bridge["IPAddress"])
    assert re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", bridge["MacAddress"])
    assert bridge["Gateway"]
    assert seen["RestartCount"] == 0
    assert seen["Driver"].startswith("overlay")
    assert seen["LogPath"]
    engine.out("kill", "shape")
    engine.out("wait", "shape")
    seen = _inspect(engine, "shape")
    assert seen["NetworkSettings"]["Ports"] in ({}, None)
    assert seen["NetworkSettings"]["Networks"]["bridge"]["IPAddress"] == ""


def test_events_of_one_life(engine: Engine) -> None:
    begin = f"{time.time():.9f}"
    image = engine.image
    container = engine.out(
        "create", "--name", "told", "--label", "k=v", image, "sh", "-c", "exit 3"
    )
    engine.out("start", container)
    engine.out("wait", container)
    engine.out("rm", container)
    raw = engine.out("events", "--since", begin, "--until", f"{time.time():.9f}",
                     "--filter", f"container={container}", "--format", "{{json .}}")  # fmt: skip
    events = [json.loads(line) for line in raw.splitlines()]
    assert [event["Action"] for event in events if event["Type"] == "container"] == [
        "create", "start", "die", "destroy"
    ]  # fmt: skip
    attributes = events[0]["Actor"]["Attributes"]
    assert (attributes["name"], attributes["image"], attributes["k"]) == ("told", image, "v")
    die = next(event for event in events if event["Action"] == "die")
    assert die["Actor"]["Attributes"]["exitCode"] == "3"
    assert (die["status"], die["id"], die["from"]) == ("die", container, image)
    assert die["timeNano"] // 10**9 == die["time"]


def test_events_arrive_while_they_happen(engine: Engine) -> None:
    stream = engine.popen("events", "--filter", "type=container", "--format", "{{.Action}} {{.ID}}")
    assert stream.stdout is not None
    try:
        # The head is sent at once, but the subscription's start has no sign of its own.
        time.sleep(0.5)
        container = engine.out("run", "-d", engine.image, "true")
        seen: list[str] = []
        while not seen or seen[-1] != "die":
            action, _, actor = stream.stdout.readline().decode().strip().partition(" ")
            seen += [action] if actor == container else []
        assert seen == ["create", "start", "die"]
    finally:
        stream.kill()
        stream.communicate()


def test_rm_takes_several_and_goes_on_after_a_mistake(engine: Engine) -> None:
    engine.out("create", "--name", "r1", engine.image, "true")
    engine.out("create", "--name", "r2", engine.image, "true")
    done = engine.docker("rm", "r1", "no-such", "r2", check=False)
    assert done.stdout.split() == ["r1", "r2"]
    assert done.returncode == 1
    assert "No such container: no-such" in done.stderr


def test_rm_f_of_what_never_was_is_fine(engine: Engine) -> None:
    assert engine.docker("rm", "-f", "never-was", check=False).returncode == 0


def test_prefixes_find_a_container_and_ambiguity_is_told(engine: Engine) -> None:
    ids = [engine.out("create", engine.image, "true") for _ in range(17)]
    assert _inspect(engine, ids[0][:12])["Id"] == ids[0]
    # 17 ids share one of 16 first digits.
    first = next(d for d in "0123456789abcdef" if sum(i.startswith(d) for i in ids) > 1)
    done = engine.docker("rm", first, check=False)
    assert done.returncode == 1
    assert re.search(r"[Mm]ultiple IDs found with provided prefix: " + first, done.stderr)


def test_a_client_killed_in_the_middle_does_no_harm(engine: Engine) -> None:
    process = engine.popen("run", "--name", "orphan", engine.image, "sh", "-c", FOREVER)
    while not engine.out("ps", "-q", "--filter", "name=orphan"):
        assert process.poll() is None
    process.kill()
    process.communicate()
    assert _inspect(engine, "orphan")["State"]["Running"]
    engine.out("stop", "orphan")
    assert _inspect(engine, "orphan")["State"]["ExitCode"] == 0


def test_top_is_exact_or_refused_by_name(engine: Engine) -> None:
    engine.out("run", "-d", "--name", "top", engine.image, "sleep", "600")
    done = engine.docker("top", "top", check=False)
    assert "sleep 600" in done.stdout or (done.returncode == 1 and done.stderr.strip())


def test_two_removals_at_once(engine: Engine) -> None:
    engine.out("run", "-d", "--name", "race", engine.image, "sleep", "600")
    removals = [engine.popen("rm", "-f", "race") for _ in range(4)]
    for removal in removals:
        removal.communicate(timeout=30)
    assert any(removal.returncode == 0 for removal in removals)
    assert engine.containers() == []


def test_many_starts_of_one_container_at_once(engine: Engine) -> None:
    container = engine.out("create", engine.image, "sh", "-c", FOREVER)
    starts = [engine.popen("start", container) for _ in range(6)]
    for start in starts:
        _, err = start.communicate(timeout=30)
        assert start.returncode == 0, err
    pid = _inspect(engine, container)["State"]["Pid"]
    assert b"while" in Path("/proc", str(pid), "cmdline").read_bytes()
