"""Hostile workloads against one engine, through the stock CLI; names are the checklist's ids."""

import json
import time

import pytest

from support.engine import Engine

pytestmark = [pytest.mark.needs("root", "docker", "conmon"), pytest.mark.timeout(120)]


def _idle(engine: Engine, *flags: str) -> str:
    return engine.out("run", "-d", *flags, engine.image, "sleep", "600")


@pytest.mark.parametrize("runtime", ["crun", "runc"])
def test_C9_links_into_leaked_descriptors(engine: Engine, runtime: str) -> None:  # noqa: N802
    """A link hides the path from every look at its text; an exec must stay in the root."""
    box = _idle(engine, "--runtime", runtime)
    link = "for n in $(seq 3 14); do ln -s /proc/self/fd/$n /l$n; done; echo mine >/marker"
    engine.docker("exec", box, "sh", "-c", link)
    for number in range(3, 15):
        look = "cat /proc/self/cwd/../../../../../marker; ls -d /proc/self/cwd/../../../../pyd*"
        got = engine.docker("exec", "-w", f"/l{number}", box, "sh", "-c", look, check=False)
        assert got.returncode != 0 or got.stdout == "mine\n", (number, got)
        assert "pyd-" not in got.stdout, (number, got)


@pytest.mark.parametrize("path", ["/proc/self/fd/8", "/proc/1/cwd", "/proc/self/root"])
def test_C9_a_directory_of_a_process_is_refused(engine: Engine, path: str) -> None:  # noqa: N802
    box = _idle(engine)
    for words in (("run", "--rm", "-w", path, engine.image), ("exec", "-w", path, box)):
        refused = engine.docker(*words, "pwd", check=False)
        assert refused.returncode != 0
        assert "working directory" in refused.stderr


@pytest.mark.parametrize("runtime", ["crun", "runc"])
@pytest.mark.parametrize("flags", [(), ("-t",), ("-i",)], ids=["plain", "tty", "stdin"])
def test_C9_no_descriptor_but_three(  # noqa: N802
    engine: Engine, runtime: str, flags: tuple[str, ...]
) -> None:
    shown = "ls /proc/self/fd"  # the fourth is that of ls itself
    run = engine.out("run", "--rm", *flags, "--runtime", runtime, engine.image, "sh", "-c", shown)
    box = _idle(engine, "--runtime", runtime)
    execed = engine.out("exec", *flags, box, "sh", "-c", shown)
    assert run.split() == execed.split() == ["0", "1", "2", "3"]
    assert engine.out("exec", box, "ls", "/proc/1/fd").split() == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("swap", "complaint"),
    [
        ("mkfifo /etc/passwd", "not a plain file"),
        ("ln -s /dev/zero /etc/passwd", "passwd file"),
        ("mknod /etc/passwd c 1 5", "not a plain file"),
        ("ln -s passwd /etc/passwd", "passwd file"),
        ("ln -s /proc/1/environ /etc/passwd", "no matching entries"),
        ("yes evil:x:0:0::/:/bin/sh | head -c 6000000 >/etc/passwd", "larger than 4 MiB"),
        ("mkdir /etc/passwd", "not a plain file"),
    ],
)
def test_A11_A12_a_workload_swaps_the_accounts(  # noqa: N802
    engine: Engine, swap: str, complaint: str
) -> None:
    box = _idle(engine)
    engine.docker("exec", box, "sh", "-c", f"rm /etc/passwd; {swap}")
    began = time.monotonic()
    refused = engine.docker("exec", "-u", "evil", box, "id", check=False, timeout_s=20)
    assert refused.returncode != 0
    assert complaint in refused.stderr + refused.stdout
    assert time.monotonic() - began < 5


def test_D6_an_exec_in_a_stopped_container(engine: Engine) -> None:  # noqa: N802
    box = engine.out("create", engine.image, "true")
    answer = engine.request("POST", f"/v1.50/containers/{box}/exec", {"Cmd": ["true"]})
    assert answer.status == 409


def test_D15_a_process_that_will_not_stop(engine: Engine) -> None:  # noqa: N802
    box = engine.out(
        "run", "-d", engine.image, "sh", "-c", 'trap "" TERM; while :; do sleep 1; done'
    )
    began = time.monotonic()
    engine.docker("stop", "-t", "1", box)
    assert 0.9 < time.monotonic() - began < 5
    (shown,) = json.loads(engine.out("inspect", box))
    assert (shown["State"]["Status"], shown["State"]["ExitCode"]) == ("exited", 137)


def test_D16_F5_one_winner_of_a_name(engine: Engine) -> None:  # noqa: N802
    clients = [engine.popen("create", "--name", "contest", engine.image) for _ in range(8)]
    codes = []
    for client in clients:
        client.communicate(timeout=60)
        codes.append(client.returncode)
    assert sorted(codes)[:2] == [0, 1]
    assert codes.count(0) == 1
    long = engine.request("POST", f"/v1.50/containers/create?name={'x' * 10000}", {"Image": "x"})
    assert long.status in (400, 404, 414)


def test_F6_a_port_twice(engine: Engine) -> None:  # noqa: N802
    first = _idle(engine, "-p", "28170:80")
    taken = engine.docker("run", "-d", "-p", "28170:80", engine.image, "sleep", "9", check=False)
    assert taken.returncode == 125
    assert "already allocated" in taken.stderr or "already in use" in taken.stderr
    states = engine.out("ps", "-a", "--format", "{{.State}}").split()
    assert sorted(states) == ["created", "running"]
    engine.docker("rm", "-f", first)


@pytest.mark.parametrize("runtime", ["crun", "runc"])
def test_G11_a_fork_bomb_under_a_limit(engine: Engine, runtime: str) -> None:  # noqa: N802
    bomb = "b() { b | b & }; b; sleep 600"
    words = ("--runtime", runtime, "--pids-limit", "60", engine.image, "sh", "-c", bomb)
    box = engine.out("run", "-d", *words)
    for _ in range(3):
        began = time.monotonic()
        engine.docker("version")
        assert time.monotonic() - began < 5
    engine.docker("rm", "-f", box)


def test_G10_out_of_memory(engine: Engine) -> None:  # noqa: N802
    words = ("-m", "20m", "--memory-swap", "20m", engine.image, "sh", "-c")
    box = engine.out("run", "-d", *words, "exec tail /dev/zero")
    assert engine.out("wait", box) == "137"
    (shown,) = json.loads(engine.out("inspect", box))
    assert shown["State"]["OOMKilled"] is True


def test_G15_orphans_are_reaped_by_an_init(engine: Engine) -> None:  # noqa: N802
    box = _idle(engine, "--init")
    engine.docker("exec", box, "sh", "-c", "for n in $(seq 300); do (true &) ; done; sleep 0.3")
    assert "Z" not in [line.split()[2] for line in _stats(engine, box)]


def _stats(engine: Engine, box: str) -> list[str]:
    return engine.out("exec", box, "sh", "-c", "cat /proc/[0-9]*/stat 2>/dev/null").splitlines()


def test_G12_a_line_without_end(engine: Engine) -> None:  # noqa: N802
    size = 20_000_000
    flood = f"head -c {size} /dev/zero | tr '\\0' x"
    box = engine.out("run", "-d", engine.image, "sh", "-c", flood)
    engine.docker("wait", box)
    assert len(engine.docker("logs", box).stdout) == size


def test_D6_E15_clients_that_vanish(engine: Engine) -> None:  # noqa: N802
    box = engine.out("run", "-d", engine.image, "sh", "-c", "yes | head -c 3000000; sleep 600")
    head = f"POST /v1.50/containers/{box}/attach?stream=1&stdout=1&logs=1 HTTP/1.1\r\nHost: x\r\n"
    for _ in range(200):
        bare = engine.connect()
        bare.sendall(f"{head}Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n".encode())
        bare.close()
    assert engine.out("exec", box, "echo", "alive") == "alive"
    engine.docker("rm", "-f", box)


def test_G13_an_attach_without_a_stream_blocks_nothing(engine: Engine) -> None:  # noqa: N802
    box = engine.out("run", "-d", engine.image, "sh", "-c", "sleep 1; yes | head -c 3000000")
    assert engine.request("POST", f"/v1.50/containers/{box}/attach?logs=1&stdout=1").status == 200
    assert engine.out("wait", box) == "0"


def test_I4_neighbours_keep_their_variables(engine: Engine) -> None:  # noqa: N802
    clients = [
        engine.popen("run", "--rm", "-e", f"OWN{number}=1", engine.image, "env")
        for number in range(4)
    ]
    for number, client in enumerate(clients):
        out, _ = client.communicate(timeout=60)
        own = [line for line in out.decode().splitlines() if line.startswith("OWN")]
        assert own == [f"OWN{number}=1"]


def test_I5_modes_of_the_roots(engine: Engine) -> None:  # noqa: N802
    """Others may pass through the folder of the socket, but not enter any container's files."""
    box = _idle(engine)
    private = [
        engine.root / "data",
        *(engine.root / top / "containers" / box for top in ("data", "exec")),
    ]
    assert not [path for path in private if path.stat().st_mode & 0o007]
    assert engine.socket.stat().st_mode & 0o777 == 0o660
