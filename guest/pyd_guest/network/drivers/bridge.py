"""The bridge driver: a Linux bridge, a veth pair per endpoint, published ports by nftables.

::

    eth0 in the sandbox ── vpyd<endpoint> ── bridge (the gateway's address) ── NAT ── elsewhere

A link whose name starts with ``vpyd`` and which is a port of this bridge is pyd's. Pairs are never
deleted while a container waits: when the namespace ends, the kernel removes both ends.
"""

import errno
import logging
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import ExitStack
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Protocol

from pyd_api.errors import ConflictError, InternalError
from pyd_api.ids import ContainerId, EndpointId
from pyd_guest.linux.rtnetlink import Link
from pyd_guest.network.drivers import bridge_device
from pyd_guest.network.drivers.bridge_device import DeviceLinks, Settings
from pyd_guest.network.endpoint import Endpoint, PortRequest
from pyd_guest.network.firewall import Firewall, Rule, checked_interface
from pyd_guest.network.flows import Flows, forget_translated, forget_untranslated
from pyd_guest.network.ipam import Pool
from pyd_guest.network.network import Network
from pyd_guest.network.ports import Ports
from pyd_guest.network.sandbox import Sandbox, Sandboxes

LOG = logging.getLogger(__name__)
INTERFACE = "eth0"
MTU = 1500
_VETH_PREFIX = "vpyd"


class Links(DeviceLinks, Protocol):
    """The rtnetlink calls of this driver."""

    def dump(self) -> Sequence[Link]:
        """Return every link."""

    def add_veth(
        self,
        name: str,
        *,
        bridge: int,
        mtu: int,
        peer: str,
        peer_mac: str,
        netns_fd: int,
        hairpin: bool,
    ) -> None:
        """Create a pair with ``peer`` in a namespace; on failure leave none."""

    def set_master(self, link: Link, bridge: int) -> None:
        """Make a link a port of ``bridge``."""

    def local_addresses(self) -> Set[IPv4Address]:
        """Return the IPv4 addresses of all links."""

    def close(self) -> None:
        """Close the socket."""


class BridgeDriver:
    """One bridge network."""

    def __init__(
        self,
        network: Network,
        *,
        bridge: str,
        bip: IPv4Interface | None,
        links: Links,
        settings: Settings,
        flows: Flows,
        firewall: Firewall,
        ports: Ports,
        sandboxes: Sandboxes,
        avoid: Iterable[IPv4Network] = (),
    ) -> None:
        self.network = network
        self.bridge = checked_interface(bridge)
        self._bip = bip
        self._links = links
        self._settings = settings
        self._flows = flows
        self._firewall = firewall
        self._ports = ports
        self._sandboxes = sandboxes
        self._avoid = tuple(avoid)
        self._index = 0
        self._hairpin = False
        self._pool: Pool | None = None

    @property
    def pool(self) -> Pool:
        """The addresses of this network, known once it has started."""
        if self._pool is None:
            raise InternalError(f"network {self.network.name} has not started")
        return self._pool

    def start(self, live: Mapping[ContainerId, Endpoint]) -> None:
        """Make or adopt the bridge, forward, put the rules in place, take what is in use.

        Links of endpoints that no live container owns are removed.
        """
        with ExitStack() as undo:
            link, gateway = bridge_device.adopt(
                self._links, self.bridge, self._bip, avoid=self._avoid, undo=undo
            )
            self._index, self._pool = link.index, Pool(gateway)
            self._tidy_ports({veth_name(e.endpoint_id) for e in live.values()})
            rules = []
            for endpoint in live.values():
                rules += self._take(endpoint)
            self._hairpin = bridge_device.is_filtered(self._settings)
            forwards = self._settings.read("net/ipv4/ip_forward") != "0"
            # Rules first: at no moment does the host forward more than it should.
            close_router = not forwards or self._firewall.closes_router()
            self._firewall.install(gateway, rules, close_router=close_router)
            bridge_device.set_up(self._links, self._settings, link)
            undo.pop_all()
        if not forwards:
            LOG.warning(
                "IPv4 forwarding is on now; packets between two hardware interfaces stay "
                "unforwarded (chain router of table pyd-%s)",
                self.bridge,
            )
        if chain := self._firewall.find_blocking_chain():
            LOG.warning(
                "iptables drops forwarded packets by default: containers on %s reach only this "
                "host until it accepts theirs, as after: "
                "iptables -I %s -i %s -j ACCEPT; iptables -I %s -o %s -j ACCEPT",
                *(self.bridge, chain, self.bridge, chain, self.bridge),
            )

    def join(
        self,
        sandbox: Sandbox,
        endpoint_id: EndpointId,
        *,
        ports: Sequence[PortRequest],
        mac: str | None,
        address: IPv4Address | None,
    ) -> Endpoint:
        """Give the sandbox its interface, address, route and ports, or leave nothing.

        Raises PortsError when a port is not to be had, OSError when the kernel refuses.
        """
        pool, veth = self.pool, veth_name(endpoint_id)
        with ExitStack() as undo:
            own = pool.allocate() if address is None else pool.take(address)
            undo.callback(pool.release, own.ip)
            try:
                published = self._ports.publish(ports, own.ip)
            except InternalError as error:
                raise PortsError(error.message) from error
            undo.callback(self._ports.withdraw, published)
            # Made from the address: a neighbour that still knows it needs not ask again.
            mac = mac or "02:42:" + own.ip.packed.hex(":")
            with self._sandboxes.inside(sandbox) as inside:
                self._add_veth(veth, mac, inside.fd)
                undo.callback(bridge_device.remove_link, self._links, veth)
                inside.set_address(INTERFACE, own, pool.gateway)
            self._firewall.publish([Rule(port, own.ip) for port in published])
            undo.pop_all()
        forget_untranslated(self._flows, published, self._links.local_addresses)
        return Endpoint(
            endpoint_id=endpoint_id,
            network_id=self.network.network_id,
            network=self.network.name,
            interface=INTERFACE,
            address=own,
            gateway=pool.gateway,
            mac=mac,
            ports=published,
        )

    def leave(self, endpoint: Endpoint) -> None:
        """Close the endpoint's ports; its address is free once its namespace has ended."""
        if endpoint.address is None:
            return
        address, veth = endpoint.address.ip, veth_name(endpoint.endpoint_id)
        with ExitStack() as stack:
            stack.callback(self.pool.release, address, gone=lambda: self._links.find(veth) is None)
            stack.callback(self._ports.withdraw, endpoint.ports)
            stack.callback(forget_translated, self._flows, endpoint.ports, address)
            self._firewall.withdraw([Rule(port, address) for port in endpoint.ports])

    def close(self) -> None:
        """Let go of sockets; bridge, rules and endpoints stay, as the containers do."""
        self._ports.close()
        self._firewall.close()
        self._links.close()
        self._flows.close()

    def _add_veth(self, name: str, mac: str, netns_fd: int) -> None:
        try:
            self._links.add_veth(
                name,
                bridge=self._index,
                mtu=MTU,
                peer=INTERFACE,
                peer_mac=mac,
                netns_fd=netns_fd,
                hairpin=self._hairpin,
            )
        except OSError as error:
            if self._links.find(self.bridge) is not None:
                raise
            words = "this bridge was removed behind the engine's back; a restart brings it back"
            raise OSError(errno.ENODEV, words, self.bridge) from error

    def _tidy_ports(self, live: set[str]) -> None:
        """Remove ports that nobody owns; put back those that an earlier bridge took along."""
        for link in self._links.dump():
            is_port = link.master == self._index and link.name.startswith(_VETH_PREFIX)
            if link.name in live and not is_port:
                self._links.set_master(link, self._index)
            elif link.name not in live and is_port:
                bridge_device.remove_link(self._links, link.name)

    def _take(self, endpoint: Endpoint) -> list[Rule]:
        """Mark what a running container uses; what cannot be had is said and left."""
        if endpoint.address is None:
            return []
        address = endpoint.address.ip
        try:
            self.pool.take(address)
        except ConflictError as error:
            LOG.warning("endpoint %s: %s", endpoint.endpoint_id, error.message)
        for port in endpoint.ports:
            try:
                self._ports.restore(port)
            except OSError as error:
                LOG.warning(
                    "port %s:%d/%s of endpoint %s is held by another program as well: %s",
                    port.host_ip, port.host_port, port.protocol, endpoint.endpoint_id, error,
                )  # fmt: skip
        return [Rule(port, address) for port in endpoint.ports]


class PortsError(InternalError):
    """A port is not to be had; the message lacks the endpoint's name."""


def veth_name(endpoint_id: EndpointId) -> str:
    """Return the name of the host's end of an endpoint's pair."""
    return f"{_VETH_PREFIX}{endpoint_id[:10]}"
