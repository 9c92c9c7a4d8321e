"""``pyd daemon``: from the command line to a served engine, and back on SIGTERM.

SIGTERM and SIGINT stop the daemon and leave containers running; SIGHUP is accepted and changes
nothing yet, since every setting needs a restart.
"""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvloop

from pyd_api.errors import PydError
from pyd_guest.daemon import flags, log
from pyd_guest.daemon.compose import composed
from pyd_guest.daemon.config import Config
from pyd_guest.daemon.listeners import listening
from pyd_guest.daemon.notify import Notifier
from pyd_guest.daemon.server import serve, signal_handlers

_log = logging.getLogger(__name__)


def main(argv: Sequence[str]) -> int:
    """Run the daemon until it is told to stop; return the exit status."""
    try:
        invocation = flags.parse(argv)
        if invocation.validate_only:
            sys.stderr.write("configuration OK\n")
            return 0
        if os.geteuid() != 0:
            raise PydError("the daemon needs root", hint="run it with sudo, or as a service")
        log.configure(invocation.config.log_level)
        _run(invocation.config)
    except PydError as error:
        hint = f"\n{error.hint}" if error.hint else ""
        sys.stderr.write(f"pyd daemon: {error.message}{hint}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"pyd daemon: {error}\n")
        return 1
    return 0


def _run(config: Config) -> None:
    pidfile = config.pidfile or config.exec_root / "pyd.pid"
    with (
        composed(config) as daemon,
        _pidfile(pidfile),
        listening(
            config.hosts,
            group=config.group,
            insecure_tcp=config.insecure_tcp,
            environment=os.environ,
        ) as sockets,
    ):
        # A thread that computes would otherwise make each answer wait for up to 5 ms.
        sys.setswitchinterval(0.0005)
        gc.freeze()  # what was made so far lives as long as the daemon

        async def run() -> None:
            stop = asyncio.Event()
            notifier = Notifier(os.environ)

            def ready() -> None:
                notifier.ready()
                _log.info("serving on %s", ", ".join(config.hosts))

            def reload() -> None:
                notifier.reloading()
                _log.info("SIGHUP: every setting needs a restart, nothing was reloaded")
                notifier.ready()

            def stopping() -> None:
                notifier.stopping()
                daemon.streams.end()

            handlers = {
                signal.SIGTERM: stop.set,
                signal.SIGINT: stop.set,
                signal.SIGHUP: reload,
            }
            with signal_handlers(handlers):
                await serve(daemon.app, sockets, stop=stop, on_ready=ready, on_stopping=stopping)

        uvloop.run(run())
        _log.info("stopped; containers go on")


@contextmanager
def _pidfile(path: Path) -> Iterator[None]:
    """Write the daemon's pid, whole or not at all; the locks in `roots` tell who is alive."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(f"{os.getpid()}\n", encoding="ascii")
    temporary.rename(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
