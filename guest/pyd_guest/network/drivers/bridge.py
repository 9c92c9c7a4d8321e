"""The bridge driver: a Linux bridge, a veth pair per endpoint, published ports by nftables.

::

    eth0 in the sandbox ── vpyd<endpoint> ── bridge (the gateway's address) ── NAT ── elsewhere

A link whose name starts with ``vpyd`` and which is a port of this bridge is pyd's. Pairs are never
deleted while a container waits: when the namespace ends, the kernel removes both ends.
"""

import errno
import logging
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from contextlib import ExitStack
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Protocol

from pyd_api.errors import ConflictError, InternalError, InvalidRequestError, PydError
from pyd_api.ids import ContainerId, EndpointId
from pyd_guest.linux.conntrack import Flow
from pyd_guest.linux.rtnetlink import Link
from pyd_guest.network.endpoint import Endpoint, PortRequest, PublishedPort
from pyd_guest.network.firewall import Firewall, Rule, checked_interface
from pyd_guest.network.ipam import Pool, choose_network
from pyd_guest.network.network import Network
from pyd_guest.network.ports import Ports
from pyd_guest.network.sandbox import Sandbox, Sandboxes

LOG = logging.getLogger(__name__)
INTERFACE = "eth0"
MTU = 1500
_VETH_PREFIX = "vpyd"


class Links(Protocol):
    """The rtnetlink calls of this driver; `linux.rtnetlink` has the real ones."""

    def find(self, name: str) -> Link | None:
        """Return the link of that name, or None."""

    def dump(self) -> Sequence[Link]:
        """Return every link."""

    def add_bridge(self, name: str, *, mac: str) -> None:
        """Create a bridge, down."""

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

    def set_up(self, link: Link) -> None:
        """Bring a link up."""

    def remove(self, name: str) -> None:
        """Delete a link, and the other end of a pair."""

    def addresses(self, link: Link) -> Sequence[IPv4Interface]:
        """Return the IPv4 addresses of a link."""

    def local_addresses(self) -> Set[IPv4Address]:
        """Return the IPv4 addresses of all links."""

    def add_address(self, link: Link, address: IPv4Interface) -> None:
        """Give a link an address."""

    def remove_address(self, link: Link, address: IPv4Interface) -> None:
        """Take an address from a link."""

    def routes(self) -> Mapping[IPv4Network, set[int]]:
        """Return the networks that the host reaches, and by which links."""

    def close(self) -> None:
        """Close the socket."""


class Settings(Protocol):
    """Kernel settings; `linux.sysctl` has the real ones."""

    def read(self, path: str) -> str:
        """Return a setting; FileNotFoundError when the kernel lacks it."""

    def write(self, path: str, value: str) -> bool:
        """Set a setting unless it has that value; tell whether it changed."""


class Flows(Protocol):
    """Tracked connections; `linux.conntrack` has the real ones."""

    def udp_flows(self, ports: Collection[int]) -> Sequence[Flow]:
        """Return the UDP flows that were sent to ``ports``."""

    def forget(self, flow: Flow) -> None:
        """Have the next packet of a flow meet the rules again."""

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
            link, gateway = self._bridge_link(undo)
            self._index, self._pool = link.index, Pool(gateway)
            self._remove_leftovers({veth_name(e.endpoint_id) for e in live.values()})
            rules = []
            for endpoint in live.values():
                rules += self._take(endpoint)
            self._hairpin = self._filters_bridges()
            forwards = self._settings.read("net/ipv4/ip_forward") != "0"
            # Rules first: at no moment does the host forward more than it should.
            close_router = not forwards or self._firewall.closes_router()
            self._firewall.install(gateway, rules, close_router=close_router)
            self._set_up(link)
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
            with self._sandboxes.inside(sandbox) as (inside, netns_fd):
                self._links.add_veth(
                    veth,
                    bridge=self._index,
                    mtu=MTU,
                    peer=INTERFACE,
                    peer_mac=mac,
                    netns_fd=netns_fd,
                    hairpin=self._hairpin,
                )
                undo.callback(self._remove_link, veth)
                inside.set_address(INTERFACE, own, pool.gateway)
            self._firewall.publish([Rule(port, own.ip) for port in published])
            undo.pop_all()
        self._forget_untranslated(published)
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
            stack.callback(self._forget_translated, endpoint.ports, address)
            self._firewall.withdraw([Rule(port, address) for port in endpoint.ports])

    def ensure(self) -> bool:
        """Put the rules back if somebody removed them; tell whether that was so."""
        return self._firewall.ensure()

    def close(self) -> None:
        """Let go of sockets; bridge, rules and endpoints stay, as the containers do."""
        self._ports.close()
        self._firewall.close()
        self._links.close()
        self._flows.close()

    def _forget_untranslated(self, published: Iterable[PublishedPort]) -> None:
        """Let clients that sent to the port before it was published reach the container."""
        if not (ports := _udp_ports(published)):
            return
        local = self._links.local_addresses()
        self._forget(ports, lambda flow: flow.answered_by in local or flow.answered_by.is_loopback)

    def _forget_translated(self, published: Iterable[PublishedPort], own: IPv4Address) -> None:
        """Let no client go on sending to the address of a container that is gone."""
        if ports := _udp_ports(published):
            self._forget(ports, lambda flow: flow.answered_by == own)

    def _forget(self, ports: Collection[int], is_stale: Callable[[Flow], bool]) -> None:
        try:
            for flow in self._flows.udp_flows(ports):
                if is_stale(flow):
                    self._flows.forget(flow)
        except OSError as error:  # the port works all the same, for everybody else
            LOG.warning("old UDP flows to the ports %s stay as they are: %s", ports, error)

    def _bridge_link(self, undo: ExitStack) -> tuple[Link, IPv4Interface]:
        link = self._links.find(self.bridge)
        if link is None:
            self._links.add_bridge(self.bridge, mac="02:42:" + secrets.token_bytes(4).hex(":"))
            undo.callback(self._remove_link, self.bridge)
            link = self._links.find(self.bridge)
        if link is None or link.kind != "bridge":
            raise InvalidRequestError(
                f"interface {self.bridge} exists and is not a bridge",
                hint="choose another name with --bridge",
            )
        present = [a for a in self._links.addresses(link) if not a.is_link_local]
        if self._bip is None and present:
            return link, present[0]
        gateway = self._bip or self._choose_gateway(link)
        for other in present:
            if other != gateway:
                self._links.remove_address(link, other)
        if gateway not in present:
            self._links.add_address(link, gateway)
            undo.callback(self._links.remove_address, link, gateway)
        return link, gateway

    def _choose_gateway(self, link: Link) -> IPv4Interface:
        others = [net for net, links in self._links.routes().items() if links != {link.index}]
        network = choose_network([*others, *self._avoid])
        return IPv4Interface((int(network.network_address) + 1, network.prefixlen))

    def _set_up(self, link: Link) -> None:
        for path, value in (
            (f"net/ipv6/conf/{self.bridge}/disable_ipv6", "1"),
            (f"net/ipv4/conf/{self.bridge}/route_localnet", "1"),  # the way back to 127.0.0.1
            ("net/ipv4/ip_forward", "1"),
            (f"net/ipv4/conf/{self.bridge}/forwarding", "1"),  # the default may be changed
        ):
            try:
                self._settings.write(path, value)
            except FileNotFoundError:
                if "ipv6" not in path:  # some kernels have none
                    raise
        self._links.set_up(link)

    def _filters_bridges(self) -> bool:
        """Tell whether br_netfilter is there: it bridges what DNAT sends back to its port."""
        try:
            return bool(self._settings.read("net/bridge/bridge-nf-call-iptables"))
        except FileNotFoundError:
            return False

    def _remove_leftovers(self, keep: set[str]) -> None:
        for link in self._links.dump():
            ours = link.master == self._index and link.name.startswith(_VETH_PREFIX)
            if ours and link.name not in keep:
                self._remove_link(link.name)

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

    def _remove_link(self, name: str) -> None:
        try:
            self._links.remove(name)
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise


class PortsError(PydError):
    """A port is not to be had; the message lacks the endpoint's name."""


def veth_name(endpoint_id: EndpointId) -> str:
    """Return the name of the host's end of an endpoint's pair."""
    return f"{_VETH_PREFIX}{endpoint_id[:10]}"


def _udp_ports(published: Iterable[PublishedPort]) -> set[int]:
    return {port.host_port for port in published if port.protocol == "udp"}
