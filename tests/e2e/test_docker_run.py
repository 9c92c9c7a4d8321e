"""`docker run` with the stock CLI: output, input, exit statuses."""

import hashlib
import subprocess
import time

import pytest

from support.engine import Engine

pytestmark = pytest.mark.needs("root", "docker", "conmon")


def test_output_reaches_the_client(engine: Engine) -> None:
    assert engine.out("run", "--rm", engine.image, "echo", "hello") == "hello"


def test_stdout_and_stderr_stay_apart(engine: Engine) -> None:
    done = engine.docker("run", "--rm", engine.image, "sh", "-c", "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == ("out\n", "err\n")


@pytest.mark.parametrize("status", [0, 1, 7, 255])
def test_the_exit_status_is_the_programs(engine: Engine, status: int) -> None:
    done = engine.docker("run", "--rm", engine.image, "sh", "-c", f"exit {status}", check=False)
    assert done.returncode == status


@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        (["/etc"], 126, "permission denied"),
        (["/etc/passwd"], 126, "permission denied"),
        (["no-such-program"], 127, "executable file not found in $PATH"),
        (["/no/such/program"], 127, "no such file or directory"),
    ],
)
def test_a_program_that_cannot_start(
    engine: Engine, command: list[str], status: int, words: str
) -> None:
    done = engine.docker("run", "--rm", engine.image, *command, check=False)
    assert done.returncode == status, done.stderr
    assert words in done.stderr.lower().replace("$path", "$PATH")
    assert command[0] in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--no-such-flag", "IMAGE", "true"],
        ["no-such-image.invalid/x:y", "true"],
        ["--name", "bad name", "IMAGE", "true"],
        ["--network", "no-such-network", "IMAGE", "true"],
        ["-p", "99999:1", "IMAGE", "true"],
        ["--memory", "1", "IMAGE", "true"],
        ["--stop-signal", "SIGNOPE", "IMAGE", "true"],
        ["-w", "relative", "IMAGE", "true"],
        ["--entrypoint", "", "--pull", "never", "Capital/Letters", "true"],
    ],
)
def test_a_refused_run_is_125_and_leaves_no_container(engine: Engine, arguments: list[str]) -> None:
    words = [engine.image if word == "IMAGE" else word for word in arguments]
    before = engine.containers()
    done = engine.docker("run", "--rm", *words, check=False)
    assert done.returncode == 125, done
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr
    assert engine.containers() == before


@pytest.mark.parametrize(
    ("signal", "status"), [("KILL", 137), ("TERM", 143), ("HUP", 129), ("USR1", 138)]
)
def test_death_by_signal_is_128_and_its_number(engine: Engine, signal: str, status: int) -> None:
    # init of a PID namespace ignores what it has not asked for: let a child die and pass it on.
    script = f"sh -c 'kill -{signal} $$'; exit $?"
    done = engine.docker("run", "--rm", engine.image, "sh", "-c", script, check=False)
    assert done.returncode == status


@pytest.mark.parametrize("signal", ["TERM", "INT", "USR1"])
def test_signals_to_the_client_reach_the_container(engine: Engine, signal: str) -> None:
    script = f"trap 'echo got {signal}; exit 33' {signal}; echo up; while :; do sleep 0.05; done"
    process = engine.popen("run", "--rm", engine.image, "sh", "-c", script)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        subprocess.run(["kill", f"-{signal}", str(process.pid)], check=True)
        out, _ = process.communicate(timeout=20)
        assert out == f"got {signal}\n".encode()
        assert process.returncode == 33
    finally:
        process.kill()
        process.communicate()


def test_stdin_is_piped_and_closed(engine: Engine) -> None:
    assert engine.out("run", "--rm", "-i", engine.image, "wc", "-c", stdin="data\n") == "5"


def test_without_i_stdin_is_empty(engine: Engine) -> None:
    assert engine.out("run", "--rm", engine.image, "wc", "-c", stdin="data\n") == "0"


def test_output_after_the_end_of_input_arrives(engine: Engine) -> None:
    script = "cat >/dev/null; sleep 0.3; echo after"
    assert engine.out("run", "--rm", "-i", engine.image, "sh", "-c", script, stdin="x") == "after"


def test_fifty_megabytes_each_way(engine: Engine) -> None:
    size = 50_000_000
    block = hashlib.sha256(b"seed").digest() * 31_250  # 1 MB that does not compress to one byte
    data = block * (size // len(block))
    process = engine.popen("run", "--rm", "-i", engine.image, "sh", "-c", "tee /dev/stderr")
    out, err = process.communicate(data, timeout=100)
    assert process.returncode == 0
    assert len(out) == len(data)
    assert len(err) == len(data)
    assert hashlib.sha256(out).digest() == hashlib.sha256(data).digest()
    assert hashlib.sha256(err).digest() == hashlib.sha256(data).digest()


def test_a_reader_that_leaves_early_does_not_hang_the_client(engine: Engine) -> None:
    process = engine.popen("run", "--rm", "-i", engine.image, "head", "-c", "3")
    out, _ = process.communicate(b"abcdef" * 100_000, timeout=30)
    assert out == b"abc"
    assert process.returncode == 0


def test_detached(engine: Engine) -> None:
    container = engine.out("run", "-d", engine.image, "sleep", "600")
    assert len(container) == 64
    assert engine.out("inspect", "-f", "{{.State.Running}}", container) == "true"


def test_rm_removes_also_when_detached(engine: Engine) -> None:
    container = engine.out("run", "-d", "--rm", engine.image, "sleep", "600")
    engine.out("kill", container)
    engine.docker("wait", container, check=False)
    deadline = time.monotonic() + 10
    while engine.out("ps", "-aq", "--filter", f"id={container}"):
        assert time.monotonic() < deadline


def test_environment_workdir_hostname_user(engine: Engine) -> None:
    flags = ["-e", "COLOUR=blue", "-w", "/var/new", "-h", "box", "-u", "65534:65534"]
    script = 'echo "$COLOUR $PWD $(hostname) $(id -u):$(id -g) $HOME"'
    said = engine.out("run", "--rm", *flags, engine.image, "sh", "-c", script)
    assert said == "blue /var/new box 65534:65534 /"


def test_the_init_process_reaps(engine: Engine) -> None:
    if engine.foreign:
        return  # the peer may lack docker-init
    said = engine.out(
        "run", "--rm", "--init", engine.image, "sh", "-c", "cat /proc/1/comm; echo $$"
    )
    first, own = said.splitlines()
    assert "init" in first or "tini" in first
    assert own != "1"


def test_read_only_root_and_tmpfs(engine: Engine) -> None:
    script = "touch /x 2>/dev/null || echo refused; touch /work/x && echo written"
    said = engine.out(
        "run", "--rm", "--read-only", "--tmpfs", "/work", engine.image, "sh", "-c", script
    )
    assert said.split() == ["refused", "written"]


def test_host_and_no_network(engine: Engine) -> None:
    links = ["sh", "-c", "ls /sys/class/net"]
    assert engine.out("run", "--rm", "--network", "none", engine.image, *links) == "lo"
    own = engine.out("run", "--rm", "--network", "host", engine.image, *links).split()
    outside = engine.nsenter("ls", "/sys/class/net").stdout.split()
    assert set(own) >= {"lo"}
    assert len(own) > 1
    assert outside


def test_cidfile(engine: Engine) -> None:
    path = engine.folder / "cid"
    engine.docker("run", "--rm", "--cidfile", str(path), engine.image, "true")
    assert len(path.read_text()) == 64
    path.unlink()


def test_eight_at_once(engine: Engine) -> None:
    script = "echo {n}; exit {n}"
    processes = [
        engine.popen("run", "--rm", engine.image, "sh", "-c", script.format(n=number))
        for number in range(8)
    ]
    for number, process in enumerate(processes):
        out, err = process.communicate(timeout=60)
        assert (out, process.returncode) == (f"{number}\n".encode(), number), err
