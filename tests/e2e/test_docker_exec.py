"""`docker exec` with the stock CLI."""

import json
import time
from collections.abc import Iterator

import pytest

from support.engine import Engine

pytestmark = pytest.mark.needs("root", "docker", "conmon")


@pytest.fixture
def box(engine: Engine) -> Iterator[str]:
    flags = ["--name", "box", "-e", "COLOUR=blue", "-w", "/tmp"]
    engine.out("run", "-d", *flags, engine.image, "sleep", "600")
    yield "box"
    engine.docker("rm", "-f", "box", check=False)


def test_output_and_status(engine: Engine, box: str) -> None:
    done = engine.docker("exec", box, "sh", "-c", "echo out; echo err >&2; exit 9", check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 9)


def test_it_joins_the_container(engine: Engine, box: str) -> None:
    assert "sleep 600" in engine.out("exec", box, "ps")
    assert engine.out("exec", box, "sh", "-c", "echo $COLOUR $PWD") == "blue /tmp"
    name = engine.out("exec", box, "hostname")
    assert engine.out("inspect", "-f", "{{.Config.Hostname}}", box) == name


def test_its_own_environment_user_and_folder(engine: Engine, box: str) -> None:
    flags = ["-e", "COLOUR=red", "-u", "nobody", "-w", "/etc"]
    assert (
        engine.out("exec", *flags, box, "sh", "-c", "echo $COLOUR $(id -u) $PWD")
        == "red 65534 /etc"
    )


def test_stdin(engine: Engine, box: str) -> None:
    assert engine.out("exec", "-i", box, "wc", "-c", stdin="12345") == "5"
    assert engine.out("exec", box, "wc", "-c", stdin="12345") == "0"


def test_ten_megabytes_through_exec(engine: Engine, box: str) -> None:
    data = b"0123456789abcdef" * 65536 * 10
    process = engine.popen("exec", "-i", box, "cat")
    out, err = process.communicate(data, timeout=60)
    assert process.returncode == 0, err
    assert len(out) == len(data)
    assert out == data


@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        (["no-such-program"], 127, "executable file not found in $PATH"),
        (["/no/such"], 127, "no such file or directory"),
        (["/etc/passwd"], 126, "permission denied"),
    ],
)
def test_a_program_that_cannot_start(
    engine: Engine, box: str, command: list[str], status: int, words: str
) -> None:
    done = engine.docker("exec", box, *command, check=False)
    assert done.returncode == status
    assert words in (done.stdout + done.stderr)


def test_death_by_signal(engine: Engine, box: str) -> None:
    done = engine.docker("exec", box, "sh", "-c", "kill -KILL $$", check=False)
    assert done.returncode == 137


def test_detached(engine: Engine, box: str) -> None:
    assert engine.out("exec", "-d", box, "sh", "-c", "mkfifo /tmp/f; cat /tmp/f; sleep 600") == ""
    # The pipe is the event: writing to it returns when the other side has it open.
    script = "while [ ! -p /tmp/f ]; do sleep 0.02; done; echo x >/tmp/f; echo done"
    assert engine.out("exec", box, "sh", "-c", script) == "done"


def test_refusals(engine: Engine, box: str) -> None:
    done = engine.docker("exec", "no-such-box", "true", check=False)
    assert (done.returncode, "No such container: no-such-box" in done.stderr) == (1, True)
    engine.out("kill", box)
    engine.docker("wait", box)
    done = engine.docker("exec", box, "true", check=False)
    assert done.returncode == 1
    assert "is not running" in done.stderr


def test_the_end_of_the_container_ends_its_execs(engine: Engine, box: str) -> None:
    process = engine.popen("exec", box, "sh", "-c", "echo up; sleep 600")
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    engine.out("kill", box)
    process.communicate(timeout=20)
    assert process.returncode == 137


def test_ten_at_once(engine: Engine, box: str) -> None:
    processes = [engine.popen("exec", box, "sh", "-c", f"echo {n}; exit {n}") for n in range(10)]
    for number, process in enumerate(processes):
        out, err = process.communicate(timeout=60)
        assert (out, process.returncode) == (f"{number}\n".encode(), number), err


def test_inspect_of_an_exec(engine: Engine, box: str) -> None:
    body = {"Cmd": ["sh", "-c", "exit 5"], "AttachStdout": True}
    created = engine.request("POST", f"/containers/{box}/exec", body)
    assert created.status == 201
    exec_id = created.json()["Id"]
    seen = engine.request("GET", f"/exec/{exec_id}/json").json()
    assert (seen["Running"], seen["ExitCode"], seen["Pid"]) == (False, None, 0)
    started = engine.request("POST", f"/exec/{exec_id}/start", {"Detach": False, "Tty": False})
    assert started.status == 200
    seen = engine.request("GET", f"/exec/{exec_id}/json").json()
    assert (seen["Running"], seen["ExitCode"]) == (False, 5)
    assert seen["ProcessConfig"]["entrypoint"] == "sh"
    assert seen["ProcessConfig"]["arguments"] == ["-c", "exit 5"]
    assert seen["ContainerID"] == json.loads(engine.out("inspect", box))[0]["Id"]
    again = engine.request("POST", f"/exec/{exec_id}/start", {"Detach": False, "Tty": False})
    assert b"has already run" in again.body


def test_events_of_an_exec(engine: Engine, box: str) -> None:
    begin = f"{time.time():.9f}"
    engine.docker("exec", box, "sh", "-c", "exit 3", check=False)
    until = f"{time.time() + 0.2:.9f}"
    form = "{{.Action}} {{.Actor.Attributes.exitCode}}"
    said = engine.out("events", "--since", begin, "--until", until, "--format", form,
                      "--filter", f"container={box}").splitlines()  # fmt: skip
    kinds = [line.split(":")[0].split()[0] for line in said]
    assert kinds == ["exec_create", "exec_start", "exec_die"]
    assert said[-1] == "exec_die 3"
