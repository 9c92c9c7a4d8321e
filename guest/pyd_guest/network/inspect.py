"""What a container's ``NetworkSettings`` shows of its network (Engine API, ContainerInspect)."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypedDict

from pyd_guest.network.endpoint import Endpoint


class PortBinding(TypedDict):
    """One host address and port."""

    HostIp: str
    HostPort: str


class EndpointSettings(TypedDict):
    """A container in one network."""

    IPAMConfig: Mapping[str, str] | None
    Links: list[str] | None
    Aliases: list[str] | None
    MacAddress: str
    DriverOpts: Mapping[str, str] | None
    GwPriority: int
    NetworkID: str
    EndpointID: str
    Gateway: str
    IPAddress: str
    IPPrefixLen: int
    IPv6Gateway: str
    GlobalIPv6Address: str
    GlobalIPv6PrefixLen: int
    DNSNames: list[str] | None


class NetworkSettings(TypedDict):
    """A container in all its networks, with the default bridge's values repeated on top."""

    Bridge: str
    SandboxID: str
    SandboxKey: str
    Ports: dict[str, list[PortBinding] | None]
    HairpinMode: bool
    LinkLocalIPv6Address: str
    LinkLocalIPv6PrefixLen: int
    SecondaryIPAddresses: None
    SecondaryIPv6Addresses: None
    EndpointID: str
    Gateway: str
    GlobalIPv6Address: str
    GlobalIPv6PrefixLen: int
    IPAddress: str
    IPPrefixLen: int
    IPv6Gateway: str
    MacAddress: str
    Networks: dict[str, EndpointSettings]


def network_settings(
    network: str | None,
    endpoint: Endpoint | None,
    *,
    network_id: str = "",
    sandbox_id: str = "",
    sandbox: Path | str = "",
    exposed: Iterable[str] = (),
) -> NetworkSettings:
    """Describe a container whose network mode names ``network`` (None: another container's).

    ``endpoint`` is None while it does not run; ``network_id`` is what dockerd still shows once it
    has run. ``exposed`` are its ``80/tcp`` of which some may not be published.
    """
    own = _endpoint_settings(endpoint, network_id)
    on_bridge = network == "bridge"
    return {
        "Bridge": "",
        "SandboxID": sandbox_id,
        "SandboxKey": str(sandbox),
        "Ports": _ports(endpoint, exposed),
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "EndpointID": own["EndpointID"] if on_bridge else "",
        "Gateway": own["Gateway"] if on_bridge else "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "IPAddress": own["IPAddress"] if on_bridge else "",
        "IPPrefixLen": own["IPPrefixLen"] if on_bridge else 0,
        "IPv6Gateway": "",
        "MacAddress": own["MacAddress"] if on_bridge else "",
        "Networks": {} if network is None else {network: own},
    }


def _endpoint_settings(endpoint: Endpoint | None, network_id: str) -> EndpointSettings:
    address = endpoint.address if endpoint else None
    return {
        "IPAMConfig": None,
        "Links": None,
        "Aliases": None,
        "MacAddress": endpoint.mac if endpoint else "",
        "DriverOpts": None,
        "GwPriority": 0,
        "NetworkID": endpoint.network_id if endpoint else network_id,
        "EndpointID": endpoint.endpoint_id if endpoint else "",
        "Gateway": str(endpoint.gateway) if endpoint and endpoint.gateway else "",
        "IPAddress": str(address.ip) if address else "",
        "IPPrefixLen": address.network.prefixlen if address else 0,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "DNSNames": None,
    }


def _ports(
    endpoint: Endpoint | None, exposed: Iterable[str]
) -> dict[str, list[PortBinding] | None]:
    """Return the bindings of each port; exposed ports that lead nowhere have None."""
    if endpoint is None or endpoint.address is None:
        return {}
    shown: dict[str, list[PortBinding] | None] = dict.fromkeys(exposed)
    for port in endpoint.ports:
        bindings = shown.get(key := f"{port.container_port}/{port.protocol}") or []
        bindings.append({"HostIp": str(port.host_ip), "HostPort": str(port.host_port)})
        shown[key] = bindings
    return dict(sorted(shown.items()))
