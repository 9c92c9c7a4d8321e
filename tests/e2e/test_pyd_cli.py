"""The `pyd` command against a real engine: what a user types, prints and returns."""
# ruff: noqa: E501 - tables of command lines, one row a line

import json
import subprocess
import time
from pathlib import Path

import pytest

from support.engine import PYD, Engine
from support.needs import CURRENT_CLIENT, client_major

pytestmark = pytest.mark.needs("root", "docker", "conmon")


def test_output_input_and_status(engine: Engine) -> None:
    done = engine.pyd(
        "run", "--rm", engine.image, "sh", "-c", "echo out; echo err >&2; exit 7", check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 7)
    assert engine.pyd("run", "--rm", "-i", engine.image, "wc", "-c", stdin="data\n").stdout == "5\n"


def test_much_input_comes_back_whole(engine: Engine, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 40_000)
    with source.open("rb") as file:
        done = subprocess.run(
            [PYD, "run", "--rm", "-i", engine.image, "cat"],
            stdin=file, env=engine.environment, capture_output=True, timeout=60, check=True,
        )  # fmt: skip
    assert done.stdout == source.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["IMAGE", "no-such-program"], 127, "executable file not found in $PATH"),
        (["IMAGE", "/etc/passwd"], 126, "permission denied"),
        (["--pull", "never", "no-such/image", "x"], 125, "No such image: no-such/image:latest"),
        (["--bogus", "IMAGE"], 125, "unknown flag: --bogus"),
        (["--name", "bad name", "IMAGE"], 125, "Invalid container name (bad name)"),
        (["--network", "no-such-network", "IMAGE", "true"], 125, "no-such-network"),
    ],
)
def test_run_refuses_with_a_reason_and_leaves_nothing(
    engine: Engine, arguments: list[str], status: int, words: str
) -> None:
    real = [engine.image if word == "IMAGE" else word for word in arguments]
    done = engine.pyd("run", "--rm", *real, check=False)
    assert (done.returncode, done.stdout) == (status, "")
    assert words.lower() in done.stderr.lower()
    assert "Run 'pyd run --help' for more information" in done.stderr
    assert engine.containers() == []


def test_the_life_of_a_container(engine: Engine) -> None:
    made = engine.pyd("create", "--name", "web", engine.image, "sh", "-c", "echo hi; sleep 600")
    container = made.stdout.strip()
    assert len(container) == 64
    assert engine.pyd("start", "web").stdout == "web\n"
    assert engine.pyd("ps", "-q", "--no-trunc", "-f", "name=web").stdout.strip() == container
    assert engine.pyd("exec", "web", "sh", "-c", "exit 4", check=False).returncode == 4
    assert (
        engine.pyd("exec", "-i", "-e", "A=b", "web", "sh", "-c", "cat; echo $A", stdin="x").stdout
        == "xb\n"
    )
    assert engine.pyd("logs", "web").stdout == "hi\n"
    assert engine.pyd("rm", "web", check=False).returncode == 1
    assert engine.pyd("kill", "web").stdout == "web\n"
    assert engine.pyd("wait", "web").stdout == "137\n"
    assert (
        engine.pyd("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "web").stdout
        == "exited 137\n"
    )
    assert engine.pyd("rm", "-f", "web", "no-such").stdout == "web\n"


def test_stop_and_start_attached(engine: Engine) -> None:
    engine.pyd("run", "-d", "--name", "job", engine.image, "sh", "-c", "echo again; exit 3")
    assert engine.pyd("wait", "job").stdout == "3\n"
    done = engine.pyd("start", "-a", "job", check=False)
    assert (done.stdout, done.returncode) == ("again\n", 3)
    engine.pyd("run", "-d", "--name", "long", engine.image, "sleep", "600")
    assert engine.pyd("stop", "-t", "0", "long").stdout == "long\n"
    assert engine.pyd("attach", "long", check=False).stderr == (
        "You cannot attach to a stopped container, start it first\n"
    )


# What Debian 12's client, 20.10, writes in other words or shapes.
_SAME_AS_A_CURRENT_CLIENT = [
    ["ps", "-a", "--format", "json"],
    ["images", "--format", "json"],
    ["inspect", "one", "IMAGE"],
    ["container", "inspect", "no-such"],
    ["image", "inspect", "IMAGE"],
    ["exec", "no-such", "true"],
    ["rm", "no-such"],
    ["rmi", "no-such"],
]


@pytest.mark.parametrize(
    "words",
    [
        ["ps", "-a"],
        ["ps", "-a", "--no-trunc"],
        ["ps", "-aq"],
        ["ps", "-as"],
        ["ps", "-l", "--format", "table {{.ID}}\\t{{.Image}}\\t{{.Ports}}"],
        ["ps", "-a", "--filter", "name=two", "--format", "{{.Names}} {{.Labels}}"],
        ["ps", "--filter", "no-such=filter"],
        ["images"],
        ["images", "--no-trunc", "--digests"],
        ["images", "-q"],
        ["inspect", "one"],
        ["inspect", "-f", "{{.Name}} {{.Config.Labels}} {{json .Config.Cmd}} {{.State.Running}}", "one"],
        ["inspect", "-f", "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}", "one"],
        ["logs", "one"],
        ["logs", "-t", "--tail", "1", "one"],
        ["exec", "one", "hostname"],
        ["exec", "two", "true"],
        ["rm", "one"],
        ["start", "no-such"],
        ["stop", "no-such"],
        ["kill", "-s", "NOPE", "one"],
        ["kill", "two"],
        ["wait", "no-such"],
        ["tag", "no-such", "x"],
        *(_SAME_AS_A_CURRENT_CLIENT if client_major() >= CURRENT_CLIENT else []),
    ],
    ids=" ".join,
)  # fmt: skip
def test_it_prints_what_the_stock_client_prints(engine: Engine, words: list[str]) -> None:
    engine.docker("create", "--name", "two", "-l", "b=2", engine.image, "true")
    engine.docker(
        "run", "-d", "--name", "one", "-l", "a=1", engine.image, "sh", "-c", "echo hi; sleep 600"
    )
    while engine.out("logs", "one") != "hi":  # a log line is there soon after the start
        time.sleep(0.02)
    real = [engine.image if word == "IMAGE" else word for word in words]
    for _ in range(3):  # a second may begin between the two, and ages show it
        theirs = engine.docker(*real, check=False)
        ours = engine.pyd(*real, check=False)
        if ours.stdout == theirs.stdout:
            break
    assert (ours.returncode, ours.stdout, ours.stderr) == (
        theirs.returncode, theirs.stdout, theirs.stderr,
    )  # fmt: skip


def test_images_come_and_go(engine: Engine, tmp_path: Path) -> None:
    archive = tmp_path / "tree.tar"
    tree = tmp_path / "tree"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/file").write_text("content")
    subprocess.run(["tar", "-C", tree, "-cf", archive, "."], check=True)
    made = engine.pyd("import", "-c", "CMD a", str(archive), "cli-test/made:1").stdout.strip()
    assert made.startswith("sha256:")
    engine.pyd("tag", "cli-test/made:1", "cli-test/made:2")
    tags = engine.pyd("images", "cli-test/made", "--format", "{{.Tag}}").stdout.split()
    assert sorted(tags) == ["1", "2"]
    gone = engine.pyd("rmi", "cli-test/made:1", "cli-test/made:2").stdout.splitlines()
    assert gone[:2] == ["Untagged: cli-test/made:1", "Untagged: cli-test/made:2"]
    assert gone[2] == f"Deleted: {made}"


def test_a_bad_archive_is_refused(engine: Engine, tmp_path: Path) -> None:
    bad = tmp_path / "bad.tar"
    bad.write_bytes(b"no archive" * 1000)
    done = engine.pyd("load", "-i", str(bad), check=False)
    assert done.returncode == 1
    assert done.stderr


def test_events_and_filters(engine: Engine) -> None:
    engine.pyd("run", "--rm", "--name", "seen", engine.image, "true")
    done = engine.pyd(
        "events", "--since", "1m", "--until", "0s", "--filter", "container=seen",
        "--format", "{{.Action}}",
    )  # fmt: skip
    actions = done.stdout.split()
    assert [word for word in actions if word in {"create", "start", "die", "destroy"}] == [
        "create", "start", "die", "destroy",
    ]  # fmt: skip


def test_version_and_info(engine: Engine) -> None:
    done = engine.pyd("version", "--format", "json")
    both = json.loads(done.stdout)
    assert both["Client"]["ApiVersion"] == "1.50"
    assert both["Server"]["ApiVersion"]
    assert "\n Engine:\n  Version: " in engine.pyd("version").stdout
    assert " Containers: 0\n" in engine.pyd("info").stdout or engine.foreign
    assert engine.pyd("info", "-f", "{{.OSType}}").stdout == "linux\n"


def test_signals_reach_the_container(engine: Engine) -> None:
    script = "trap 'echo term; exit 9' TERM; echo up; while :; do sleep 0.05; done"
    with subprocess.Popen(
        [PYD, "run", "--rm", engine.image, "sh", "-c", script],
        stdout=subprocess.PIPE, env=engine.environment,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.terminate()
        assert process.stdout.read() == b"term\n"
        assert process.wait(20) == 9


def test_a_reader_that_leaves_ends_the_command_quietly(engine: Engine) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{PYD} ps -a --no-trunc --format '{{{{.ID}}}}' | true; {PYD} images | head -c 1"],
        capture_output=True, env=engine.environment, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stderr == ""
