"""Tell the service manager how the daemon is doing (sd_notify(3)).

One datagram of ``NAME=value`` lines to the socket that ``NOTIFY_SOCKET`` names; without that
variable nothing happens.
"""

import logging
import os
import socket
import time
from collections.abc import Mapping

_log = logging.getLogger(__name__)


class Notifier:
    """The service manager's ear; ``environment`` is the daemon's."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        path = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path

    def ready(self) -> None:
        """Report that requests are served, and by whom."""
        self._send("READY=1", f"MAINPID={os.getpid()}")

    def reloading(self) -> None:
        """Report that the configuration is read again; `ready` ends it."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Report the beginning of the end."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Show one line in ``systemctl status``."""
        self._send(f"STATUS={' '.join(text.split())}")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as ear:
                ear.connect(self._address)
                ear.sendall("\n".join(lines).encode())
        except OSError as error:
            _log.warning("cannot notify the service manager: %s", error)
