"""linux/ against the kernel: links, namespaces, rules, and what is left when a step fails."""

import os
import threading
from contextlib import suppress
from functools import partial
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any

import pytest

from pyd_api.errors import InternalError
from pyd_api.ids import ContainerId, new_id
from pyd_guest.linux import mount, netns, sysctl
from pyd_guest.linux.conntrack import Conntrack
from pyd_guest.linux.nftables import Nftables
from pyd_guest.linux.rtnetlink import Links
from pyd_guest.network.controller import Controller
from pyd_guest.network.drivers.bridge import BridgeDriver
from pyd_guest.network.endpoint import PortRequest
from pyd_guest.network.firewall import Firewall
from pyd_guest.network.namespaces import KernelNamespaces
from pyd_guest.network.network import predefined
from pyd_guest.network.ports import Ports, bind
from pyd_guest.network.sandbox import Sandboxes
from support.own_network import isolated

pytestmark = pytest.mark.needs("root")


def own_namespace() -> int:
    return Path("/proc/thread-self/ns/net").stat().st_ino


def bridge(links: Links, name: str = "br0", address: str = "10.0.0.1/24") -> int:
    links.add_bridge(name, mac="02:42:00:00:00:07")
    link = links.find(name)
    assert link is not None
    links.add_address(link, IPv4Interface(address))
    links.set_up(link)
    return link.index


@isolated
def test_links_are_described(tmp_path: Path) -> None:
    links = Links()
    index = bridge(links)
    link = links.find("br0")
    assert link is not None
    assert (link.index, link.name, link.kind, link.mac, link.up) == (
        index, "br0", "bridge", "02:42:00:00:00:07", True,
    )  # fmt: skip
    assert links.addresses(link) == [IPv4Interface("10.0.0.1/24")]
    assert links.local_addresses() == {IPv4Address("10.0.0.1"), IPv4Address("127.0.0.1")}
    assert links.routes()[IPv4Network("10.0.0.0/24")] == {index}
    assert {found.name for found in links.dump()} == {"br0", "lo"}
    links.remove_address(link, IPv4Interface("10.0.0.1/24"))
    assert links.addresses(link) == []
    links.remove("br0")
    assert links.find("br0") is None
    links.close()
    links.close()


@isolated
def test_errors_carry_the_links_name(tmp_path: Path) -> None:
    links = Links()
    index = bridge(links)
    link = links.find("br0")
    assert link is not None
    attempts: tuple[tuple[str, partial[Any]], ...] = (
        ("br0", partial(links.add_bridge, "br0", mac="02:42:00:00:00:08")),
        ("br0 10.0.0.1/24", partial(links.add_address, link, IPv4Interface("10.0.0.1/24"))),
        ("nosuch", partial(links.remove, "nosuch")),
        ("nosuch", partial(links.set_address, "nosuch", IPv4Interface("10.0.0.2/24"), None)),
        (
            "v0",
            partial(
                links.add_veth, "v0", bridge=index, mtu=1500, peer="eth0",
                peer_mac="02:00:00:00:00:01", netns_fd=9999,
            ),
        ),
        ("a-name-that-is-too-long", partial(links.find, "a-name-that-is-too-long")),
        (
            "br0 via 192.0.2.7",
            partial(
                links.set_address, "br0", IPv4Interface("10.0.0.9/24"), IPv4Address("192.0.2.7")
            ),
        ),
    )  # fmt: skip
    for name, attempt in attempts:
        with pytest.raises(OSError, match=r".") as failure:
            attempt()
        assert failure.value.filename == name
    assert {found.name for found in links.dump()} == {"br0", "lo"}
    links.close()


@isolated
def test_pair_that_cannot_join_its_bridge_is_removed(tmp_path: Path) -> None:
    links = Links()
    held = KernelNamespaces().make()
    with pytest.raises(OSError, match=r".") as failure:
        links.add_veth(
            "v0", bridge=1, mtu=1500, peer="eth0",
            peer_mac="02:00:00:00:00:01", netns_fd=held.fd,
        )  # fmt: skip
    assert failure.value.filename == "v0"
    assert [link.name for link in links.dump()] == ["lo"]
    KernelNamespaces().keep(held, tmp_path / "ns")
    inside = netns.call_in(tmp_path / "ns", Links)
    assert [link.name for link in inside.dump()] == ["lo"]
    inside.close()
    held.close()
    links.close()
    netns.drop(tmp_path / "ns")


@isolated
def test_namespace_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def refuse() -> None:
        raise OSError(5, "no")

    own = own_namespace()
    threads = threading.active_count()
    with pytest.raises(OSError, match="no"):
        netns.call_in_new(refuse)
    fd = netns.call_in_new(netns.open_own)
    with pytest.raises(OSError, match=r".") as failure:
        netns.keep(9999, tmp_path / "ns")
    assert failure.value.filename2 == str(tmp_path / "ns")
    assert list(tmp_path.iterdir()) == []
    assert mount.mount_points(tmp_path) == []
    inside = os.fstat(fd).st_ino
    netns.keep(fd, tmp_path / "ns")
    with pytest.raises(FileExistsError):
        netns.keep(fd, tmp_path / "ns")
    os.close(fd)
    seen = netns.call_in(tmp_path / "ns", own_namespace)
    assert inside == seen == (tmp_path / "ns").stat().st_ino != own
    assert own_namespace() == own
    assert threading.active_count() == threads
    netns.drop(tmp_path / "ns")
    netns.drop(tmp_path / "ns")
    (tmp_path / "ns").touch()  # a file that a crash left before the mount
    netns.drop(tmp_path / "ns")
    assert list(tmp_path.iterdir()) == []


@isolated
def test_nftables_applies_all_or_nothing_and_says_why(tmp_path: Path) -> None:
    nft = Nftables()
    before = nft.generation()
    nft.run("add table ip x\nadd chain ip x y")
    assert nft.generation() == before + 1
    with pytest.raises(OSError, match=r"^\[Errno 22\] Error: "):
        nft.run("add table ip z\nadd rule ip x nosuch accept")
    with pytest.raises(OSError, match="syntax error"):
        nft.run("add nonsense")
    assert nft.run("list tables").split() == ["table", "ip", "x"]
    nft.close()
    nft.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        nft.run("list tables")


@isolated
def test_settings_are_written_once(tmp_path: Path) -> None:
    sysctl.write("net/ipv4/ip_forward", "0")  # a new namespace starts with the host's value
    assert sysctl.write("net/ipv4/ip_forward", "1")
    assert not sysctl.write("net/ipv4/ip_forward", "1")
    with pytest.raises(FileNotFoundError):
        sysctl.read("net/ipv4/nosuch")


class Faulty:
    """Passes calls on and makes the one whose number is set fail, after or before it is done."""

    def __init__(self, real: object, count: list[int]) -> None:
        self._real = real
        self._count = count

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._real, name)
        if name not in _STEPS:
            return value

        def call(*args: object, **kwargs: object) -> object:
            self._count[0] += 1
            if self._count[0] == self._count[1]:
                raise OSError(5, "Input/output error", name)
            return value(*args, **kwargs)

        return call


_STEPS = {"add_veth", "set_address", "run", "make", "keep", "enter", "generation"}


class FaultyNamespaces:
    def __init__(self, count: list[int]) -> None:
        self._real: Any = Faulty(KernelNamespaces(), count)
        self._count = count

    def make(self) -> Any:
        return Faulty(self._real.make(), self._count)

    def keep(self, inside: Any, path: Path) -> None:
        self._real.keep(inside, path)

    def enter(self, path: Path) -> Any:
        return Faulty(self._real.enter(path), self._count)

    def drop(self, path: Path) -> None:
        self._real.drop(path)


def inventory(links: Links, netns_dir: Path) -> object:
    nft = Nftables()
    try:
        rules = nft.run("list ruleset")
    finally:
        nft.close()
    return (
        sorted(link.name for link in links.dump()),
        sorted(netns_dir.iterdir()),
        mount.mount_points(netns_dir),
        rules,
        sorted(_descriptors()),
    )


def _descriptors() -> list[str]:
    found = []
    for fd in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the listing's own
            found.append(str(fd.readlink()).partition(":")[0])
    return found


@isolated
def test_connect_fails_at_each_step_and_leaves_nothing(tmp_path: Path) -> None:
    count = [0, 0]
    links = Links()
    sandboxes = Sandboxes(tmp_path / "netns", FaultyNamespaces(count))
    driver = BridgeDriver(
        predefined("bridge", "bridge", owner="test"),
        bridge="pyd0",
        bip=None,
        links=Faulty(links, count),
        settings=sysctl,
        flows=Conntrack(),
        firewall=Firewall(Faulty(Nftables(), count), bridge="pyd0"),
        ports=Ports(bind),
        sandboxes=sandboxes,
    )
    controller = Controller([driver], sandboxes)
    controller.start({})
    ports = [
        PortRequest.parse("80/tcp", host_port="8080"),
        PortRequest.parse("53/udp", host_ip="127.0.0.1"),
    ]

    def start() -> None:
        sandbox = controller.create_sandbox(owner)
        controller.connect(sandbox, network="bridge", name="web", ports=ports)

    owner = ContainerId(new_id())
    count[:] = [0, 0]
    start()
    steps = count[0]
    assert steps >= 6
    controller.release(owner)
    refused = 0
    for number in range(1, steps + 1):
        before = inventory(links, tmp_path / "netns")
        names = {link.name for link in links.dump()}
        owner = ContainerId(new_id())
        count[:] = [0, number]
        try:
            start()
        except InternalError:
            refused += 1
            assert {link.name for link in links.dump()} <= names  # at once, not some time later
        count[:] = [0, 0]
        controller.release(owner)
        after = inventory(links, tmp_path / "netns")
        assert _without_links(after) == _without_links(before)
    assert refused >= 5
    controller.shutdown()


def _without_links(state: Any) -> object:
    return state[1:]
