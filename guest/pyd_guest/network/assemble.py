"""A Controller of the predefined networks on this machine's kernel: the parts, put together."""

from collections.abc import Iterable
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

from pyd_api.errors import UnsupportedError
from pyd_guest.linux import sysctl
from pyd_guest.linux.conntrack import Conntrack
from pyd_guest.linux.nftables import Changes, Nftables
from pyd_guest.linux.rtnetlink import Links
from pyd_guest.network.controller import Controller
from pyd_guest.network.drivers.bridge import BridgeDriver
from pyd_guest.network.drivers.host import HostDriver
from pyd_guest.network.drivers.null import NullDriver
from pyd_guest.network.firewall import Firewall
from pyd_guest.network.namespaces import KernelNamespaces
from pyd_guest.network.network import predefined
from pyd_guest.network.ports import Ports, bind
from pyd_guest.network.sandbox import Sandboxes

DEFAULT_BRIDGE = "pyd0"


def assemble(
    *,
    netns_dir: Path,
    bridge: str = DEFAULT_BRIDGE,
    bip: IPv4Interface | None = None,
    avoid: Iterable[IPv4Network] = (),
) -> Controller:
    """Make the Controller; nothing is changed on the machine before its ``start``.

    Raises UnsupportedError for the bridge ``none``, by which dockerd means no default network.
    ``avoid``: networks that a chosen default must not overlap beside the host's own routes.
    """
    if bridge == "none":
        raise UnsupportedError(
            "an engine without its default network is not supported: --bridge none"
        )
    sandboxes = Sandboxes(netns_dir, KernelNamespaces())
    owner = f"{bridge}\0{netns_dir}"
    return Controller(
        [
            BridgeDriver(
                predefined("bridge", "bridge", owner=owner),
                bridge=bridge,
                bip=bip,
                links=Links(),
                settings=sysctl,
                flows=Conntrack(),
                firewall=Firewall(Nftables(), bridge=bridge, changes=Changes()),
                ports=Ports(bind),
                sandboxes=sandboxes,
                avoid=avoid,
            ),
            HostDriver(predefined("host", "host", owner=owner)),
            NullDriver(predefined("none", "null", owner=owner), sandboxes),
        ],
        sandboxes,
    )
