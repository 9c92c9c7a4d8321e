"""The terminal of this process: is there one, how large is it, raw mode and back."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from pyd_host.cli.errors import CommandError, ExitStatusError

STDIN, STDOUT, STDERR = range(3)
_SIGNAL_STATUS = 128


def is_terminal(descriptor: int) -> bool:
    """Tell whether a descriptor is a terminal; a closed one is not."""
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def size() -> tuple[int, int]:
    """Return height and width of the terminal at standard output; zeros when there is none."""
    try:
        width, height = os.get_terminal_size(STDOUT)
    except OSError:
        return 0, 0
    return height, width


if sys.platform == "win32":

    def raw_mode() -> AbstractContextManager[None]:
        """Not on Windows yet."""
        raise CommandError(
            "terminal sessions are not supported on Windows yet", hint="leave -t out"
        )

    @contextmanager
    def on_resize(_action: Callable[[], None]) -> Iterator[None]:
        """Not on Windows yet."""
        yield

    @contextmanager
    def forward_signals(_action: Callable[[str], None]) -> Iterator[None]:
        """Not on Windows yet: ctrl-c ends the client."""
        yield

else:
    import signal

    # not to be caught, of no meaning to another process, or this one's own business
    _KEPT = frozenset(
        {
            signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGPIPE, signal.SIGURG,
            signal.SIGWINCH, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL,
            signal.SIGTTIN, signal.SIGTTOU,
        }
    )  # fmt: skip
    _ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

    @contextmanager
    def raw_mode() -> Iterator[None]:
        """Pass every key through; restored on return, on an error and on an ending signal."""
        import termios
        import tty

        saved = termios.tcgetattr(STDIN)
        with _handlers(_ENDING, _leave):
            tty.setraw(STDIN, termios.TCSANOW)
            try:
                yield
            finally:
                termios.tcsetattr(STDIN, termios.TCSADRAIN, saved)

    def _leave(number: int) -> None:
        raise ExitStatusError(_SIGNAL_STATUS + number)

    @contextmanager
    def on_resize(action: Callable[[], None]) -> Iterator[None]:
        """Call ``action`` whenever the terminal's size changes."""
        with _handlers((signal.SIGWINCH,), lambda _number: action()):
            yield

    @contextmanager
    def forward_signals(action: Callable[[str], None]) -> Iterator[None]:
        """Call ``action`` with the name of every signal that arrives."""
        wanted = [number for number in signal.valid_signals() if number not in _KEPT]
        named = [number for number in wanted if isinstance(number, signal.Signals)]
        with _handlers(tuple(named), lambda number: action(signal.Signals(number).name)):
            yield

    @contextmanager
    def _handlers(
        numbers: tuple[signal.Signals, ...], action: Callable[[int], None]
    ) -> Iterator[None]:
        saved = {number: signal.getsignal(number) for number in numbers}
        for number in numbers:
            signal.signal(number, lambda received, _frame: action(received))
        try:
            yield
        finally:
            for number, handler in saved.items():
                signal.signal(number, handler)
