"""The bridge network on a real kernel: ways in and out, and what must not get through."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from pyd_api.errors import InternalError
from pyd_api.ids import ContainerId, new_id
from pyd_guest.linux import netns, sysctl
from pyd_guest.linux.nftables import Changes
from pyd_guest.linux.rtnetlink import Links
from pyd_guest.network.assemble import assemble
from pyd_guest.network.controller import Controller
from pyd_guest.network.endpoint import Endpoint, PortRequest
from pyd_guest.network.namespaces import KernelNamespaces
from support.own_network import connect, datagrams, isolated, listen

pytestmark = pytest.mark.needs("root")

HOST, NEIGHBOUR, GATEWAY = "192.0.2.1", "192.0.2.9", "172.17.0.1"
NOTHING_S = 0.3  # how long a packet that must not arrive is waited for


@contextmanager
def started(
    netns_dir: Path, live: dict[ContainerId, Endpoint] | None = None
) -> Iterator[Controller]:
    controller = assemble(netns_dir=netns_dir)
    with ExitStack() as undo:
        undo.callback(controller.shutdown)
        controller.start(live or {})
        yield controller


@contextmanager
def lan(path: Path) -> Iterator[Path]:
    """Give the host a neighbour: host0 (192.0.2.1) ── lan0 (192.0.2.9) in a namespace at path."""
    inside = KernelNamespaces().make()
    KernelNamespaces().keep(inside, path)
    links = Links()
    try:
        links.add_veth(
            "host0", bridge=0, mtu=1500, peer="lan0",
            peer_mac="02:00:00:00:00:09", netns_fd=inside.fd,
        )  # fmt: skip
        host0 = links.find("host0")
        assert host0 is not None
        links.add_address(host0, IPv4Interface(f"{HOST}/24"))
        inside.set_address("lan0", IPv4Interface(f"{NEIGHBOUR}/24"), None)
        yield path
    finally:
        links.close()
        inside.close()
        netns.drop(path)


def run(place: Path | None, *argv: str) -> str:
    enter = ["nsenter", f"--net={place}"] if place else []
    return subprocess.run([*enter, *argv], check=True, capture_output=True, text=True).stdout


class Container:
    """A container as far as the network goes."""

    def __init__(
        self, controller: Controller, *ports: PortRequest, network: str = "bridge"
    ) -> None:
        self.controller = controller
        self.id = ContainerId(new_id())
        self.sandbox = controller.create_sandbox(self.id, network=network)
        assert self.sandbox.path is not None
        self.path = self.sandbox.path
        self.endpoint = controller.connect(self.sandbox, network=network, name="web", ports=ports)

    @property
    def ip(self) -> str:
        assert self.endpoint.address is not None
        return str(self.endpoint.address.ip)

    def release(self) -> None:
        self.controller.release(self.id)


def tcp(container_port: int, host_port: int = 0, host_ip: str = "") -> PortRequest:
    return PortRequest.parse(
        f"{container_port}/tcp", host_ip=host_ip, host_port=str(host_port or "")
    )


def talks(client: Path | None, address: str, port: int, server: socket.socket) -> str:
    """Connect, pass a byte each way, return the client's address as the server sees it."""
    with connect(client, address, port) as near:
        far, (seen, _) = server.accept()
        with far:
            near.sendall(b"a")
            assert far.recv(1) == b"a"
            far.sendall(b"b")
            assert near.recv(1) == b"b"
    return str(seen)


def cut_off(client: Path | None, address: str, port: int) -> bool:
    try:
        connect(client, address, port, timeout_s=NOTHING_S).close()
    except OSError:
        return True
    return False


@isolated
def test_container_has_address_route_and_no_ipv6(tmp_path: Path) -> None:
    with started(tmp_path / "netns") as controller:
        web = Container(controller)
        assert web.ip == "172.17.0.2"
        assert "inet 172.17.0.2/16 brd 172.17.255.255 scope global eth0" in run(
            web.path, "ip", "address", "show", "eth0"
        )
        assert run(web.path, "ip", "route").splitlines()[0].startswith("default via 172.17.0.1")
        assert web.endpoint.mac == "02:42:ac:11:00:02"
        assert web.endpoint.mac in run(web.path, "ip", "link", "show", "eth0")
        assert "inet6" not in run(web.path, "ip", "address", "show", "eth0")
        assert (
            netns.call_in(web.path, lambda: sysctl.read("net/ipv6/conf/eth0/disable_ipv6")) == "1"
        )
        assert (
            netns.call_in(web.path, lambda: sysctl.read("net/ipv6/conf/default/disable_ipv6"))
            == "0"
        )
        web.release()


@isolated
def test_neighbours_on_the_bridge_and_the_way_out(tmp_path: Path) -> None:
    with lan(tmp_path / "lan") as neighbour, started(tmp_path / "netns") as controller:
        one, two = Container(controller), Container(controller)
        with listen(two.path, 80) as server:
            assert talks(one.path, two.ip, 80, server) == one.ip
            assert talks(None, two.ip, 80, server) == GATEWAY
            # Past the published ports nobody outside reaches a container.
            run(neighbour, "ip", "route", "add", "172.17.0.0/16", "via", HOST)
            assert cut_off(neighbour, two.ip, 80)
        with listen(neighbour, 80) as server:
            assert talks(one.path, NEIGHBOUR, 80, server) == HOST  # masqueraded
        with listen(None, 81) as server:
            assert talks(one.path, GATEWAY, 81, server) == one.ip
            assert talks(one.path, HOST, 81, server) == one.ip
        one.release()
        two.release()


@pytest.mark.parametrize("rp_filter", ["0", "1"])
@isolated
def test_published_port_from_everywhere(tmp_path: Path, rp_filter: str) -> None:
    sysctl.write("net/ipv4/conf/all/rp_filter", rp_filter)
    with lan(tmp_path / "lan") as neighbour, started(tmp_path / "netns") as controller:
        web, other = Container(controller, tcp(80, 8080)), Container(controller)
        assert str(web.endpoint.ports[0].host_ip) == "0.0.0.0"
        with listen(web.path, 80) as server:
            assert talks(neighbour, HOST, 8080, server) == NEIGHBOUR
            assert talks(None, HOST, 8080, server) == HOST
            assert talks(None, "127.0.0.1", 8080, server) == GATEWAY
            assert talks(None, "127.9.9.9", 8080, server) == GATEWAY
            assert talks(None, GATEWAY, 8080, server) == GATEWAY
            assert talks(other.path, HOST, 8080, server) == GATEWAY
            assert talks(other.path, GATEWAY, 8080, server) == GATEWAY
            assert talks(web.path, HOST, 8080, server) == GATEWAY  # hairpin
        web.release()
        assert cut_off(None, HOST, 8080)
        other.release()


@isolated
def test_port_published_on_loopback_stays_there(tmp_path: Path) -> None:
    with lan(tmp_path / "lan") as neighbour, started(tmp_path / "netns") as controller:
        web, other = Container(controller, tcp(80, 8080, "127.0.0.1")), Container(controller)
        # A neighbour that has a way to 127.0.0.1, and a host that lets such packets in.
        for place in (neighbour, other.path):
            run(place, "ip", "address", "del", "127.0.0.1/8", "dev", "lo")
            run(place, "sysctl", "-q", "net.ipv4.conf.all.route_localnet=1")
        run(neighbour, "ip", "route", "add", "127.0.0.0/8", "via", HOST)
        run(other.path, "ip", "route", "add", "127.0.0.0/8", "via", GATEWAY)
        run(None, "sysctl", "-q", "net.ipv4.conf.host0.route_localnet=1")
        with listen(web.path, 80) as server:
            assert talks(None, "127.0.0.1", 8080, server) == GATEWAY
            assert cut_off(None, HOST, 8080)
            assert cut_off(neighbour, HOST, 8080)
            assert cut_off(neighbour, "127.0.0.1", 8080)
            assert cut_off(other.path, "127.0.0.1", 8080)
        with listen(None, 9000, host="127.0.0.1"):
            assert cut_off(other.path, "127.0.0.1", 9000)  # the host's own, by way of the bridge
        web.release()
        other.release()


@isolated
def test_one_address_comes_before_every_address(tmp_path: Path) -> None:
    with lan(tmp_path / "lan") as neighbour, started(tmp_path / "netns") as controller:
        here = Container(controller, tcp(80, 8080, "127.0.0.1"))
        there = Container(controller, tcp(80, 8080, HOST))
        with listen(here.path, 80) as near, listen(there.path, 80) as far:
            talks(None, "127.0.0.1", 8080, near)
            talks(neighbour, HOST, 8080, far)
        here.release()
        there.release()


@isolated
def test_datagrams(tmp_path: Path) -> None:
    with lan(tmp_path / "lan") as neighbour, started(tmp_path / "netns") as controller:
        dns = Container(controller, PortRequest.parse("53/udp", host_port="5353"))
        with datagrams(dns.path, 53) as server:
            for client, address in ((neighbour, HOST), (None, "127.0.0.1"), (None, HOST)):
                with datagrams(client) as near:
                    near.sendto(b"?", (address, 5353))
                    question, back = server.recvfrom(9)
                    server.sendto(b"!", back)
                    assert (question, near.recvfrom(9)) == (b"?", (b"!", (address, 5353)))
        dns.release()


@isolated
def test_datagrams_of_one_client_follow_the_port(tmp_path: Path) -> None:
    """A flow that never pauses keeps its old translation unless somebody forgets it."""
    request = PortRequest.parse("53/udp", host_port="5353")
    with (
        lan(tmp_path / "lan") as neighbour,
        started(tmp_path / "netns") as controller,
        datagrams(neighbour) as client,
    ):
        with datagrams(None, 5353) as host:
            client.sendto(b"0", (HOST, 5353))
            assert host.recv(9) == b"0"
        first, holder = Container(controller, request), Container(controller)
        with datagrams(first.path, 53) as server:
            client.sendto(b"1", (HOST, 5353))
            assert server.recv(9) == b"1"
        first.release()
        client.sendto(b"nobody", (HOST, 5353))
        second = Container(controller, request)
        with datagrams(second.path, 53) as server:
            client.sendto(b"2", (HOST, 5353))
            assert server.recv(9) == b"2"
        second.release()
        holder.release()


@isolated
def test_port_conflicts_in_dockerds_words(tmp_path: Path) -> None:
    with started(tmp_path / "netns") as controller:
        web = Container(controller, tcp(80, 8080), tcp(81), tcp(82))
        assert [port.host_port for port in web.endpoint.ports] == [8080, 32768, 32769]
        sandbox = controller.create_sandbox(other := ContainerId(new_id()))
        before = run(None, "nft", "list", "ruleset")
        with listen(None, 8181):
            taken = "failed: port is already allocated"
            failed = "failed to bind host port for"
            end = "172.17.0.3:80/tcp:"
            for request, words in (
                (tcp(80, 8080), f"Bind for 0.0.0.0:8080 {taken}"),
                (tcp(80, 8080, "127.0.0.1"), f"Bind for 127.0.0.1:8080 {taken}"),
                (tcp(80, 8181), f"{failed} 0.0.0.0:8181:{end} address already in use"),
                (
                    tcp(80, 8282, "10.9.9.9"),
                    f"{failed} 10.9.9.9:8282:{end} cannot assign requested address",
                ),
            ):
                with pytest.raises(InternalError) as refusal:
                    controller.connect(
                        sandbox, network="bridge", name="web2", ports=[tcp(90, 9090), request]
                    )
                assert refusal.value.message.startswith(
                    "driver failed programming external connectivity on endpoint web2 ("
                )
                assert refusal.value.message.endswith(f"): {words}")
        assert run(None, "nft", "list", "ruleset") == before
        listen(None, 9090).close()
        endpoint = controller.connect(sandbox, network="bridge", name="web2", ports=[tcp(80, 9090)])
        assert str(endpoint.address) == "172.17.0.3/16"
        with pytest.raises(OSError, match="in use"):
            listen(None, 9090)
        controller.release(other)
        listen(None, 9090).close()
        web.release()
        listen(None, 8080).close()


@isolated
def test_port_that_only_old_connections_use_can_be_published(tmp_path: Path) -> None:
    with started(tmp_path / "netns") as controller:
        with listen(None, 8080) as server, connect(None, "127.0.0.1", 8080) as near:
            far, _ = server.accept()
            far.close()  # the server's side goes into TIME_WAIT
            near.recv(1)
        with pytest.raises(OSError, match="in use"), socket.socket() as plain:
            plain.bind(("0.0.0.0", 8080))
        web = Container(controller, tcp(80, 8080))
        with listen(web.path, 80) as server:
            talks(None, "127.0.0.1", 8080, server)
        web.release()


@isolated
def test_restart_keeps_the_living_and_removes_the_rest(tmp_path: Path) -> None:
    with started(tmp_path / "netns") as controller:
        web, gone = Container(controller, tcp(80, 8080)), Container(controller, tcp(80, 8081))
    live = {web.id: Endpoint.from_json(web.endpoint.to_json())}
    assert live[web.id] == web.endpoint
    with started(tmp_path / "netns", live) as controller:
        assert [path.name for path in (tmp_path / "netns").iterdir()] == [web.id]
        names = run(None, "ip", "-o", "link")
        assert f"vpyd{web.endpoint.endpoint_id[:10]}" in names
        assert f"vpyd{gone.endpoint.endpoint_id[:10]}" not in names
        with listen(web.path, 80) as server:
            talks(None, "127.0.0.1", 8080, server)
        assert cut_off(None, HOST, 8081)
        with pytest.raises(OSError, match="in use"):
            listen(None, 8080)
        after = Container(controller, tcp(80, 8081))
        assert after.ip == gone.ip
        controller.release(web.id)
        controller.release(web.id)
        after.release()


@isolated
def test_address_is_free_only_when_its_namespace_has_ended(tmp_path: Path) -> None:
    with started(tmp_path / "netns") as controller:
        first = Container(controller)
        held = datagrams(first.path)  # something that goes on living in there
        first.release()
        second = Container(controller)
        assert (first.ip, second.ip) == ("172.17.0.2", "172.17.0.3")
        veth = f"vpyd{first.endpoint.endpoint_id[:10]}"
        with subprocess.Popen(
            ["ip", "-o", "monitor", "link"], stdout=subprocess.PIPE, text=True
        ) as monitor:
            assert monitor.stdout is not None
            held.close()
            while veth in run(None, "ip", "-o", "link"):
                monitor.stdout.readline()
            monitor.terminate()
        third = Container(controller)
        assert third.ip == first.ip
        second.release()
        third.release()


@isolated
def test_bridge_removed_behind_the_back(tmp_path: Path) -> None:
    with started(tmp_path / "netns") as controller:
        web = Container(controller, tcp(80, 8080))
        run(None, "ip", "link", "del", "pyd0")
        sandbox = controller.create_sandbox(other := ContainerId(new_id()))
        with pytest.raises(InternalError, match=r"removed behind the engine's back.*'pyd0'"):
            controller.connect(sandbox, network="bridge", name="other")
        controller.release(other)
    with started(tmp_path / "netns", {web.id: web.endpoint}) as controller:
        with listen(web.path, 80) as server:
            talks(None, "127.0.0.1", 8080, server)
        controller.release(web.id)


@isolated
def test_container_that_is_started_again(tmp_path: Path) -> None:
    with started(tmp_path / "netns") as controller:
        owner = ContainerId(new_id())
        for _ in range(3):
            sandbox = controller.create_sandbox(owner)
            controller.connect(
                sandbox, network="bridge", name="c", ports=[tcp(80, 8080)], mac="02:00:00:00:00:05"
            )
            assert sandbox.path is not None
            assert "02:00:00:00:00:05" in run(sandbox.path, "ip", "link", "show", "eth0")
            controller.release(owner)


@isolated
def test_flushed_rules_come_back(tmp_path: Path) -> None:
    with (
        lan(tmp_path / "lan") as neighbour,
        started(tmp_path / "netns") as controller,
        closing(Changes()) as changes,
    ):
        web = Container(controller, tcp(80, 8080))
        before = run(None, "nft", "-s", "list", "ruleset")
        for damage in (
            "flush ruleset",
            "delete table ip pyd-pyd0",
            "flush chain ip pyd-pyd0 guard",
            "flush map ip pyd-pyd0 every_address",
            "add rule ip pyd-pyd0 into accept",
        ):
            run(None, "nft", *damage.split())
            while run(None, "nft", "-s", "list", "ruleset") != before:
                assert changes.wait()  # nobody but the engine's own notice repairs
        with listen(web.path, 80) as server:
            talks(neighbour, HOST, 8080, server)
        run(None, "nft", "flush", "ruleset")
        other = Container(controller, tcp(80, 8081))  # the next operation repairs as well
        web.release()
        with listen(other.path, 80) as server:
            talks(neighbour, HOST, 8081, server)
        other.release()


@isolated
def test_host_and_none(tmp_path: Path) -> None:
    with started(tmp_path / "netns") as controller:
        nothing = Container(controller, tcp(80, 8080), network="none")
        assert nothing.endpoint.address is None
        assert nothing.endpoint.ports == ()
        assert run(nothing.path, "ip", "-o", "link").count("\n") == 1
        with listen(nothing.path, 80) as server:
            talks(nothing.path, "127.0.0.1", 80, server)
        sandbox = controller.create_sandbox(host := ContainerId(new_id()), network="host")
        assert sandbox.path is None
        assert controller.connect(sandbox, network="host", name="h").ports == ()
        controller.release(host)
        nothing.release()
        assert list((tmp_path / "netns").iterdir()) == []


@isolated
def test_two_daemons_side_by_side(tmp_path: Path) -> None:
    with ExitStack() as stack:
        mine = stack.enter_context(started(tmp_path / "mine"))
        yours = assemble(netns_dir=tmp_path / "yours", bridge="other-br.0")
        stack.callback(yours.shutdown)
        yours.start({})
        one, two = Container(mine, tcp(80, 8080)), Container(yours, tcp(80, 8081))
        assert (one.ip, two.ip) == ("172.17.0.2", "172.18.0.2")
        with listen(one.path, 80) as server, listen(two.path, 80) as far:
            talks(None, "127.0.0.1", 8080, server)
            talks(None, "127.0.0.1", 8081, far)
            assert cut_off(two.path, one.ip, 80)
        again = assemble(netns_dir=tmp_path / "mine")
        stack.callback(again.shutdown)
        again.start({})  # removes what is mine, and nothing of yours
        with listen(two.path, 80) as far:
            talks(None, "127.0.0.1", 8081, far)
        two.release()


@isolated
def test_many_at_once(tmp_path: Path) -> None:
    with started(tmp_path / "netns") as controller:
        seen: list[str] = []
        failures: list[BaseException] = []

        def work() -> None:
            try:
                for _ in range(5):
                    container = Container(controller, tcp(80), tcp(81))
                    seen.append(container.ip)
                    seen.extend(str(port.host_port) for port in container.endpoint.ports)
                    kept.append(container)
            except (OSError, InternalError) as error:
                failures.append(error)

        kept: list[Container] = []
        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert len(seen) == len(set(seen)) == 90
        for container in kept:
            container.release()
        assert "elements" not in run(None, "nft", "list", "table", "ip", "pyd-pyd0")
