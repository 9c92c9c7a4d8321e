"""The null driver, shown as ``none``: a sandbox with loopback alone."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address

from pyd_api.errors import InvalidRequestError
from pyd_api.ids import ContainerId, EndpointId
from pyd_guest.network.endpoint import Endpoint, PortRequest
from pyd_guest.network.network import Network
from pyd_guest.network.sandbox import Sandbox, Sandboxes


class NullDriver:
    """The network named ``none``."""

    def __init__(self, network: Network, sandboxes: Sandboxes) -> None:
        self.network = network
        self._sandboxes = sandboxes

    def start(self, live: Mapping[ContainerId, Endpoint]) -> None:
        """Do nothing."""

    def join(
        self,
        sandbox: Sandbox,
        endpoint_id: EndpointId,
        *,
        ports: Sequence[PortRequest],  # noqa: ARG002 - dockerd ignores them as well
        mac: str | None,
        address: IPv4Address | None,
    ) -> Endpoint:
        """Return an endpoint without an address."""
        if mac or address:
            raise InvalidRequestError("conflicting options: address and the network mode (none)")
        self._sandboxes.close(sandbox.container_id)
        return Endpoint(endpoint_id, self.network.network_id, self.network.name)

    def leave(self, endpoint: Endpoint) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
