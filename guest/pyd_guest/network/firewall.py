"""Packet rules: one nftables table per daemon, named after its bridge (nft(8)).

::

    guard        raw       nobody on the bridge reaches or poses as 127.0.0.0/8; nobody outside
                           reaches a container's address past a published port
    prerouting   dstnat    published ports for packets from elsewhere; never for 127.0.0.0/8, so
    output       dstnat    a port published there is open to this host only
    publish                the two maps: ports of one address, ports of every address
    forward      filter    into the bridge: from itself, answers, and published ports; else drop
    postrouting  srcnat    masquerade what leaves, and what comes back to its own bridge

Starting a container adds elements to the maps; the rules never change. What was asked for is
kept here too: when anyone else has changed any rule (the ruleset's generation tells), the table is
compared, and made again if it is not as it was. A thread does so on notice, too: a bridge with
``route_localnet`` must not be without its guard for long.

Only ints, IPv4 addresses and checked interface names reach the text of a command.
"""

import logging
import re
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from typing import Protocol

from pyd_api.errors import InvalidRequestError
from pyd_guest.network.endpoint import ANY_ADDRESS, PublishedPort

LOG = logging.getLogger(__name__)
INTERFACE_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
_ELEMENTS = re.compile(r"\n\t\telements = \{([^}]*)\}")
_PROTOCOL_NUMBERS = {"tcp": "6", "udp": "17", "sctp": "132"}


class Nft(Protocol):
    """The nftables calls; `linux.nftables` has the real ones."""

    def run(self, commands: str) -> str:
        """Apply all commands or none and return what they print; OSError when refused."""

    def generation(self) -> int:
        """Return a number that changes whenever anyone changes any rule."""

    def close(self) -> None:
        """Free what it holds."""


class Changes(Protocol):
    """Notice of changes to the ruleset; `linux.nftables` has the real one."""

    def wait(self) -> bool:
        """Wait for the next change; return False once stopped."""

    def stop(self) -> None:
        """End the wait."""

    def close(self) -> None:
        """Free what it holds."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A published port and the container address it leads to."""

    port: PublishedPort
    address: IPv4Address

    @property
    def map(self) -> str:
        """The map that holds it."""
        return "every_address" if self.port.host_ip == ANY_ADDRESS else "one_address"

    @property
    def key(self) -> str:
        """Its key in that map."""
        port = self.port
        key = f"{port.protocol} . {port.host_port}"
        return key if port.host_ip == ANY_ADDRESS else f"{port.host_ip} . {key}"

    @property
    def listed(self) -> str:
        """The element as nftables lists it, with numbers for names."""
        head, protocol, tail = self.element.partition(self.port.protocol)
        return f"{head}{_PROTOCOL_NUMBERS[protocol]}{tail}"

    @property
    def element(self) -> str:
        """Key and value."""
        return f"{self.key} : {self.address} . {self.port.container_port}"


class Firewall:
    """The table of one bridge network."""

    def __init__(self, nft: Nft, *, bridge: str, changes: Changes | None = None) -> None:
        self._nft = nft
        self._changes = changes
        self._bridge = checked_interface(bridge)
        self._table = f"ip pyd-{bridge}"
        self._lock = threading.Lock()
        self._rules: dict[tuple[str, str], Rule] = {}
        self._static = ""
        self._frame = ""
        self._generation: int | None = None
        self._watcher: threading.Thread | None = None

    def install(self, gateway: IPv4Interface, rules: Iterable[Rule], *, close_router: bool) -> None:
        """Put the table in place of any older one.

        ``close_router`` is for a host that did not forward before pyd made it: packets between
        two hardware interfaces are still not forwarded.
        """
        with self._lock:
            self._rules = {(rule.map, rule.key): rule for rule in rules}
            self._static = _static(self._bridge, gateway, close_router=close_router)
            self._rebuild()
            if self._changes is not None and self._watcher is None:
                self._watcher = threading.Thread(
                    target=self._repair, args=(self._changes,), name="firewall", daemon=True
                )
                self._watcher.start()

    def closes_router(self) -> bool:
        """Tell whether a table of an earlier run closes the router."""
        try:
            return "jump router" in self._nft.run(f"list table {self._table}")
        except OSError:
            return False

    def find_blocking_chain(self) -> str | None:
        """Return where iptables must be told to let containers through, None when it need not.

        A table of its own that drops by default, as dockerd makes it, has its say whatever is
        accepted here.
        """
        try:
            chain = self._nft.run("list chain ip filter FORWARD")
        except OSError:
            return None
        if "policy drop" not in chain:
            return None
        return "DOCKER-USER" if "jump DOCKER-USER" in chain else "FORWARD"

    def publish(self, rules: Iterable[Rule]) -> None:
        """Add published ports, all or none."""
        with self._lock:
            new = {(rule.map, rule.key): rule for rule in rules}
            self._ensure()
            if not new:
                return
            self._rules.update(new)
            try:
                self._apply(
                    f"add element {self._table} {name} {{ {rule.element} }}"
                    for (name, _), rule in new.items()
                )
            except OSError:
                for key in new:
                    self._rules.pop(key, None)
                raise

    def withdraw(self, rules: Iterable[Rule]) -> None:
        """Remove published ports; unknown ones are left alone."""
        with self._lock:
            old = [key for rule in rules if (key := (rule.map, rule.key)) in self._rules]
            if not old:
                return
            try:
                self._ensure()
            except OSError:
                self._generation = None  # the next operation will find what is left
                raise
            finally:
                for key in old:
                    del self._rules[key]
            self._apply(f"delete element {self._table} {name} {{ {key} }}" for name, key in old)

    def ensure(self) -> bool:
        """Put the table back if somebody removed or changed it; tell whether that was so."""
        with self._lock:
            return self._ensure()

    def close(self) -> None:
        """Let go of nftables; the table stays, as the containers do."""
        if self._changes is not None:
            self._changes.stop()
            if self._watcher is not None:
                self._watcher.join()
            self._changes.close()
            self._changes = self._watcher = None
        self._nft.close()

    def _repair(self, changes: Changes) -> None:
        while changes.wait():
            try:
                if self.ensure():
                    LOG.warning("table %s was changed by another program; put back", self._table)
            except OSError as error:
                LOG.critical("table %s was changed and cannot be put back: %s", self._table, error)

    def _apply(self, commands: Iterable[str]) -> None:
        """Run a change to the elements; when it is refused, make the table anew with it."""
        before, self._generation = self._generation, None
        try:
            self._nft.run("\n".join(commands))
        except OSError:
            self._rebuild()
            return
        with suppress(OSError):  # the change is made; not knowing the number costs a comparison
            after = self._nft.generation()
            # More than one step means that somebody changed something at the same moment.
            self._generation = after if before is not None and after == before + 1 else None

    def _rebuild(self) -> None:
        elements = "".join(
            f"add element {self._table} {rule.map} {{ {rule.element} }}\n"
            for rule in self._rules.values()
        )
        self._generation, self._frame = None, ""
        before = self._nft.generation()
        self._nft.run(
            f"add table {self._table}\ndelete table {self._table}\n"
            f"table {self._table} {{\n{self._static}}}\n{elements}"
        )
        with suppress(OSError):
            frame, _ = self._listing()
            after = self._nft.generation()
            if after == before + 1:  # else what was listed may be somebody else's work
                self._generation, self._frame = after, frame

    def _ensure(self) -> bool:
        generation = self._nft.generation()
        if generation == self._generation:
            return False
        try:
            frame, elements = self._listing()
        except OSError:
            frame, elements = "", set()
        if frame == self._frame and elements == {rule.listed for rule in self._rules.values()}:
            self._generation = generation
            return False
        self._rebuild()
        return True

    def _listing(self) -> tuple[str, set[str]]:
        """Return the table as nftables prints it: without elements, and the elements."""
        listing = self._nft.run(f"list table {self._table}")
        elements = {
            element.strip() for group in _ELEMENTS.findall(listing) for element in group.split(",")
        }
        return _ELEMENTS.sub("", listing), elements


def checked_interface(name: str) -> str:
    """Return ``name`` when it can be an interface's. Raises InvalidRequestError."""
    if not INTERFACE_PATTERN.fullmatch(name):
        raise InvalidRequestError(f"invalid interface name: {name[:50]!r}")
    return name


def _static(bridge: str, gateway: IPv4Interface, *, close_router: bool) -> str:
    """Write the rules of a network; they refer to nothing that a container's start changes."""
    network = gateway.network
    router = "jump router" if close_router else ""
    return f"""
map every_address {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}
map one_address {{ type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }}
chain guard {{
    type filter hook prerouting priority raw; policy accept;
    iifname "{bridge}" ip daddr 127.0.0.0/8 drop
    iifname "{bridge}" ip saddr 127.0.0.0/8 drop
    iifname != {{ "{bridge}", "lo" }} ip daddr {network} ip daddr != {gateway.ip} drop
}}
chain publish {{
    dnat ip to ip daddr . meta l4proto . th dport map @one_address
    dnat ip to meta l4proto . th dport map @every_address
}}
chain prerouting {{
    type nat hook prerouting priority dstnat; policy accept;
    ip daddr != 127.0.0.0/8 fib daddr type local jump publish
}}
chain output {{
    type nat hook output priority -100; policy accept;
    fib daddr type local jump publish
}}
chain into {{
    iifname "{bridge}" accept
    ct state established,related accept
    ct status dnat accept
    drop
}}
chain router {{
    meta iifkind != "none" accept comment "only hardware has no kind at all"
    meta oifkind != "none" accept
    drop
}}
chain forward {{
    type filter hook forward priority filter; policy accept;
    oifname "{bridge}" jump into
    {router}
}}
chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    oifname "{bridge}" ip saddr 127.0.0.0/8 masquerade
    oifname "{bridge}" ip saddr {network} ct status dnat masquerade
    oifname != "{bridge}" ip saddr {network} masquerade
}}
"""
