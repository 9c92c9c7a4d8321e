"""The Controller: sandboxes, and their endpoints in the networks of this daemon.

::

    create_sandbox ──▶ Sandbox ──connect──▶ Endpoint … ──release──▶ gone

Structure: the Container Network Model; `network.assemble` makes a Controller for this machine. The
engine stores the Endpoint in the commit that says the container runs, and gives it back at
``start``. What is not given back there belongs to nobody and is removed.
"""

import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from ipaddress import IPv4Address
from typing import Protocol

from pyd_api.errors import InternalError, InvalidRequestError, NotFoundError
from pyd_api.ids import ContainerId, EndpointId, new_id
from pyd_guest.network.drivers.bridge import PortsError
from pyd_guest.network.endpoint import Endpoint, PortRequest
from pyd_guest.network.network import Network
from pyd_guest.network.sandbox import Sandbox, Sandboxes

MAC_PATTERN = re.compile(r"[0-9a-fA-F]{2}(?:[:-][0-9a-fA-F]{2}){5}")


class Driver(Protocol):
    """A network of some kind; one module each in ``drivers/``."""

    network: Network

    def start(self, live: Mapping[ContainerId, Endpoint]) -> None:
        """Prepare the network and take what these containers use."""

    def join(
        self,
        sandbox: Sandbox,
        endpoint_id: EndpointId,
        *,
        ports: Sequence[PortRequest],
        mac: str | None,
        address: IPv4Address | None,
    ) -> Endpoint:
        """Connect the sandbox, or leave nothing behind."""

    def leave(self, endpoint: Endpoint) -> None:
        """Give back what the endpoint uses outside its sandbox."""

    def close(self) -> None:
        """Let go of what the daemon holds; containers keep their network."""


class Controller:
    """All networks of one daemon; thread-safe."""

    def __init__(self, drivers: Iterable[Driver], sandboxes: Sandboxes) -> None:
        self._drivers = {driver.network.name: driver for driver in drivers}
        self._sandboxes = sandboxes
        self._lock = threading.Lock()
        self._endpoints: dict[ContainerId, list[Endpoint]] = {}

    @property
    def networks(self) -> Sequence[Network]:
        """The networks of this daemon."""
        return [driver.network for driver in self._drivers.values()]

    def start(self, live: Mapping[ContainerId, Endpoint]) -> None:
        """Prepare every network; drop sandboxes that no live container owns."""
        self._sandboxes.prepare()
        for container_id in self._sandboxes.present() - live.keys():
            self._sandboxes.drop(container_id)
        with self._lock:
            self._endpoints = {container_id: [own] for container_id, own in live.items()}
        for name, driver in self._drivers.items():
            driver.start({key: own for key, own in live.items() if own.network == name})

    def prefetch(self) -> None:
        """Make a namespace ahead, for the next sandbox, unless there is one.

        Worth 1 to 2 ms of the next start: for a moment when nobody waits, as after the answer to
        a create. Raises OSError when the kernel refuses; nothing is lost then.
        """
        self._sandboxes.prefetch()

    def create_sandbox(self, container_id: ContainerId, *, network: str = "bridge") -> Sandbox:
        """Make a container's network namespace, loopback up; ``host`` shares the host's."""
        self._driver(network)
        if network == "host":
            return Sandbox(container_id, None)
        try:
            return self._sandboxes.create(container_id)
        except OSError as error:
            raise InternalError(f"failed to create a network namespace: {error}") from error

    def connect(
        self,
        sandbox: Sandbox,
        *,
        network: str,
        name: str,
        ports: Sequence[PortRequest] = (),
        mac: str | None = None,
        address: IPv4Address | None = None,
    ) -> Endpoint:
        """Join a network; on any error nothing of the endpoint is left.

        ``name`` is the container's, for messages. Raises InternalError in dockerd's words, and
        InvalidRequestError for a MAC address that is none.
        """
        driver = self._driver(network)
        if mac is not None:
            if not MAC_PATTERN.fullmatch(mac):
                raise InvalidRequestError(f"invalid MAC address: {mac[:50]!r}")
            mac = mac.replace("-", ":").lower()
        endpoint_id = EndpointId(new_id())
        try:
            endpoint = driver.join(sandbox, endpoint_id, ports=ports, mac=mac, address=address)
        except PortsError as error:
            raise InternalError(
                f"driver failed programming external connectivity on endpoint {name} "
                f"({endpoint_id}): {error.message}"
            ) from error
        except OSError as error:
            raise InternalError(
                f"failed to create endpoint {name} on network {network}: {error}"
            ) from error
        with self._lock:
            self._endpoints.setdefault(sandbox.container_id, []).append(endpoint)
        return endpoint

    def release(self, container_id: ContainerId) -> None:
        """Give back all that a container has in the networks; idempotent and quick.

        Ports are closed at once. The namespace ends when its last process has, and only then is
        its address given out again.
        """
        with self._lock:
            endpoints = self._endpoints.pop(container_id, [])
        with ExitStack() as stack:
            for endpoint in endpoints:
                if driver := self._drivers.get(endpoint.network):
                    stack.callback(driver.leave, endpoint)
            self._sandboxes.drop(container_id)

    def shutdown(self) -> None:
        """Let go of sockets; containers keep their network, bridge and rules stay."""
        with ExitStack() as stack:
            stack.callback(self._sandboxes.shut_down)
            for driver in self._drivers.values():
                stack.callback(driver.close)

    def _driver(self, network: str) -> Driver:
        driver = self._drivers.get(network)
        if driver is None:
            raise NotFoundError(f"network {network} not found")
        return driver
