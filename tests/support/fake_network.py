"""The kernel's network in memory, each call of which can be made to fail."""

# ruff: noqa: ARG002 - the fakes take what the real calls take

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

from pyd_guest.linux.conntrack import Flow
from pyd_guest.linux.rtnetlink import Link
from pyd_guest.network.controller import Controller
from pyd_guest.network.drivers.bridge import BridgeDriver
from pyd_guest.network.drivers.host import HostDriver
from pyd_guest.network.drivers.null import NullDriver
from pyd_guest.network.firewall import Firewall
from pyd_guest.network.network import predefined
from pyd_guest.network.ports import Key, Ports
from pyd_guest.network.sandbox import Inside, Sandboxes


class Trap:
    """Counts calls; the one whose number is set fails."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fail_at = 0

    def step(self, name: str) -> None:
        self.calls.append(name)
        if len(self.calls) == self.fail_at:
            raise OSError(5, "Input/output error", name)

    def arm(self, number: int) -> None:
        self.calls.clear()
        self.fail_at = number


class FakeKernel:
    """Links, namespaces, settings, rules and bound ports of one machine."""

    def __init__(self) -> None:
        self.trap = Trap()
        self.links: dict[str, Link] = {}
        self.ips: dict[str, list[IPv4Interface]] = {}
        self.host_routes: dict[IPv4Network, set[int]] = {}
        self.settings = {
            "net/ipv4/ip_forward": "0",
            "net/ipv4/conf/pyd0/route_localnet": "0",
            "net/ipv4/conf/pyd0/forwarding": "0",
            "net/ipv6/conf/pyd0/disable_ipv6": "0",
        }
        self.namespaces: set[Path] = set()
        self.open_namespaces = 0
        self.rules: list[str] = []
        self.tables: dict[str, set[str]] = {}
        self.bound: set[Key] = set()
        self.generation = 1
        self.flows: list[Flow] = []
        self.foreign_ports = False
        self._index = 1

    def inventory(self) -> object:
        """Return all that a container could leave behind."""
        return (
            sorted(self.links), {k: list(v) for k, v in self.ips.items()}, set(self.namespaces),
            self.open_namespaces, {k: set(v) for k, v in self.tables.items()}, set(self.bound),
        )  # fmt: skip

    def controller(self, netns_dir: Path, *, bip: str | None = None) -> Controller:
        sandboxes = Sandboxes(netns_dir, FakeNamespaces(self))
        driver = BridgeDriver(
            predefined("bridge", "bridge", owner="test"),
            bridge="pyd0",
            bip=IPv4Interface(bip) if bip else None,
            links=FakeLinks(self),
            settings=FakeSettings(self),
            flows=FakeFlows(self),
            firewall=Firewall(FakeNft(self), bridge="pyd0"),
            ports=Ports(self.reserve),
            sandboxes=sandboxes,
        )
        host = HostDriver(predefined("host", "host", owner="test"))
        none = NullDriver(predefined("none", "null", owner="test"), sandboxes)
        return Controller([driver, host, none], sandboxes)

    def end_namespaces(self) -> None:
        """Do what the kernel does some time after a namespace was dropped."""
        for name in [name for name in self.links if name.startswith("vpyd")]:
            del self.links[name]

    def reserve(self, key: Key) -> "Held":
        self.trap.step("bind")
        if self.foreign_ports:
            raise OSError(98, "Address already in use")
        return Held(self, key)

    def add(self, name: str, kind: str, *, master: int = 0) -> Link:
        self._index += 1
        self.links[name] = Link(self._index, name, kind, master, "02:42:00:00:00:01", True)
        return self.links[name]


class Held:
    def __init__(self, kernel: FakeKernel, key: Key) -> None:
        self._kernel, self._key = kernel, key
        kernel.bound.add(key)

    def close(self) -> None:
        self._kernel.bound.discard(self._key)


class FakeLinks:
    def __init__(self, kernel: FakeKernel) -> None:
        self._kernel = kernel

    def find(self, name: str) -> Link | None:
        return self._kernel.links.get(name)

    def dump(self) -> list[Link]:
        return list(self._kernel.links.values())

    def add_bridge(self, name: str, *, mac: str) -> None:
        self._kernel.trap.step("add_bridge")
        self._kernel.add(name, "bridge")

    def add_veth(
        self, name: str, *, bridge: int, mtu: int, peer: str, peer_mac: str, netns_fd: int,
        hairpin: bool,
    ) -> None:  # fmt: skip
        self._kernel.trap.step("add_veth")
        self._kernel.add(name, "veth", master=bridge)

    def set_up(self, link: Link) -> None:
        self._kernel.trap.step("set_up")

    def set_master(self, link: Link, bridge: int) -> None:
        self._kernel.links[link.name] = replace(link, master=bridge)

    def remove(self, name: str) -> None:
        if self._kernel.links.pop(name, None) is None:
            raise OSError(19, "No such device", name)
        self._kernel.ips.pop(name, None)

    def addresses(self, link: Link) -> list[IPv4Interface]:
        return list(self._kernel.ips.get(link.name, []))

    def local_addresses(self) -> set[IPv4Address]:
        return {address.ip for addresses in self._kernel.ips.values() for address in addresses}

    def add_address(self, link: Link, address: IPv4Interface) -> None:
        self._kernel.trap.step("add_address")
        self._kernel.ips.setdefault(link.name, []).append(address)

    def remove_address(self, link: Link, address: IPv4Interface) -> None:
        self._kernel.ips[link.name].remove(address)

    def routes(self) -> dict[IPv4Network, set[int]]:
        return self._kernel.host_routes

    def close(self) -> None:
        pass


class FakeFlows:
    def __init__(self, kernel: FakeKernel) -> None:
        self._kernel = kernel

    def udp_flows(self, ports: Collection[int]) -> list[Flow]:
        self._kernel.trap.step("flows")
        return [flow for flow in self._kernel.flows if flow.port in ports]

    def forget(self, flow: Flow) -> None:
        self._kernel.flows.remove(flow)

    def close(self) -> None:
        pass


class FakeSettings:
    def __init__(self, kernel: FakeKernel) -> None:
        self._kernel = kernel

    def read(self, path: str) -> str:
        if path not in self._kernel.settings:
            raise FileNotFoundError(path)
        return self._kernel.settings[path]

    def write(self, path: str, value: str) -> bool:
        self._kernel.trap.step("sysctl")
        changed = self.read(path) != value
        self._kernel.settings[path] = value
        return changed


class FakeInside:
    fd = -1

    def __init__(self, kernel: FakeKernel) -> None:
        self._kernel = kernel
        self._open = True
        kernel.open_namespaces += 1

    def set_address(self, name: str, address: IPv4Interface, gateway: IPv4Address | None) -> None:
        self._kernel.trap.step("set_address")

    def close(self) -> None:
        self._kernel.open_namespaces -= self._open
        self._open = False


class FakeNamespaces:
    def __init__(self, kernel: FakeKernel) -> None:
        self._kernel = kernel

    def make(self) -> FakeInside:
        self._kernel.trap.step("make")
        return FakeInside(self._kernel)

    def keep(self, inside: Inside, path: Path) -> None:
        if path in self._kernel.namespaces:
            raise FileExistsError(path)
        self._kernel.trap.step("keep")
        path.touch()
        self._kernel.namespaces.add(path)

    def enter(self, path: Path) -> FakeInside:
        self._kernel.trap.step("enter")
        return FakeInside(self._kernel)

    def drop(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._kernel.namespaces.discard(path)


class FakeNft:
    """Understands the few commands that `network.firewall` gives."""

    def __init__(self, kernel: FakeKernel) -> None:
        self._kernel = kernel

    def run(self, commands: str) -> str:
        kernel = self._kernel
        if commands.startswith("list"):
            listed = kernel.tables.get(commands.removeprefix("list table "))
            if listed is not None:
                return "\n".join(sorted(listed))
            raise OSError(22, "No such file or directory", commands)
        kernel.trap.step("nft")
        tables = {name: set(lines) for name, lines in kernel.tables.items()}
        for line in filter(None, commands.splitlines()):
            verb, what, family, name, *rest = [*line.split(" "), "", "", "", ""]
            table = f"{family} {name}"
            if what == "element":
                entry = " ".join(rest).strip()
                if table not in tables:
                    raise OSError(22, "No such file or directory", line)
                if verb == "add":
                    tables[table].add(entry)
                else:
                    key = entry.removesuffix("}").strip()
                    found = [old for old in tables[table] if old.startswith(f"{key} :")]
                    if not found:
                        raise OSError(22, "No such file or directory", line)
                    tables[table] -= set(found)
            elif (verb, what) == ("delete", "table"):
                tables.pop(table, None)
            elif verb == "table":
                tables[f"{what} {family}"] = {"static"}
        kernel.tables = tables
        kernel.generation += 1
        return ""

    def generation(self) -> int:
        return self._kernel.generation

    def close(self) -> None:
        pass


@contextmanager
def failing(trap: Trap, number: int) -> Iterator[None]:
    """Make the call of that number fail, counted from here."""
    trap.arm(number)
    try:
        yield
    finally:
        trap.arm(0)


def steps_of(trap: Trap, act: Callable[[], object]) -> list[str]:
    """Return the calls that ``act`` makes when none fails."""
    trap.arm(0)
    act()
    return list(trap.calls)
