"""Host ports: which are taken, and a socket for each so that no other program takes them.

The socket is bound and does not listen: traffic never reaches it, since nftables sends it to the
container before. It exists so that the next program to bind the port is told, and so that pyd
learns of a program that was there first. A restarted daemon binds the ports of running
containers again.
"""

import errno
import os
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from ipaddress import IPv4Address
from typing import Protocol, TypeAlias

from pyd_api.errors import InternalError
from pyd_guest.network import endpoint as model
from pyd_guest.network.endpoint import ANY_ADDRESS, PortRequest, PublishedPort

EPHEMERAL = range(32768, 61000)

Key: TypeAlias = tuple[IPv4Address, int, model.Protocol]

_KINDS: dict[model.Protocol, tuple[socket.SocketKind, int]] = {
    "tcp": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "udp": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "sctp": (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
}


class Reservation(Protocol):
    """A held port."""

    def close(self) -> None:
        """Let go of it."""


class Reserve(Protocol):
    """How a port is held: ``bind`` below, or a fake."""

    def __call__(self, key: Key) -> Reservation | None:
        """Hold a port; None when the kernel lacks the protocol, OSError when it is not free."""


class Ports:
    """The published ports of all containers of this daemon."""

    def __init__(self, reserve: Reserve) -> None:
        self._reserve = reserve
        self._lock = threading.Lock()
        self._held: dict[Key, Reservation | None] = {}
        self._addresses: dict[tuple[int, model.Protocol], set[IPv4Address]] = {}
        self._ephemeral = EPHEMERAL.start

    def publish(
        self, requests: Iterable[PortRequest], container_ip: IPv4Address
    ) -> tuple[PublishedPort, ...]:
        """Take a host port for each request, all or none. Raises InternalError as dockerd says."""
        with self._lock, ExitStack() as undo:
            published = []
            for request in requests:
                port = self._publish(request, container_ip)
                undo.callback(self._drop, _key(port))
                published.append(port)
            undo.pop_all()
        return tuple(published)

    def restore(self, port: PublishedPort) -> None:
        """Take the port of a container that runs already; OSError when another program has it.

        The port counts as taken even then, as its rule is in place.
        """
        key = _key(port)
        with self._lock:
            self._hold(key, None)
            self._held[key] = self._reserve(key)

    def withdraw(self, ports: Iterable[PublishedPort]) -> None:
        """Let go of ports; unknown ones are left alone."""
        with self._lock:
            for port in ports:
                self._drop(_key(port))

    def close(self) -> None:
        """Let go of every port."""
        with self._lock:
            for key in list(self._held):
                self._drop(key)

    def _publish(self, request: PortRequest, container_ip: IPv4Address) -> PublishedPort:
        address, protocol = request.host_ip, request.protocol
        failure = InternalError("all ports are allocated")
        for number in self._candidates(request):
            key = (address, number, protocol)
            if self._is_taken(key):
                words = f"Bind for {address}:{number} failed: port is already allocated"
            else:
                try:
                    held = self._reserve(key)
                except OSError as error:
                    words = (
                        f"failed to bind host port for {address}:{number}:{container_ip}:"
                        f"{request.container_port}/{protocol}: {_words(error)}"
                    )
                    if error.errno != errno.EADDRINUSE:
                        raise InternalError(words) from error
                else:
                    self._hold(key, held)
                    if not request.first:
                        self._ephemeral = number + 1
                    return PublishedPort(address, number, request.container_port, protocol)
            if request.first:
                failure = InternalError(words)
        raise failure

    def _candidates(self, request: PortRequest) -> Iterator[int]:
        if request.first:
            yield from range(request.first, request.last + 1)
        else:
            start = self._ephemeral if self._ephemeral in EPHEMERAL else EPHEMERAL.start
            yield from range(start, EPHEMERAL.stop)
            yield from range(EPHEMERAL.start, start)

    def _is_taken(self, key: Key) -> bool:
        address, number, protocol = key
        others = self._addresses.get((number, protocol))
        if not others:
            return False
        return address == ANY_ADDRESS or address in others or ANY_ADDRESS in others

    def _hold(self, key: Key, held: Reservation | None) -> None:
        address, number, protocol = key
        self._held[key] = held
        self._addresses.setdefault((number, protocol), set()).add(address)

    def _drop(self, key: Key) -> None:
        if key not in self._held:
            return
        address, number, protocol = key
        held = self._held.pop(key)
        addresses = self._addresses[number, protocol]
        addresses.discard(address)
        if not addresses:
            del self._addresses[number, protocol]
        if held is not None:
            held.close()


def bind(key: Key) -> socket.socket | None:
    """Bind a socket to the port; None when this kernel lacks the protocol."""
    address, number, protocol = key
    kind, protocol_number = _KINDS[protocol]
    try:
        held = socket.socket(socket.AF_INET, kind, protocol_number)
    except OSError as error:
        if error.errno in (errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT):
            return None
        raise
    with ExitStack() as undo:
        undo.callback(held.close)
        try:
            held.bind((str(address), number))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or protocol != "tcp":
                raise
            # Perhaps only connections in TIME_WAIT are in the way. Those give in to SO_REUSEADDR,
            # and listen() then refuses if there is a listener after all.
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind((str(address), number))
            held.listen(1)
        undo.pop_all()
    return held


def _key(port: PublishedPort) -> Key:
    return port.host_ip, port.host_port, port.protocol


def _words(error: OSError) -> str:
    """Say an errno as Go does, which is what clients know."""
    if error.errno == errno.EADDRNOTAVAIL:
        return "cannot assign requested address"
    return os.strerror(error.errno or 0).lower()
