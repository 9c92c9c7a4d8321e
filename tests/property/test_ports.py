"""Laws of published ports: no two containers share one, and what is given back is free."""

from ipaddress import IPv4Address

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pyd_api.errors import InternalError
from pyd_guest.network.endpoint import ANY_ADDRESS, PROTOCOLS, PortRequest, PublishedPort
from pyd_guest.network.ports import Key, Ports

IP = IPv4Address("172.17.0.2")
ADDRESSES = [ANY_ADDRESS, IPv4Address("127.0.0.1"), IPv4Address("192.0.2.1")]


class Held:
    def __init__(self, bound: set[Key], key: Key) -> None:
        assert key not in bound
        bound.add(key)
        self._bound, self._key = bound, key

    def close(self) -> None:
        self._bound.remove(self._key)


def overlap(one: Key, two: Key) -> bool:
    return one[1:] == two[1:] and (one[0] == two[0] or ANY_ADDRESS in (one[0], two[0]))


def key(port: PublishedPort) -> Key:
    return port.host_ip, port.host_port, port.protocol


requests = st.builds(
    lambda address, protocol, first, more: PortRequest(
        80, PROTOCOLS[protocol], address, first, first + more if first else 0
    ),
    st.sampled_from(ADDRESSES),
    st.sampled_from(["tcp", "udp"]),
    st.sampled_from([0, 80, 81]),
    st.sampled_from([0, 0, 2]),
)


class PortsMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.bound: set[Key] = set()
        self.ports = Ports(lambda key: Held(self.bound, key))
        self.published: list[tuple[PublishedPort, ...]] = []

    @rule(wanted=st.lists(requests, min_size=1, max_size=4))
    def publish(self, wanted: list[PortRequest]) -> None:
        before = set(self.bound)
        try:
            got = self.ports.publish(wanted, IP)
        except InternalError:
            assert self.bound == before
            return
        for request, port in zip(wanted, got, strict=True):
            assert (port.host_ip, port.protocol) == (request.host_ip, request.protocol)
            assert not request.first or request.first <= port.host_port <= request.last
        self.published.append(got)

    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        if self.published:
            index = data.draw(st.integers(0, len(self.published) - 1))
            self.ports.withdraw(self.published.pop(index))

    @rule()
    def restart(self) -> None:
        self.ports.close()
        self.ports = Ports(lambda key: Held(self.bound, key))
        for group in self.published:
            for port in group:
                self.ports.restore(port)

    @invariant()
    def held_ports_are_the_published_ones(self) -> None:
        keys = [key(port) for group in self.published for port in group]
        assert self.bound == set(keys)
        assert not any(overlap(one, two) for at, one in enumerate(keys) for two in keys[at + 1 :])
        for one in keys:
            with pytest.raises(InternalError):
                self.ports.publish([PortRequest(1, one[2], one[0], one[1], one[1])], IP)


TestPorts = PortsMachine.TestCase
