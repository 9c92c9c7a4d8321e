"""Tracked connections by ctnetlink (the kernel's nfnetlink_conntrack.h), only what NAT needs.

A flow keeps the translation that its first packet met, for as long as packets come. For UDP, which
has no end, that outlives the rule: a port's flows are forgotten when it comes or goes.

::

    nfgenmsg   family u8 │ version u8 │ resource u16
    CTA_TUPLE  { CTA_TUPLE_IP { source, destination }, CTA_TUPLE_PROTO { number, ports } }
"""

import errno
import socket
import struct
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address

from pyd_guest.linux.netlink import (
    NETLINK_NETFILTER,
    Message,
    Netlink,
    attribute,
    attributes,
    nested,
    u32,
)

_SUBSYSTEM = 1 << 8
_CT_GET, _CT_DELETE = _SUBSYSTEM | 1, _SUBSYSTEM | 2
_CTA_TUPLE_ORIG, _CTA_TUPLE_REPLY, _CTA_FILTER = 1, 2, 25
_CTA_TUPLE_IP, _CTA_TUPLE_PROTO = 1, 2
_CTA_IP_V4_SRC, _CTA_IP_V4_DST = 1, 2
_CTA_PROTO_NUM, _CTA_PROTO_DST_PORT = 1, 3
_CTA_FILTER_ORIG_FLAGS = 1
_FILTER_PROTO_NUM, _FILTER_PROTO_DST_PORT = 1 << 3, 1 << 5
_NFGENMSG = struct.pack("=BBH", socket.AF_INET, 0, 0)


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow by its first packet: where that went, and who really answers."""

    destination: IPv4Address
    port: int
    answered_by: IPv4Address
    key: bytes


class Conntrack:
    """The connection tracking of the namespace of the thread that makes this object."""

    def __init__(self) -> None:
        self._netlink = Netlink(NETLINK_NETFILTER)

    def close(self) -> None:
        """Close the socket."""
        self._netlink.close()

    def udp_flows(self, ports: Collection[int]) -> list[Flow]:
        """Return the UDP flows that were sent to ``ports``.

        The kernel picks them out, but walks its whole table for it: some milliseconds.
        """
        tuple_proto = attribute(_CTA_PROTO_NUM, bytes([socket.IPPROTO_UDP]))
        flags = _FILTER_PROTO_NUM
        if len(ports) == 1:
            (port,) = ports
            tuple_proto += attribute(_CTA_PROTO_DST_PORT, struct.pack(">H", port))
            flags |= _FILTER_PROTO_DST_PORT
        request = (
            _NFGENMSG
            + nested(_CTA_TUPLE_ORIG, nested(_CTA_TUPLE_PROTO, tuple_proto))
            + nested(_CTA_FILTER, u32(_CTA_FILTER_ORIG_FLAGS, flags))
        )
        answers = self._netlink.dump(Message(_CT_GET, request, subject="udp flows"))
        entries = [attributes(answer[len(_NFGENMSG) :]) for answer in answers]
        # Kernels before 5.8 know no filter and return everything.
        flows = [_flow(entry) for entry in entries if _is_udp(entry)]
        return [flow for flow in flows if flow.port in ports]

    def forget(self, flow: Flow) -> None:
        """Have the next packet of a flow meet the rules again; unknown ones are left alone."""
        request = _NFGENMSG + nested(_CTA_TUPLE_ORIG, flow.key)
        try:
            self._netlink.request(
                Message(_CT_DELETE, request, subject=f"flow to {flow.destination}")
            )
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise


def _is_udp(entry: dict[int, bytes]) -> bool:
    protocol = attributes(attributes(entry[_CTA_TUPLE_ORIG])[_CTA_TUPLE_PROTO])
    return protocol[_CTA_PROTO_NUM] == bytes([socket.IPPROTO_UDP])


def _flow(entry: dict[int, bytes]) -> Flow:
    original = attributes(entry[_CTA_TUPLE_ORIG])
    reply = attributes(entry[_CTA_TUPLE_REPLY])
    return Flow(
        IPv4Address(attributes(original[_CTA_TUPLE_IP])[_CTA_IP_V4_DST]),
        int.from_bytes(attributes(original[_CTA_TUPLE_PROTO])[_CTA_PROTO_DST_PORT], "big"),
        IPv4Address(attributes(reply[_CTA_TUPLE_IP])[_CTA_IP_V4_SRC]),
        entry[_CTA_TUPLE_ORIG],
    )
