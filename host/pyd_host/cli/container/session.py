"""An attached session: terminal, signals, resizing and the stream itself, put together."""

import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from socket import socket

from pyd_host.cli import terminal
from pyd_host.cli.errors import CommandError, PlainError
from pyd_host.client.detach import DEFAULT_KEYS, DetachFilter, parse_keys
from pyd_host.client.engine import Engine
from pyd_host.client.output import output_for
from pyd_host.client.pump import Pump

_NOT_A_TTY = "the input device is not a TTY"


def check_terminal(*, tty: bool, stdin: bool) -> None:
    """Refuse a terminal session whose input does not come from one."""
    if tty and stdin and not terminal.is_terminal(terminal.STDIN):
        raise PlainError(_NOT_A_TTY, hint="leave -t out, or do not redirect standard input")


def detach_keys(text: str) -> bytes:
    """Read ``--detach-keys``."""
    try:
        return parse_keys(text or DEFAULT_KEYS)
    except ValueError as error:
        raise CommandError(f"invalid detach keys ({text}): {error}") from error


class Session:
    """What one attached command needs: open it, start the process, carry, close."""

    __slots__ = ("_engine", "_keys", "_resize_path", "_stack", "_stdin", "_tty")

    def __init__(
        self, engine: Engine, resize_path: str, *, tty: bool, stdin: bool, keys: bytes
    ) -> None:
        self._engine = engine
        self._resize_path = resize_path
        self._tty = tty
        self._stdin = stdin
        self._keys = keys
        self._stack = ExitStack()

    def __enter__(self) -> "Session":
        if self._tty and self._stdin and terminal.is_terminal(terminal.STDIN):
            self._stack.enter_context(terminal.raw_mode())
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def follow_size(self) -> None:
        """Tell the engine the terminal's size now and at every change."""
        if self._tty and terminal.is_terminal(terminal.STDOUT):
            self._stack.enter_context(terminal.on_resize(self._resize))
            self._resize()

    def proxy_signals(self, kill: Callable[[str], None]) -> None:
        """Pass signals that reach this process on to the container."""
        self._stack.enter_context(terminal.forward_signals(kill))

    def carry(self, connection: socket, early: bytes, headers: Mapping[str, str]) -> bool:
        """Carry the streams until the process ends; True when the user detached."""
        sys.stdout.flush()
        detach = DetachFilter(self._keys) if self._tty and self._stdin and self._keys else None
        pump = Pump(
            connection,
            output_for(headers, tty=self._tty),
            stdin=terminal.STDIN if self._stdin else None,
            detach=detach,
        )
        detached = pump.run(early)
        self._stack.close()  # cooked mode again before anything else is printed
        return detached

    def _resize(self) -> None:
        height, width = terminal.size()
        if not height or not width:
            return
        from pyd_api.errors import PydError

        with suppress(PydError):  # it has ended, or is not up yet: the next change tells again
            self._engine.post(self._resize_path, {"h": height, "w": width})


def left_running() -> int:
    """Say that the user detached; return the exit status of attach and exec."""
    sys.stderr.write("read escape sequence\n")
    return 1


def kill_quietly(engine: Engine, container_id: str) -> Callable[[str], None]:
    """Return what passes a signal on; a container that has ended needs none."""

    def kill(name: str) -> None:
        from pyd_api.errors import PydError

        with suppress(PydError):
            engine.post(f"/containers/{container_id}/kill", {"signal": name})

    return kill
