"""The Linux bridge of a network: made, or adopted when it is there already.

As with dockerd, an address that was asked for (``--bip``) replaces those of the bridge; without
one the bridge keeps the address it has, and a new bridge gets one that no route of the host covers.
"""

import errno
import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from ipaddress import IPv4Interface, IPv4Network
from typing import Protocol

from pyd_api.errors import InvalidRequestError
from pyd_guest.linux.rtnetlink import Link
from pyd_guest.network.ipam import choose_network


class DeviceLinks(Protocol):
    """The rtnetlink calls for the bridge itself; `linux.rtnetlink` has the real ones."""

    def find(self, name: str) -> Link | None:
        """Return the link of that name, or None."""

    def add_bridge(self, name: str, *, mac: str) -> None:
        """Create a bridge, down."""

    def set_up(self, link: Link) -> None:
        """Bring a link up."""

    def remove(self, name: str) -> None:
        """Delete a link, and the other end of a pair."""

    def addresses(self, link: Link) -> Sequence[IPv4Interface]:
        """Return the IPv4 addresses of a link."""

    def add_address(self, link: Link, address: IPv4Interface) -> None:
        """Give a link an address."""

    def remove_address(self, link: Link, address: IPv4Interface) -> None:
        """Take an address from a link."""

    def routes(self) -> Mapping[IPv4Network, set[int]]:
        """Return the networks that the host reaches, and by which links."""


class Settings(Protocol):
    """Kernel settings; `linux.sysctl` has the real ones."""

    def read(self, path: str) -> str:
        """Return a setting; FileNotFoundError when the kernel lacks it."""

    def write(self, path: str, value: str) -> bool:
        """Set a setting unless it has that value; tell whether it changed."""


def adopt(
    links: DeviceLinks,
    name: str,
    bip: IPv4Interface | None,
    *,
    avoid: Iterable[IPv4Network],
    undo: ExitStack,
) -> tuple[Link, IPv4Interface]:
    """Make the bridge or take the one there is; return it with the gateway's address.

    What is made goes into ``undo``. Raises InvalidRequestError when the name is another link's.
    """
    link = links.find(name)
    if link is None:
        links.add_bridge(name, mac="02:42:" + secrets.token_bytes(4).hex(":"))
        undo.callback(remove_link, links, name)
        link = links.find(name)
    if link is None or link.kind != "bridge":
        raise InvalidRequestError(
            f"interface {name} exists and is not a bridge",
            hint="choose another name with --bridge",
        )
    present = [address for address in links.addresses(link) if not address.is_link_local]
    if bip is None and present:
        return link, present[0]
    gateway = bip or _choose_gateway(links, link, avoid)
    for other in present:
        if other != gateway:
            links.remove_address(link, other)
    if gateway not in present:
        links.add_address(link, gateway)
        undo.callback(links.remove_address, link, gateway)
    return link, gateway


def set_up(links: DeviceLinks, settings: Settings, link: Link) -> None:
    """Bring the bridge up and let packets through it."""
    for path, value in (
        (f"net/ipv6/conf/{link.name}/disable_ipv6", "1"),
        (f"net/ipv4/conf/{link.name}/route_localnet", "1"),  # the way back to 127.0.0.1
        ("net/ipv4/ip_forward", "1"),
        (f"net/ipv4/conf/{link.name}/forwarding", "1"),  # the default may be changed
    ):
        try:
            settings.write(path, value)
        except FileNotFoundError:
            if "ipv6" not in path:  # some kernels have none
                raise
    links.set_up(link)


def is_filtered(settings: Settings) -> bool:
    """Tell whether br_netfilter is there: it bridges what DNAT sends back to its own port."""
    try:
        return bool(settings.read("net/bridge/bridge-nf-call-iptables"))
    except FileNotFoundError:
        return False


def remove_link(links: DeviceLinks, name: str) -> None:
    """Delete a link that may be gone already."""
    try:
        links.remove(name)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise


def _choose_gateway(links: DeviceLinks, link: Link, avoid: Iterable[IPv4Network]) -> IPv4Interface:
    others = [net for net, indexes in links.routes().items() if indexes != {link.index}]
    network = choose_network([*others, *avoid])
    return IPv4Interface((int(network.network_address) + 1, network.prefixlen))
