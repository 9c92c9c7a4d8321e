"""Addresses: a Pool per network (Container Network Model, IPAM), and the choice of a default one.

An address is *free*, *taken*, or *leaving*: released, but perhaps still answered by a namespace
that the kernel has not ended yet. The lowest address that is surely unused is given out, as
dockerd does, so that the first container of a quiet engine is always 172.17.0.2.
"""

import threading
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from pyd_api.errors import ConflictError, InternalError

# dockerd's predefined pools, in its order: networks of the second number's size within the first.
DEFAULT_POOLS: tuple[tuple[IPv4Network, int], ...] = (
    (IPv4Network("172.17.0.0/16"), 16),
    (IPv4Network("172.18.0.0/16"), 16),
    (IPv4Network("172.19.0.0/16"), 16),
    (IPv4Network("172.20.0.0/14"), 16),
    (IPv4Network("172.24.0.0/14"), 16),
    (IPv4Network("172.28.0.0/14"), 16),
    (IPv4Network("192.168.0.0/16"), 20),
)


def choose_network(avoid: Iterable[IPv4Network]) -> IPv4Network:
    """Return the first predefined network that overlaps nothing the host already reaches."""
    taken = list(avoid)
    for pool, prefix in DEFAULT_POOLS:
        for network in pool.subnets(new_prefix=prefix):
            if not any(network.overlaps(other) for other in taken):
                return network
    raise InternalError(
        "all predefined address pools have been fully subnetted",
        hint="choose the bridge's address yourself with --bip",
    )


class Pool:
    """The addresses of one network; network, broadcast and gateway address are never given out."""

    def __init__(self, gateway: IPv4Interface) -> None:
        self.network = gateway.network
        self.gateway = gateway.ip
        small = self.network.prefixlen >= 31  # RFC 3021: no network and broadcast address
        self._first = int(self.network.network_address) + (0 if small else 1)
        self._last = int(self.network.broadcast_address) - (0 if small else 1)
        self._lock = threading.Lock()
        self._taken = {int(gateway.ip)}
        self._leaving: dict[int, Callable[[], bool]] = {}
        self._next = self._first  # nothing below is free

    def allocate(self) -> IPv4Interface:
        """Take the lowest free address. Raises InternalError when none is left."""
        with self._lock:
            lowest = None
            for number in range(self._next, self._last + 1):
                if number in self._taken:
                    continue
                if self._is_gone(number):
                    self._taken.add(number)
                    self._next = number + 1 if lowest is None else lowest
                    return self._interface(number)
                lowest = number if lowest is None else lowest
        raise InternalError(
            f"no available IPv4 addresses on this network's address pools: {self.network}"
        )

    def take(self, address: IPv4Address) -> IPv4Interface:
        """Take this very address. Raises ConflictError when it is not to be had."""
        number = int(address)
        with self._lock:
            if not self._first <= number <= self._last:
                raise ConflictError(f"address {address} is not in {self.network}")
            if number in self._taken or not self._is_gone(number):
                raise ConflictError("Address already in use")
            self._taken.add(number)
            return self._interface(number)

    def release(self, address: IPv4Address, *, gone: Callable[[], bool] = lambda: True) -> None:
        """Give an address back; it is given out again only after ``gone`` has said yes."""
        number = int(address)
        with self._lock:
            if number in self._taken and address != self.gateway:
                self._taken.discard(number)
                self._leaving[number] = gone
                self._next = min(self._next, number)

    def _is_gone(self, number: int) -> bool:
        gone = self._leaving.get(number)
        if gone is not None and not gone():
            return False
        self._leaving.pop(number, None)
        return True

    def _interface(self, number: int) -> IPv4Interface:
        return IPv4Interface((number, self.network.prefixlen))
