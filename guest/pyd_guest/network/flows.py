"""UDP flows that outlive the rules they met.

A datagram flow keeps its translation while datagrams come. A client that never pauses would go on
sending to the host when a container publishes the port, and to a container that is gone.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Sequence, Set
from functools import cache
from ipaddress import IPv4Address
from typing import Protocol

from pyd_guest.linux.conntrack import Flow
from pyd_guest.network.endpoint import PublishedPort

LOG = logging.getLogger(__name__)


class Flows(Protocol):
    """Tracked connections; `linux.conntrack` has the real ones."""

    def udp_flows(self, ports: Collection[int]) -> Sequence[Flow]:
        """Return the UDP flows that were sent to ``ports``."""

    def forget(self, flow: Flow) -> None:
        """Have the next packet of a flow meet the rules again."""

    def close(self) -> None:
        """Close the socket."""


def forget_untranslated(
    flows: Flows, published: Iterable[PublishedPort], local: Callable[[], Set[IPv4Address]]
) -> None:
    """Let clients that sent to ports before they were published reach the container.

    ``local`` returns the host's addresses: flows that only pass through are left alone.
    """
    if ports := _udp_ports(published):
        own = cache(local)
        _forget(
            flows, ports, lambda flow: flow.answered_by.is_loopback or flow.answered_by in own()
        )


def forget_translated(flows: Flows, published: Iterable[PublishedPort], own: IPv4Address) -> None:
    """Let no client go on sending to ``own``, the address of a container that is gone."""
    if ports := _udp_ports(published):
        _forget(flows, ports, lambda flow: flow.answered_by == own)


def _forget(flows: Flows, ports: Collection[int], is_stale: Callable[[Flow], bool]) -> None:
    try:
        for flow in flows.udp_flows(ports):
            if is_stale(flow):
                flows.forget(flow)
    except OSError as error:  # the port works all the same, for everybody else
        LOG.warning("old UDP flows to ports %s stay as they are: %s", sorted(ports), error)


def _udp_ports(published: Iterable[PublishedPort]) -> set[int]:
    return {port.host_port for port in published if port.protocol == "udp"}
