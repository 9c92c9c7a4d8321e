"""The kernel's network namespaces as `network.sandbox` and the drivers need them."""

import os
from contextlib import ExitStack, suppress
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Self

from pyd_guest.linux import netns
from pyd_guest.linux.rtnetlink import Links
from pyd_guest.network.sandbox import Inside

_IPV6_DEFAULT = "/proc/sys/net/ipv6/conf/default/disable_ipv6"


class OpenNamespace:
    """A namespace by what a thread inside it has opened: itself, a netlink socket, a switch."""

    def __init__(self) -> None:
        with ExitStack() as undo:
            self.fd = netns.open_own()
            undo.callback(os.close, self.fd)
            self._links = Links()
            undo.pop_all()
        self._ipv6: int | None = None
        self._open = True

    @classmethod
    def prepared(cls) -> Self:
        """Open a new namespace: loopback comes up, and links made from now on have no IPv6."""
        with ExitStack() as undo:
            inside = cls()
            undo.callback(inside.close)
            inside._links.loopback_up()
            with suppress(FileNotFoundError):  # a kernel without IPv6
                inside._ipv6 = os.open(_IPV6_DEFAULT, os.O_WRONLY | os.O_CLOEXEC)
                os.pwrite(inside._ipv6, b"1", 0)
            undo.pop_all()
        return inside

    def set_address(self, name: str, address: IPv4Interface, gateway: IPv4Address | None) -> None:
        """Bring a link up with its address and the default route."""
        self._links.set_address(name, address, gateway)

    def close(self) -> None:
        """Let go of the namespace; links that the container makes itself have IPv6 again."""
        if not self._open:
            return
        self._open = False
        with ExitStack() as stack:
            stack.callback(os.close, self.fd)
            stack.callback(self._links.close)
            if self._ipv6 is not None:
                stack.callback(os.close, self._ipv6)
                os.pwrite(self._ipv6, b"0", 0)  # at any other offset it is ignored


class KernelNamespaces:
    """Namespaces of this machine, by unshare(2), setns(2) and bind mounts."""

    def make(self) -> OpenNamespace:
        """Make one, loopback up."""
        return netns.call_in_new(OpenNamespace.prepared)

    def keep(self, inside: Inside, path: Path) -> None:
        """Have it live at ``path``; FileExistsError when that is taken."""
        netns.keep(inside.fd, path)

    def enter(self, path: Path) -> OpenNamespace:
        """Open the one that lives at ``path``."""
        return netns.call_in(path, OpenNamespace)

    def drop(self, path: Path) -> None:
        """Let it go; idempotent."""
        netns.drop(path)
