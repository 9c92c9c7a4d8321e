"""`docker run -it`, `exec -it` and `attach` on a terminal, as a person uses them."""

import pytest

from support.engine import Engine
from support.terminal import CTRL_C, CTRL_D, CTRL_P, CTRL_Q, Terminal, on_terminal

pytestmark = pytest.mark.needs("root", "docker", "conmon")
PROMPT = r"[#$] "


def _state(engine: Engine, name: str) -> str:
    return engine.out("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", name)


def _size_becomes(terminal: Terminal, size: str) -> None:
    """Ask for the size until it is ``size``: it travels beside the keys, on its own request."""
    for _ in range(50):
        terminal.send(b"stty size\n")
        found = terminal.expect(r"\n(\d+ \d+)\r").group(1).decode()
        terminal.expect(PROMPT)
        if found == size:
            return
    raise AssertionError(f"the size stays {found}, not {size}")


def test_a_shell_with_echo_status_and_size(engine: Engine) -> None:
    argv = ["docker", "run", "-it", "--rm", engine.image, "sh"]
    with on_terminal(argv, engine.environment, rows=31, columns=97) as terminal:
        terminal.expect(PROMPT)
        terminal.send(b"echo a$((40+2))b; test -t 0 -a -t 1 -a -t 2 && echo all\n")
        terminal.expect("a42b\r\nall\r\n")
        terminal.expect(PROMPT)
        _size_becomes(terminal, "31 97")
        terminal.resize(40, 123)
        _size_becomes(terminal, "40 123")
        terminal.send(b"exit 7\n")
        assert terminal.wait() == 7


def test_the_window_change_reaches_the_program(engine: Engine) -> None:
    script = "trap 'stty size; exit 5' WINCH; echo up; while :; do sleep 0.05; done"
    argv = ["docker", "run", "-it", "--rm", engine.image, "sh", "-c", script]
    with on_terminal(argv, engine.environment) as terminal:
        # The first size may come before or after the trap; a later change comes after it.
        terminal.expect("up\r\n")
        terminal.resize(50, 150)
        terminal.expect(r"(24 80|50 150)\r\n")
        assert terminal.wait() == 5


def test_ctrl_c_interrupts_the_program_and_not_the_shell(engine: Engine) -> None:
    argv = ["docker", "run", "-it", "--rm", engine.image, "sh"]
    with on_terminal(argv, engine.environment) as terminal:
        terminal.expect(PROMPT)
        # One process prints and sleeps: it has the terminal before its word is seen.
        terminal.send(b"sh -c 'echo sleeping; exec sleep 600'\n")
        terminal.expect("sleeping\r\n")
        terminal.send(CTRL_C)
        terminal.expect(PROMPT)
        terminal.send(b"echo status $?\n")
        terminal.expect("status 130\r\n")
        terminal.expect(PROMPT)
        terminal.send(CTRL_D)
        assert terminal.wait() == 0


def test_ctrl_c_reaches_the_first_process(engine: Engine) -> None:
    script = "trap 'echo bye; exit 42' INT; echo up; while :; do sleep 0.05; done"
    argv = ["docker", "run", "-it", "--rm", engine.image, "sh", "-c", script]
    with on_terminal(argv, engine.environment) as terminal:
        terminal.expect("up\r\n")
        terminal.send(CTRL_C)
        terminal.expect("bye\r\n")
        assert terminal.wait() == 42


def test_detach_keys_leave_the_container_running(engine: Engine) -> None:
    name = "tty-detach"
    argv = ["docker", "run", "-it", "--name", name, engine.image, "sh"]
    with on_terminal(argv, engine.environment) as terminal:
        terminal.expect(PROMPT)
        terminal.send(b"marker=kept\n")
        terminal.expect(PROMPT)
        terminal.send(CTRL_P + CTRL_Q)
        assert terminal.wait() == 0
    assert _state(engine, name) == "running 0"
    with on_terminal(["docker", "attach", name], engine.environment) as terminal:
        terminal.send(b"echo $marker\n")
        terminal.expect("kept\r\n")
        terminal.send(b"exit 9\n")
        assert terminal.wait() == 9
    assert _state(engine, name) == "exited 9"
    engine.out("rm", name)


def test_half_of_the_detach_keys_is_input(engine: Engine) -> None:
    script = "stty raw -echo; echo up; dd bs=1 count=2 2>/dev/null | od -An -tx1"
    argv = ["docker", "run", "-it", "--rm", engine.image, "sh", "-c", script]
    with on_terminal(argv, engine.environment) as terminal:
        terminal.expect("up")
        terminal.send(CTRL_P + b"x")
        terminal.expect("10 78")
        assert terminal.wait() == 0


def test_other_detach_keys(engine: Engine) -> None:
    name = "tty-keys"
    argv = [
        "docker",
        "run",
        "-it",
        "--name",
        name,
        "--detach-keys",
        "ctrl-a,d",
        engine.image,
        "cat",
    ]
    with on_terminal(argv, engine.environment) as terminal:
        terminal.send(b"one\n")
        terminal.expect("one\r\none\r\n")
        terminal.send(b"\x01d")
        assert terminal.wait() == 0
    assert _state(engine, name) == "running 0"
    engine.out("rm", "-f", name)


def test_exec_on_a_terminal(engine: Engine) -> None:
    name = "tty-exec"
    engine.out("run", "-d", "--name", name, engine.image, "sleep", "600")
    argv = ["docker", "exec", "-it", name, "sh"]
    with on_terminal(argv, engine.environment, rows=33, columns=101) as terminal:
        terminal.expect(PROMPT)
        _size_becomes(terminal, "33 101")
        terminal.resize(44, 111)
        _size_becomes(terminal, "44 111")
        terminal.send(b"exit 4\n")
        assert terminal.wait() == 4
    with on_terminal(["docker", "exec", "-it", name, "sh"], engine.environment) as terminal:
        terminal.expect(PROMPT)
        terminal.send(CTRL_P + CTRL_Q)
        terminal.wait()
    assert _state(engine, name) == "running 0"
    engine.out("rm", "-f", name)


def test_two_terminals_see_the_same_shell(engine: Engine) -> None:
    name = "tty-two"
    engine.out("run", "-dit", "--name", name, engine.image, "sh")
    attach = ["docker", "attach", name]
    with (
        on_terminal(attach, engine.environment) as one,
        on_terminal(attach, engine.environment) as other,
    ):
        one.send(b"\n")
        one.expect(PROMPT)
        other.send(b"\n")
        other.expect(PROMPT)
        one.send(b"echo from-$((1))\n")
        one.expect("from-1\r\n")
        other.expect("from-1\r\n")
        other.send(b"exit 3\n")
        assert other.wait() == 3
        assert one.wait() == 3
    engine.out("rm", name)


def test_it_without_a_terminal_is_refused_by_the_client(engine: Engine) -> None:
    done = engine.docker("run", "-it", "--rm", engine.image, "true", check=False)
    assert done.returncode != 0
    assert "not a " in done.stderr.lower()  # the input device is not a TTY


def test_the_console_is_the_programs_own(engine: Engine) -> None:
    argv = ["docker", "run", "-it", "--rm", engine.image, "sh", "-c", "tty; ls -l /dev/console"]
    with on_terminal(argv, engine.environment) as terminal:
        said = terminal.rest()
        assert terminal.wait() == 0
    assert b"/dev/" in said
    assert b"crw--w----" in said
