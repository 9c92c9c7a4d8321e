"""`docker logs` and `docker attach` with the stock CLI."""

import re
import time
from collections.abc import Iterator

import pytest

from support.engine import Engine

pytestmark = pytest.mark.needs("root", "docker", "conmon")
TEN = "for n in 1 2 3 4 5 6 7 8 9 10; do echo line-$n; done; echo wrong >&2"


@pytest.fixture
def ten(engine: Engine) -> Iterator[str]:
    engine.docker("run", "--name", "ten", engine.image, "sh", "-c", TEN)
    yield "ten"
    engine.docker("rm", "-f", "ten", check=False)


def test_all(engine: Engine, ten: str) -> None:
    done = engine.docker("logs", ten)
    assert done.stdout == "".join(f"line-{n}\n" for n in range(1, 11))
    assert done.stderr == "wrong\n"


@pytest.mark.parametrize(("tail", "lines"), [("0", 0), ("1", 1), ("3", 3), ("99", 11), ("all", 11)])
def test_tail(engine: Engine, ten: str, tail: str, lines: int) -> None:
    done = engine.docker("logs", "--tail", tail, ten)
    assert len((done.stdout + done.stderr).splitlines()) == lines


def test_timestamps(engine: Engine, ten: str) -> None:
    lines = engine.docker("logs", "-t", ten).stdout.splitlines()
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z line-\d+"
    assert all(re.fullmatch(stamp, line) for line in lines), lines


def test_since_and_until(engine: Engine) -> None:
    attached = engine.popen("run", "-i", "--name", "when", engine.image, "cat")
    assert attached.stdin is not None
    assert attached.stdout is not None
    attached.stdin.write(b"early\n")
    attached.stdin.flush()
    assert attached.stdout.readline() == b"early\n"
    time.sleep(0.05)
    middle = f"{time.time():.9f}"
    time.sleep(0.05)
    attached.communicate(b"late\n", timeout=20)
    assert engine.out("logs", "when") == "early\nlate"
    assert engine.out("logs", "--since", middle, "when") == "late"
    assert engine.out("logs", "--until", middle, "when") == "early"
    assert engine.out("logs", "--since", "1h", "when") == "early\nlate"
    assert engine.out("logs", "--since", "2001-01-01T00:00:00Z", "when") == "early\nlate"


def test_follow_ends_with_the_container(engine: Engine) -> None:
    engine.out(
        "run", "-d", "-i", "--name", "fol", engine.image, "sh", "-c", "echo a; read x; echo $x"
    )
    follow = engine.popen("logs", "-f", "fol")
    assert follow.stdout is not None
    assert follow.stdout.readline() == b"a\n"
    engine.popen("attach", "fol").communicate(b"b\n", timeout=20)
    out, _ = follow.communicate(timeout=20)
    assert out == b"b\n"
    assert follow.returncode == 0


def test_follow_from_the_last_line_on(engine: Engine) -> None:
    script = "echo a; echo b; read x; echo c"
    engine.out("run", "-d", "-i", "--name", "fol", engine.image, "sh", "-c", script)
    while engine.out("logs", "fol") != "a\nb":
        pass
    follow = engine.popen("logs", "-f", "--tail", "1", "fol")
    assert follow.stdout is not None
    assert follow.stdout.readline() == b"b\n"
    engine.popen("attach", "fol").communicate(b"\n", timeout=20)
    out, _ = follow.communicate(timeout=20)
    assert out == b"c\n"


def test_follow_ends_when_the_container_is_removed(engine: Engine) -> None:
    engine.out("run", "-d", "--name", "gone", engine.image, "sh", "-c", "echo a; sleep 600")
    follow = engine.popen("logs", "-f", "gone")
    assert follow.stdout is not None
    assert follow.stdout.readline() == b"a\n"
    engine.out("rm", "-f", "gone")
    follow.communicate(timeout=20)


def test_long_lines_and_no_newline_at_the_end(engine: Engine) -> None:
    script = "head -c 100000 /dev/zero | tr '\\0' x; echo; printf end"
    engine.docker("run", "--name", "long", engine.image, "sh", "-c", script)
    assert engine.docker("logs", "long").stdout == "x" * 100_000 + "\nend"


def test_bytes_that_are_not_text(engine: Engine) -> None:
    engine.docker("run", "-d", "--name", "raw", engine.image, "printf", r"\377\000\r\n\001")
    engine.out("wait", "raw")
    process = engine.popen("logs", "raw")
    out, _ = process.communicate(timeout=20)
    # dockerd's own log keeps text only; pyd's keeps the bytes.
    assert out == (b"\xef\xbf\xbd" if engine.foreign else b"\xff") + b"\x00\r\n\x01"


def test_of_a_terminal(engine: Engine) -> None:
    engine.docker(
        "run", "-d", "-t", "--name", "tty", engine.image, "sh", "-c", "echo a; echo b >&2"
    )
    engine.out("wait", "tty")
    process = engine.popen("logs", "tty")
    out, err = process.communicate(timeout=20)
    assert (out, err) == (b"a\r\nb\r\n", b"")


def test_of_nothing_yet(engine: Engine) -> None:
    engine.out("create", "--name", "new", engine.image, "true")
    assert engine.out("logs", "new") == ""
    assert engine.docker("logs", "no-such", check=False).returncode == 1


def test_attach_without_stdin_shows_what_comes(engine: Engine) -> None:
    script = "read x; echo got $x; exit 4"
    engine.out("run", "-d", "-i", "--name", "att", engine.image, "sh", "-c", script)
    watching = engine.popen("attach", "--no-stdin", "att")
    time.sleep(0.5)  # attach has no sign of being there
    engine.popen("attach", "att").communicate(b"it\n", timeout=20)
    out, _ = watching.communicate(timeout=20)
    assert (out, watching.returncode) == (b"got it\n", 4)


def test_attach_to_a_stopped_container_is_refused(engine: Engine) -> None:
    engine.out("create", "--name", "still", engine.image, "true")
    done = engine.docker("attach", "still", check=False)
    assert done.returncode == 1
    assert "cannot attach to a stopped container" in done.stderr.lower()


def test_no_log_driver(engine: Engine) -> None:
    flags = ["--name", "mute", "--log-driver", "none"]
    made = engine.docker("run", *flags, engine.image, "echo", "x", check=False)
    if made.returncode == 125:  # refused by name is right too
        assert "none" in made.stderr
        return
    done = engine.docker("logs", "mute", check=False)
    assert done.returncode == 1
    assert "does not support reading" in done.stderr
