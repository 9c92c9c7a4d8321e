"""The kernel's network namespaces as `network.sandbox` and the drivers need them."""

import os
from contextlib import ExitStack
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from pyd_guest.linux import netns
from pyd_guest.linux.rtnetlink import Links

_IPV6_DEFAULT = "/proc/sys/net/ipv6/conf/default/disable_ipv6"


class OpenNamespace:
    """A netlink socket of a namespace and its IPv6 switch, opened by a thread inside it."""

    def __init__(self) -> None:
        self._links = Links()
        self._ipv6: int | None = None

    def prepare(self) -> None:
        """Bring loopback up, then have new links come without IPv6."""
        self._links.loopback_up()
        try:
            self._ipv6 = os.open(_IPV6_DEFAULT, os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return  # a kernel without IPv6
        os.pwrite(self._ipv6, b"1", 0)

    def set_address(self, name: str, address: IPv4Interface, gateway: IPv4Address | None) -> None:
        """Bring a link up with its address and the default route."""
        self._links.set_address(name, address, gateway)

    def close(self) -> None:
        """Let go of the namespace; links that the container makes itself have IPv6 again."""
        with ExitStack() as stack:
            stack.callback(self._links.close)
            if self._ipv6 is not None:
                stack.callback(os.close, self._ipv6)
                os.pwrite(self._ipv6, b"0", 0)  # anywhere else it is ignored
                self._ipv6 = None


class KernelNamespaces:
    """Namespaces at a path, by unshare(2), setns(2) and bind mounts."""

    def create(self, path: Path) -> OpenNamespace:
        """Make a namespace that lives at ``path``, loopback up."""

        def act() -> OpenNamespace:
            with ExitStack() as undo:
                inside = OpenNamespace()
                undo.callback(inside.close)
                inside.prepare()
                undo.pop_all()
            return inside

        return netns.create(path, act)

    def enter(self, path: Path) -> OpenNamespace:
        """Open one that exists."""
        return netns.call_in(path, OpenNamespace)

    def drop(self, path: Path) -> None:
        """Let go of it; idempotent."""
        netns.drop(path)
