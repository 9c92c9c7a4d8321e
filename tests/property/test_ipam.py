"""Laws of the address pool: never twice, never outside, never before its namespace has ended."""

from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from pyd_api.errors import ConflictError, InternalError
from pyd_guest.network.ipam import DEFAULT_POOLS, Pool, choose_network

NETWORK = IPv4Network("10.1.2.0/28")
GATEWAY = IPv4Interface("10.1.2.1/28")
USABLE = [IPv4Address(int(NETWORK.network_address) + n) for n in range(2, 15)]


class PoolMachine(RuleBasedStateMachine):
    """Model: who holds an address, and which namespaces linger."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = Pool(GATEWAY)
        self.held: set[IPv4Address] = set()
        self.lingering: set[IPv4Address] = set()

    addresses = Bundle("addresses")

    @rule(target=addresses)
    def allocate(self) -> IPv4Address | object:
        free = [a for a in USABLE if a not in self.held and a not in self.lingering]
        if not free:
            with pytest.raises(InternalError, match="no available IPv4 addresses"):
                self.pool.allocate()
            return multiple()
        given_out = self.pool.allocate()
        assert given_out.network == NETWORK
        assert given_out.ip == free[0]
        self.held.add(given_out.ip)
        return given_out.ip

    @rule(target=addresses, address=st.sampled_from([*NETWORK, IPv4Address("10.1.3.5")]))
    def take(self, address: IPv4Address) -> IPv4Address | object:
        if address not in USABLE or address in self.held | self.lingering:
            with pytest.raises(ConflictError):
                self.pool.take(address)
            return multiple()
        assert self.pool.take(address).ip == address
        self.held.add(address)
        return address

    @rule(address=consumes(addresses))
    def release(self, address: IPv4Address) -> None:
        self.held.discard(address)
        self.lingering.add(address)
        self.pool.release(address, gone=lambda: address not in self.lingering)

    @rule(address=st.sampled_from([*NETWORK]))
    def release_what_is_not_held(self, address: IPv4Address) -> None:
        if address not in self.held:
            self.pool.release(address)

    @rule(data=st.data())
    def namespace_ends(self, data: st.DataObject) -> None:
        if self.lingering:
            self.lingering.discard(data.draw(st.sampled_from(sorted(self.lingering))))

    @rule()
    def crash(self) -> None:
        """A new daemon takes the addresses of live containers; leftover links are removed."""
        self.pool = Pool(GATEWAY)
        self.lingering.clear()
        for address in self.held:
            self.pool.take(address)

    @invariant()
    def gateway_is_not_to_be_had(self) -> None:
        with pytest.raises(ConflictError):
            self.pool.take(GATEWAY.ip)


TestPool = PoolMachine.TestCase


@given(st.integers(29, 31), st.integers(0, 7))
def test_small_networks_are_used_up_exactly(prefix: int, offset: int) -> None:
    base = IPv4Network((int(IPv4Address("10.9.9.0")), prefix))
    gateway = base[offset % base.num_addresses]
    if prefix < 31 and gateway in (base[0], base[-1]):
        return
    pool = Pool(IPv4Interface((int(gateway), prefix)))
    expected = (2 if prefix == 31 else base.num_addresses - 2) - 1
    got = {pool.allocate().ip for _ in range(expected)}
    assert len(got) == expected
    assert gateway not in got
    with pytest.raises(InternalError):
        pool.allocate()


@given(
    st.lists(
        st.tuples(st.integers(0, 2**32 - 1), st.integers(8, 32)).map(
            lambda pair: IPv4Network(pair, strict=False)
        ),
        max_size=20,
    )
)
def test_chosen_network_overlaps_nothing(avoid: list[IPv4Network]) -> None:
    try:
        chosen = choose_network(avoid)
    except InternalError:
        everything = [n for pool, size in DEFAULT_POOLS for n in pool.subnets(new_prefix=size)]
        assert all(any(n.overlaps(a) for a in avoid) for n in everything)
        return
    assert not any(chosen.overlaps(other) for other in avoid)
    assert any(chosen.subnet_of(pool) for pool, _ in DEFAULT_POOLS)
