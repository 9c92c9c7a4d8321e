"""Endpoints: what a container has in one network, as plain values (Container Network Model).

An Endpoint is stored in the container's row as JSON and says after a restart which address and
which ports are taken.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from typing import Literal, Self, TypeAlias, TypedDict

from pyd_api.errors import InternalError, InvalidRequestError, UnsupportedError
from pyd_api.ids import EndpointId, NetworkId

Protocol: TypeAlias = Literal["tcp", "udp", "sctp"]
PROTOCOLS: Mapping[str, Protocol] = {"tcp": "tcp", "udp": "udp", "sctp": "sctp"}
ANY_ADDRESS = IPv4Address(0)
PORT_MAX = 65535


class PortJSON(TypedDict):
    """A PublishedPort in a container's row."""

    host_ip: str
    host_port: int
    container_port: int
    protocol: str


class EndpointJSON(TypedDict):
    """An Endpoint in a container's row; ``address`` is empty where the driver gives none."""

    endpoint_id: str
    network_id: str
    network: str
    interface: str
    address: str
    gateway: str
    mac: str
    ports: list[PortJSON]


@dataclass(frozen=True, slots=True)
class PortRequest:
    """A port to publish: one host port out of first to last, or any ephemeral one (first 0)."""

    container_port: int
    protocol: Protocol = "tcp"
    host_ip: IPv4Address = ANY_ADDRESS
    first: int = 0
    last: int = 0

    @classmethod
    def parse(cls, port: str, *, host_ip: str = "", host_port: str = "") -> Self:
        """Read ``80/tcp`` and one of its bindings, ``HostIp`` and ``HostPort``, from the wire.

        No host port, or 0, asks for an ephemeral one.
        """
        number, _, protocol = port.partition("/")
        if (protocol or "tcp") not in PROTOCOLS:
            raise InvalidRequestError(f"invalid proto: {protocol[:20]}")
        first, dash, last = host_port.partition("-")
        low = 0 if host_port in ("", "0") else _port(first, of=host_port)
        high = _port(last, of=host_port) if dash else low
        if low > high:
            raise InvalidRequestError(f"invalid port range: {host_port[:20]!r}")
        return cls(
            _port(number, of=port), PROTOCOLS[protocol or "tcp"], _host_ip(host_ip), low, high
        )


@dataclass(frozen=True, slots=True)
class PublishedPort:
    """A port of a container that the host's ``host_ip`` and ``host_port`` lead to."""

    host_ip: IPv4Address
    host_port: int
    container_port: int
    protocol: Protocol


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A container's place in a network; ``address`` is None where the driver gives none."""

    endpoint_id: EndpointId
    network_id: NetworkId
    network: str
    interface: str = ""
    address: IPv4Interface | None = None
    gateway: IPv4Address | None = None
    mac: str = ""
    ports: tuple[PublishedPort, ...] = ()

    def to_json(self) -> EndpointJSON:
        """Return what ``from_json`` reads."""
        return {
            "endpoint_id": self.endpoint_id,
            "network_id": self.network_id,
            "network": self.network,
            "interface": self.interface,
            "address": "" if self.address is None else str(self.address),
            "gateway": "" if self.gateway is None else str(self.gateway),
            "mac": self.mac,
            "ports": [
                {
                    "host_ip": str(port.host_ip),
                    "host_port": port.host_port,
                    "container_port": port.container_port,
                    "protocol": port.protocol,
                }
                for port in self.ports
            ],
        }

    @classmethod
    def from_json(cls, data: EndpointJSON) -> Self:
        """Read a stored endpoint; InternalError when the row does not hold one."""
        try:
            return cls(
                EndpointId(data["endpoint_id"]),
                NetworkId(data["network_id"]),
                data["network"],
                data["interface"],
                IPv4Interface(data["address"]) if data["address"] else None,
                IPv4Address(data["gateway"]) if data["gateway"] else None,
                data["mac"],
                tuple(
                    PublishedPort(
                        IPv4Address(port["host_ip"]),
                        port["host_port"],
                        port["container_port"],
                        PROTOCOLS[port["protocol"]],
                    )
                    for port in data["ports"]
                ),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InternalError(f"stored endpoint is damaged: {error}") from error


def _port(digits: str, *, of: str) -> int:
    if not (digits.isascii() and digits.isdigit()) or not 0 < int(digits[:6]) <= PORT_MAX:
        raise InvalidRequestError(f"invalid port: {of[:20]!r}")
    return int(digits)


def _host_ip(host_ip: str) -> IPv4Address:
    if not host_ip:
        return ANY_ADDRESS
    if ":" in host_ip:
        raise UnsupportedError(f"publishing a port on an IPv6 address is not supported: {host_ip}")
    try:
        return IPv4Address(host_ip)
    except ValueError:
        raise InvalidRequestError(f"invalid host IP address: {host_ip[:50]}") from None
