"""Links, addresses and routes by rtnetlink(7), only the messages that a container's start needs.

::

    RTM_*LINK   ifinfomsg   family u8 │ pad u8 │ type u16 │ index i32 │ flags u32 │ change u32
    RTM_*ADDR   ifaddrmsg   family u8 │ prefix u8 │ flags u8 │ scope u8 │ index u32
    RTM_*ROUTE  rtmsg       family u8 │ dst u8 │ src u8 │ tos u8 │ table u8 │ proto u8 │ scope u8
                            │ type u8 │ flags u32

Why not pyroute2: docs/adr/0004-raw-rtnetlink.md.
"""

import errno
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from pyd_guest.linux.netlink import (
    NETLINK_ROUTE,
    NLM_F_CREATE,
    NLM_F_EXCL,
    Message,
    Netlink,
    attribute,
    attributes,
    nested,
    text,
    u32,
)

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_GETROUTE = 24, 26

IFF_UP = 0x1
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER = 1, 3, 4, 10
IFLA_LINKINFO, IFLA_AF_SPEC, IFLA_NET_NS_FD = 18, 26, 28
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
IFLA_BRPORT_MODE = 4
VETH_INFO_PEER = 1
IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE = 8, 1
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST = 1, 2, 4
RTA_DST, RTA_OIF, RTA_GATEWAY = 1, 4, 5
RT_TABLE_MAIN, RTPROT_BOOT, RT_SCOPE_UNIVERSE, RTN_UNICAST = 254, 3, 0, 1
IFNAMSIZ = 16

_IFINFO = struct.Struct("=BxHiII")
_IFADDR = struct.Struct("=BBBBI")
_RTMSG = struct.Struct("=BBBBBBBBI")
_LOOPBACK_INDEX = 1  # in every network namespace


@dataclass(frozen=True, slots=True)
class Link:
    """What a link is, as far as pyd cares; ``kind`` is empty for real hardware."""

    index: int
    name: str
    kind: str
    master: int
    mac: str
    up: bool


class Links:
    """The links of one network namespace: that of the thread which makes this object."""

    def __init__(self) -> None:
        self._netlink = Netlink(NETLINK_ROUTE)

    def close(self) -> None:
        """Close the socket; while it is open the namespace cannot end."""
        self._netlink.close()

    def find(self, name: str) -> Link | None:
        """Return the link of that name, or None."""
        request = Message(RTM_GETLINK, _ifinfo() + text(IFLA_IFNAME, name), subject=name)
        try:
            (answer,) = self._netlink.request(request)
        except OSError as error:
            if error.errno == errno.ENODEV:
                return None
            raise
        return _link(answer)

    def dump(self) -> list[Link]:
        """Return every link."""
        return [_link(answer) for answer in self._netlink.dump(Message(RTM_GETLINK, _ifinfo()))]

    def add_bridge(self, name: str, *, mac: str) -> None:
        """Create a bridge, down; a MAC given here does not change when ports come and go."""
        self._create(
            _ifinfo()
            + text(IFLA_IFNAME, name)
            + attribute(IFLA_ADDRESS, _mac(mac))
            + nested(IFLA_LINKINFO, text(IFLA_INFO_KIND, "bridge")),
            name,
        )

    def add_veth(
        self,
        name: str,
        *,
        bridge: int,
        mtu: int,
        peer: str,
        peer_mac: str,
        netns_fd: int,
        hairpin: bool = False,
    ) -> None:
        """Create a pair: ``name`` here, up, a port of ``bridge``; ``peer``, down, in the namespace.

        On failure no link is left. The host's end gets no IPv6 address of its own: it is a port,
        not a way to the host. ``hairpin`` lets the port send a frame back to where it came from.
        """
        peer_info = (
            _ifinfo()  # up is refused here: the pair is not yet tied together
            + text(IFLA_IFNAME, peer)
            + attribute(IFLA_ADDRESS, _mac(peer_mac))
            + u32(IFLA_MTU, mtu)
            + u32(IFLA_NET_NS_FD, netns_fd)
        )
        created = (
            _ifinfo()
            + text(IFLA_IFNAME, name)
            + u32(IFLA_MTU, mtu)
            + nested(
                IFLA_LINKINFO,
                text(IFLA_INFO_KIND, "veth"),
                nested(IFLA_INFO_DATA, attribute(VETH_INFO_PEER, peer_info)),
            )
        )
        no_address = attribute(IFLA_INET6_ADDR_GEN_MODE, bytes([IN6_ADDR_GEN_MODE_NONE]))
        joined = (
            _ifinfo(flags=IFF_UP)
            + text(IFLA_IFNAME, name)
            + u32(IFLA_MASTER, bridge)
            + nested(IFLA_AF_SPEC, nested(socket.AF_INET6, no_address))
        )
        mode = (
            _ifinfo()
            + text(IFLA_IFNAME, name)
            + nested(
                IFLA_LINKINFO,
                text(IFLA_INFO_SLAVE_KIND, "bridge"),
                nested(IFLA_INFO_SLAVE_DATA, attribute(IFLA_BRPORT_MODE, b"\1")),
            )
        )
        self._create(created, name)
        try:
            self._netlink.request(
                *(
                    Message(RTM_NEWLINK, part, subject=name)
                    for part in (joined, mode)[: 1 + hairpin]
                )
            )
        except OSError:
            self.remove(name)
            raise

    def set_up(self, link: Link) -> None:
        """Bring a link up."""
        self._netlink.request(Message(RTM_NEWLINK, _up(link.index), subject=link.name))

    def set_master(self, link: Link, bridge: int) -> None:
        """Make a link a port of ``bridge``."""
        payload = _ifinfo(index=link.index) + u32(IFLA_MASTER, bridge)
        self._netlink.request(Message(RTM_NEWLINK, payload, subject=link.name))

    def loopback_up(self) -> None:
        """Bring ``lo`` up, which gives it its addresses."""
        self._netlink.request(Message(RTM_NEWLINK, _up(_LOOPBACK_INDEX), subject="lo"))

    def remove(self, name: str) -> None:
        """Delete a link; deleting one end of a pair deletes both. Slow: waits for RCU."""
        self._netlink.request(
            Message(RTM_DELLINK, _ifinfo() + text(IFLA_IFNAME, name), subject=name)
        )

    def addresses(self, link: Link) -> list[IPv4Interface]:
        """Return the IPv4 addresses of a link."""
        return [address for index, address in self._addresses() if index == link.index]

    def local_addresses(self) -> set[IPv4Address]:
        """Return the IPv4 addresses of all links."""
        return {address.ip for _, address in self._addresses()}

    def _addresses(self) -> Iterator[tuple[int, IPv4Interface]]:
        request = Message(RTM_GETADDR, _IFADDR.pack(socket.AF_INET, 0, 0, 0, 0))
        for answer in self._netlink.dump(request):
            _, prefix, _, _, index = _IFADDR.unpack_from(answer)
            parts = attributes(answer[_IFADDR.size :])
            local = parts.get(IFA_LOCAL, parts.get(IFA_ADDRESS))
            if local is not None:
                yield index, IPv4Interface((int.from_bytes(local, "big"), prefix))

    def add_address(self, link: Link, address: IPv4Interface) -> None:
        """Give a link an IPv4 address and the route to its network."""
        self._netlink.request(_new_address(link.index, link.name, address))

    def remove_address(self, link: Link, address: IPv4Interface) -> None:
        """Take an IPv4 address from a link."""
        self._netlink.request(
            Message(RTM_DELADDR, _ifaddr(link.index, address), subject=f"{link.name} {address}")
        )

    def set_address(self, name: str, address: IPv4Interface, gateway: IPv4Address | None) -> None:
        """Bring ``name`` up with its address and the default route: one message."""
        link = self.find(name)
        if link is None:
            raise OSError(errno.ENODEV, "No such device", name)
        messages = [
            Message(RTM_NEWLINK, _up(link.index), subject=name),
            _new_address(link.index, name, address),
        ]
        if gateway is not None:
            header = _RTMSG.pack(
                socket.AF_INET, 0, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, RT_SCOPE_UNIVERSE,
                RTN_UNICAST, 0,
            )  # fmt: skip
            route = header + attribute(RTA_GATEWAY, gateway.packed) + u32(RTA_OIF, link.index)
            messages.append(
                Message(RTM_NEWROUTE, route, NLM_F_CREATE | NLM_F_EXCL, f"{name} via {gateway}")
            )
        self._netlink.request(*messages)

    def routes(self) -> dict[IPv4Network, set[int]]:
        """Return the networks of the main table and the links they lead to, defaults left out."""
        found: dict[IPv4Network, set[int]] = {}
        request = Message(RTM_GETROUTE, _RTMSG.pack(socket.AF_INET, *[0] * 8))
        for answer in self._netlink.dump(request):
            _, prefix, _, _, table, *_ = _RTMSG.unpack_from(answer)
            parts = attributes(answer[_RTMSG.size :])
            if table != RT_TABLE_MAIN or not prefix or RTA_DST not in parts:
                continue
            network = IPv4Network((int.from_bytes(parts[RTA_DST], "big"), prefix))
            links = found.setdefault(network, set())
            if RTA_OIF in parts:
                links.add(struct.unpack("=I", parts[RTA_OIF])[0])
        return found

    def _create(self, payload: bytes, name: str) -> None:
        self._netlink.request(Message(RTM_NEWLINK, payload, NLM_F_CREATE | NLM_F_EXCL, name))


def _ifinfo(*, index: int = 0, flags: int = 0) -> bytes:
    return _IFINFO.pack(0, 0, index, flags, flags)


def _up(index: int) -> bytes:
    return _ifinfo(index=index, flags=IFF_UP)


def _mac(text_form: str) -> bytes:
    return bytes.fromhex(text_form.replace(":", ""))


def _ifaddr(index: int, address: IPv4Interface) -> bytes:
    return (
        _IFADDR.pack(socket.AF_INET, address.network.prefixlen, 0, 0, index)
        + attribute(IFA_LOCAL, address.ip.packed)
        + attribute(IFA_ADDRESS, address.ip.packed)
    )


def _new_address(index: int, name: str, address: IPv4Interface) -> Message:
    broadcast = b""
    if address.network.prefixlen < 31:  # RFC 3021: smaller ones have no broadcast address
        broadcast = attribute(IFA_BROADCAST, address.network.broadcast_address.packed)
    payload = _ifaddr(index, address) + broadcast
    return Message(RTM_NEWADDR, payload, NLM_F_CREATE | NLM_F_EXCL, f"{name} {address}")


def _link(answer: bytes) -> Link:
    _, _, index, flags, _ = _IFINFO.unpack_from(answer)
    parts = attributes(answer[_IFINFO.size :])
    info = attributes(parts.get(IFLA_LINKINFO, b""))
    return Link(
        index=index,
        name=_string(parts.get(IFLA_IFNAME, b"")),
        kind=_string(info.get(IFLA_INFO_KIND, b"")),
        master=struct.unpack("=I", parts[IFLA_MASTER])[0] if IFLA_MASTER in parts else 0,
        mac=parts.get(IFLA_ADDRESS, b"").hex(":"),
        up=bool(flags & IFF_UP),
    )


def _string(data: bytes) -> str:
    return data.rstrip(b"\0").decode("utf-8", "replace")
