"""`pyd run -it`, `exec -it`, `attach` and `start -ai` on a terminal, as a person uses them."""

import signal
import termios

import pytest

from support.engine import PYD as PYD_PATH
from support.engine import Engine
from support.terminal import CTRL_C, CTRL_D, CTRL_P, CTRL_Q, Terminal, on_terminal

pytestmark = pytest.mark.needs("root", "docker", "conmon")
PYD = str(PYD_PATH)
PROMPT = r"[#$] "


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
    argv = [PYD, "run", "-it", "--rm", engine.image, "sh"]
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


def test_ctrl_c_and_ctrl_d_are_the_shells(engine: Engine) -> None:
    argv = [PYD, "run", "-it", "--rm", engine.image, "sh"]
    with on_terminal(argv, engine.environment) as terminal:
        terminal.expect(PROMPT)
        terminal.send(b"sh -c 'echo slee$((0))ping; exec sleep 600'\n")
        terminal.expect("slee0ping\r\n")
        terminal.send(CTRL_C)
        terminal.expect(PROMPT)
        terminal.send(b"echo status $?\n")
        terminal.expect("status 130\r\n")
        terminal.expect(PROMPT)
        terminal.send(CTRL_D)
        assert terminal.wait() == 0


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["attach"], 1, "read escape sequence\r\n"),
        (["exec", "-it"], 1, "read escape sequence\r\n"),
        (["attach", "--detach-keys", "ctrl-a,x"], 1, "read escape sequence\r\n"),
    ],
)
def test_detach_keys_leave_it_running(
    engine: Engine, words: list[str], status: int, said: str
) -> None:
    engine.docker("run", "-dit", "--name", "shell", engine.image, "sh")
    command = ["sh"] if "exec" in words else []
    with on_terminal([PYD, *words, "shell", *command], engine.environment) as terminal:
        terminal.send(b"echo o''k\n")
        terminal.expect("ok\r\n")
        terminal.expect(PROMPT)
        terminal.send(b"\x01x" if "ctrl-a,x" in words else CTRL_P + CTRL_Q)
        assert terminal.rest().decode().endswith(said)
        assert terminal.wait() == status
    assert engine.out("inspect", "-f", "{{.State.Running}}", "shell") == "true"


def test_run_detached_by_keys_then_attached_again(engine: Engine) -> None:
    argv = [PYD, "run", "-it", "--name", "shell", engine.image, "sh"]
    with on_terminal(argv, engine.environment) as terminal:
        terminal.expect(PROMPT)
        terminal.send(b"x=kept\n")
        terminal.expect(PROMPT)
        terminal.send(CTRL_P + CTRL_Q)
        assert terminal.wait() == 0
    with on_terminal([PYD, "attach", "shell"], engine.environment) as terminal:
        terminal.send(b"echo $x; exit 5\n")
        terminal.expect("kept\r\n")
        assert terminal.wait() == 5
    with on_terminal([PYD, "start", "-ai", "shell"], engine.environment) as terminal:
        terminal.expect(PROMPT)
        terminal.send(b"exit 6\n")
        assert terminal.wait() == 6


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_terminal_is_as_before_when_the_client_is_ended(
    engine: Engine, number: signal.Signals
) -> None:
    argv = [PYD, "run", "-it", "--name", "raw", engine.image, "sh"]
    with on_terminal(argv, engine.environment) as terminal:
        before = termios.tcgetattr(terminal._master)
        terminal.expect(PROMPT)
        assert termios.tcgetattr(terminal._master) != before
        terminal.process.send_signal(number)
        assert terminal.wait() == 128 + number
        assert termios.tcgetattr(terminal._master) == before


def test_a_program_that_cannot_start_leaves_the_terminal_alone(engine: Engine) -> None:
    argv = [PYD, "run", "-it", "--rm", engine.image, "no-such-program"]
    with on_terminal(argv, engine.environment) as terminal:
        text = terminal.rest().decode()
        assert "pyd: Error response from daemon: " in text
        assert "\r\n\r\nRun 'pyd run --help' for more information\r\n" in text
        assert terminal.wait() == 127


def test_an_interactive_session_needs_a_terminal(engine: Engine) -> None:
    for words in (["run", "-it", engine.image, "true"], ["exec", "-it", "x", "true"]):
        done = engine.pyd(*words, check=False)
        assert done.stderr.startswith("the input device is not a TTY\n")
        assert done.returncode == 1


def test_output_of_a_terminal_without_input(engine: Engine) -> None:
    argv = [PYD, "run", "-t", "--rm", engine.image, "echo", "hi"]
    with on_terminal(argv, engine.environment) as terminal:
        assert terminal.rest().replace(b"\r", b"") == b"hi\n"
        assert terminal.wait() == 0
