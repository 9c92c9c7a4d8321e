"""The host driver: the container shares the host's network; nothing is made."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address

from pyd_api.errors import InvalidRequestError
from pyd_api.ids import ContainerId, EndpointId
from pyd_guest.network.endpoint import Endpoint, PortRequest
from pyd_guest.network.network import Network
from pyd_guest.network.sandbox import Sandbox


class HostDriver:
    """The network named ``host``."""

    def __init__(self, network: Network) -> None:
        self.network = network

    def start(self, live: Mapping[ContainerId, Endpoint]) -> None:
        """Do nothing: the host's network is there."""

    def join(
        self,
        sandbox: Sandbox,
        endpoint_id: EndpointId,
        *,
        ports: Sequence[PortRequest],  # noqa: ARG002 - published by being bound
        mac: str | None,
        address: IPv4Address | None,
    ) -> Endpoint:
        """Return an endpoint without an address; ports are the host's already."""
        if mac or address:
            raise InvalidRequestError("conflicting options: address and the network mode (host)")
        if sandbox.path is not None:
            raise InvalidRequestError("a sandbox of its own cannot join the host's network")
        return Endpoint(endpoint_id, self.network.network_id, self.network.name)

    def leave(self, endpoint: Endpoint) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
