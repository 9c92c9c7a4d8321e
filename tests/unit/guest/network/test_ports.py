"""Host ports: conflicts, ephemeral ones, ranges, and dockerd's words."""

import errno
import os
from ipaddress import IPv4Address

import pytest

from pyd_api.errors import InternalError
from pyd_guest.network.endpoint import PortRequest
from pyd_guest.network.ports import EPHEMERAL, Key, Ports

IP = IPv4Address("172.17.0.2")
ANY = IPv4Address(0)


class Machine:
    """Ports of the machine; those of other programs are in ``foreign``."""

    def __init__(self) -> None:
        self.foreign: set[int] = set()
        self.error = errno.EADDRINUSE
        self.held: set[Key] = set()

    def __call__(self, key: Key) -> "Held":
        if key[1] in self.foreign:
            raise OSError(self.error, os.strerror(self.error))
        assert key not in self.held
        self.held.add(key)
        return Held(self, key)


class Held:
    def __init__(self, machine: Machine, key: Key) -> None:
        self._machine, self._key = machine, key

    def close(self) -> None:
        self._machine.held.remove(self._key)


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def ports(machine: Machine) -> Ports:
    return Ports(machine)


def request(
    first: int = 0, last: int = 0, *, ip: str = "0.0.0.0", container: int = 80
) -> PortRequest:
    return PortRequest(container, "tcp", IPv4Address(ip), first, last or first)


def test_ephemeral_ports_go_on_from_the_last(ports: Ports, machine: Machine) -> None:
    first = ports.publish([request(), request()], IP)
    assert [port.host_port for port in first] == [32768, 32769]
    ports.withdraw(first)
    assert machine.held == set()
    assert ports.publish([request()], IP)[0].host_port == 32770


def test_ephemeral_ports_skip_what_is_taken_and_wrap(ports: Ports, machine: Machine) -> None:
    machine.foreign = set(EPHEMERAL) - {40000, 50000}
    assert [p.host_port for p in ports.publish([request(), request()], IP)] == [40000, 50000]
    with pytest.raises(InternalError, match="all ports are allocated"):
        ports.publish([request()], IP)


@pytest.mark.parametrize(
    ("one", "two", "conflict"),
    [
        ("0.0.0.0", "0.0.0.0", True),
        ("0.0.0.0", "127.0.0.1", True),
        ("127.0.0.1", "0.0.0.0", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
    ],
)
def test_addresses_in_conflict(ports: Ports, one: str, two: str, *, conflict: bool) -> None:
    ports.publish([request(80, ip=one)], IP)
    if not conflict:
        ports.publish([request(80, ip=two)], IP)
        return
    with pytest.raises(InternalError) as refusal:
        ports.publish([request(80, ip=two)], IP)
    assert refusal.value.message == f"Bind for {two}:80 failed: port is already allocated"


def test_protocols_do_not_conflict(ports: Ports) -> None:
    ports.publish([request(80)], IP)
    ports.publish([PortRequest(80, "udp", ANY, 80, 80)], IP)


def test_range_takes_the_first_free(ports: Ports, machine: Machine) -> None:
    machine.foreign = {81}
    ports.publish([request(80)], IP)
    assert ports.publish([request(80, 90)], IP)[0].host_port == 82
    with pytest.raises(InternalError, match="address already in use"):
        ports.publish([request(80, 81)], IP)


def test_all_or_none(ports: Ports, machine: Machine) -> None:
    machine.foreign = {82}
    with pytest.raises(InternalError) as refusal:
        ports.publish([request(80), request(81), request(82)], IP)
    assert refusal.value.message == (
        "failed to bind host port for 0.0.0.0:82:172.17.0.2:80/tcp: address already in use"
    )
    assert machine.held == set()
    machine.error = errno.EADDRNOTAVAIL
    with pytest.raises(InternalError, match="cannot assign requested address"):
        ports.publish([request(82)], IP)
    machine.error = errno.EACCES
    with pytest.raises(InternalError, match="permission denied"):
        ports.publish([request(82, 90)], IP)


def test_restored_port_counts_though_another_program_has_it(ports: Ports, machine: Machine) -> None:
    (port,) = ports.publish([request(80)], IP)
    ports.close()
    machine.foreign = {80}
    with pytest.raises(OSError, match="in use"):
        ports.restore(port)
    with pytest.raises(InternalError, match="already allocated"):
        ports.publish([request(80)], IP)
    ports.withdraw([port, port])
    machine.foreign = set()
    ports.publish([request(80)], IP)
