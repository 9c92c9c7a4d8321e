"""Run a test in network and mount namespaces of its own, in a thread that ends with it.

Sockets belong to the namespace of the thread that opened them, so one process can hold both ends
of a connection between two namespaces.
"""

import ctypes
import functools
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from pyd_guest.linux import mount, netns
from pyd_guest.linux.libc import LIBC, check
from pyd_guest.linux.rtnetlink import Links

CLONE_FS = 0x200
CLONE_NEWNS = 0x20000
TIMEOUT_S = 5.0

_P = ParamSpec("_P")
_T = TypeVar("_T")


def isolated(test: Callable[_P, None]) -> Callable[_P, None]:
    """Run a test function in a new network (lo up) and mount namespace."""

    @functools.wraps(test)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> None:
        failures: list[BaseException] = []

        def body() -> None:
            try:
                flags = CLONE_FS | CLONE_NEWNS | netns.CLONE_NEWNET
                check(LIBC.unshare(ctypes.c_int(flags)))
                mount.set_propagation(Path("/"), mount.MS_PRIVATE | mount.MS_REC)
                mount.mount("sysfs", Path("/sys"), "sysfs")
                links = Links()
                links.loopback_up()
                links.close()
                test(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - raised again below
                failures.append(error)

        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        if failures:
            raise failures[0]

    return wrapped


def listen(place: Path | None, port: int, *, host: str = "0.0.0.0") -> socket.socket:
    """Return a listening TCP socket in the namespace at ``place``, None for the test's own."""

    def act() -> socket.socket:
        server = socket.create_server((host, port))
        server.settimeout(TIMEOUT_S)
        return server

    return _at(place, act)


def connect(
    place: Path | None, address: str, port: int, *, timeout_s: float = TIMEOUT_S
) -> socket.socket:
    """Return a TCP connection made from the namespace at ``place``."""
    return _at(place, lambda: socket.create_connection((address, port), timeout=timeout_s))


def datagrams(place: Path | None, port: int = 0) -> socket.socket:
    """Return a bound UDP socket in the namespace at ``place``."""

    def act() -> socket.socket:
        held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        held.settimeout(TIMEOUT_S)
        held.bind(("0.0.0.0", port))
        return held

    return _at(place, act)


def _at(place: Path | None, act: Callable[[], _T]) -> _T:
    return act() if place is None else netns.call_in(place, act)
