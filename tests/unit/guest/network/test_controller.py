"""The Controller over a kernel in memory: order, undo at every step, restart."""

import logging
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from pyd_api.errors import (
    ConflictError,
    InternalError,
    InvalidRequestError,
    NotFoundError,
    UnsupportedError,
)
from pyd_api.ids import ContainerId, new_id
from pyd_guest.linux.conntrack import Flow
from pyd_guest.network.assemble import assemble
from pyd_guest.network.endpoint import Endpoint, PortRequest
from support.fake_network import FakeKernel, failing, steps_of

PORTS = [
    PortRequest.parse("80/tcp", host_port="8080"),
    PortRequest.parse("53/udp"),
    PortRequest.parse("81/tcp", host_ip="127.0.0.1", host_port="8080-8090"),
]


@pytest.fixture
def kernel() -> FakeKernel:
    return FakeKernel()


def test_connect_and_release_leave_nothing(kernel: FakeKernel, tmp_path: Path) -> None:
    controller = kernel.controller(tmp_path / "netns")
    controller.start({})
    before = kernel.inventory()
    sandbox = controller.create_sandbox(owner := ContainerId(new_id()))
    endpoint = controller.connect(sandbox, network="bridge", name="web", ports=PORTS)
    assert str(endpoint.address) == "172.17.0.2/16"
    assert str(endpoint.gateway) == "172.17.0.1"
    assert [(p.host_port, p.protocol) for p in endpoint.ports] == [
        (8080, "tcp"), (32768, "udp"), (8081, "tcp"),
    ]  # fmt: skip
    assert len(kernel.bound) == 3
    assert kernel.open_namespaces == 0
    assert kernel.inventory() != before
    controller.release(owner)
    kernel.end_namespaces()
    assert kernel.inventory() == before
    controller.release(owner)
    assert kernel.inventory() == before


def test_connect_undoes_every_step(kernel: FakeKernel, tmp_path: Path) -> None:
    controller = kernel.controller(tmp_path / "netns")
    controller.start({})

    def connect() -> Endpoint:
        return controller.connect(sandbox, network="bridge", name="web", ports=PORTS)

    sandbox = controller.create_sandbox(ContainerId(new_id()))
    steps = steps_of(kernel.trap, connect)
    assert steps == ["bind", "bind", "bind", "add_veth", "set_address", "nft", "flows"]
    controller.release(sandbox.container_id)
    kernel.end_namespaces()
    for number, step in enumerate(steps, 1):
        before = kernel.inventory()
        sandbox = controller.create_sandbox(ContainerId(new_id()))
        with failing(kernel.trap, number):
            # Refused elements are made good by making the table anew; old flows are let be.
            if step in ("nft", "flows"):
                connect()
                kernel.end_namespaces()
            else:
                with pytest.raises(InternalError) as refusal:
                    connect()
                on_endpoint = step == "bind"
                assert ("on endpoint web (" in refusal.value.message) is on_endpoint
                assert ("create endpoint web on " in refusal.value.message) is not on_endpoint
        controller.release(sandbox.container_id)
        assert kernel.inventory() == before


def test_rules_that_cannot_be_set_undo_the_endpoint(
    kernel: FakeKernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller = kernel.controller(tmp_path / "netns")
    controller.start({})
    sandbox = controller.create_sandbox(ContainerId(new_id()))
    controller.connect(sandbox, network="none", name="x")  # closes the fresh sandbox
    before = kernel.inventory()
    monkeypatch.setattr(kernel.trap, "step", lambda name: _refuse(name))
    with pytest.raises(InternalError, match="failed to create endpoint web"):
        controller.connect(sandbox, network="bridge", name="web", ports=PORTS)
    monkeypatch.undo()
    assert kernel.inventory() == before
    endpoint = controller.connect(sandbox, network="bridge", name="web", ports=PORTS)
    assert str(endpoint.address) == "172.17.0.2/16"


def _refuse(name: str) -> None:
    if name == "nft":
        raise OSError(12, "Cannot allocate memory", name)


def test_sandbox_that_cannot_be_made(kernel: FakeKernel, tmp_path: Path) -> None:
    controller = kernel.controller(tmp_path / "netns")
    controller.start({})
    before = kernel.inventory()
    for number in (1, 2):
        with failing(kernel.trap, number), pytest.raises(InternalError, match="network namespace"):
            controller.create_sandbox(ContainerId(new_id()))
        assert kernel.inventory() == before
    sandbox = controller.create_sandbox(ContainerId(new_id()))
    with pytest.raises(ConflictError):
        controller.create_sandbox(sandbox.container_id)
    assert kernel.open_namespaces == 1


def test_prefetched_namespace_serves_the_next_sandbox(kernel: FakeKernel, tmp_path: Path) -> None:
    controller = kernel.controller(tmp_path / "netns")
    controller.start({})
    assert steps_of(kernel.trap, controller.prefetch) == ["make"]
    assert steps_of(kernel.trap, controller.prefetch) == []

    def create() -> None:
        controller.create_sandbox(ContainerId(new_id()))

    assert steps_of(kernel.trap, create) == ["keep"]
    assert steps_of(kernel.trap, create) == ["make", "keep"]
    with failing(kernel.trap, 1), pytest.raises(OSError, match="Input/output"):
        controller.prefetch()
    controller.prefetch()
    assert kernel.open_namespaces == 3
    controller.shutdown()
    assert kernel.open_namespaces == 0


def test_start_undoes_every_step(kernel: FakeKernel, tmp_path: Path) -> None:
    steps = steps_of(kernel.trap, lambda: kernel.controller(tmp_path / "netns").start({}))
    assert steps == ["add_bridge", "add_address", "nft", *["sysctl"] * 4, "set_up"]
    for number in range(1, len(steps) + 1):
        fresh = FakeKernel()
        with failing(fresh.trap, number), pytest.raises(OSError, match="Input/output"):
            fresh.controller(tmp_path / "netns").start({})
        assert fresh.links == {}
        assert fresh.ips == {}


def test_restart_takes_what_is_in_use(kernel: FakeKernel, tmp_path: Path) -> None:
    controller = kernel.controller(tmp_path / "netns")
    controller.start({})
    ids = [ContainerId(new_id()) for _ in range(3)]
    endpoints = [
        controller.connect(controller.create_sandbox(i), network="bridge", name="c", ports=[p])
        for i, p in zip(ids, PORTS, strict=True)
    ]
    controller.shutdown()
    assert kernel.bound == set()
    live = {ids[1]: Endpoint.from_json(endpoints[1].to_json())}
    controller = kernel.controller(tmp_path / "netns")
    controller.start(live)
    assert kernel.namespaces == {tmp_path / "netns" / ids[1]}
    assert len([name for name in kernel.links if name.startswith("vpyd")]) == 1
    assert kernel.bound == {(PORTS[1].host_ip, 32768, "udp")}
    (rules,) = kernel.tables.values()
    assert rules == {"static", "every_address { udp . 32768 : 172.17.0.3 . 53 }"}
    addresses = [
        str(
            controller.connect(
                controller.create_sandbox(ContainerId(new_id())), network="bridge", name="n"
            ).address
        )
        for _ in range(2)
    ]
    assert addresses == ["172.17.0.2/16", "172.17.0.4/16"]


def test_restart_says_what_it_cannot_have(
    kernel: FakeKernel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    controller = kernel.controller(tmp_path / "netns", bip="10.1.0.1/24")
    controller.start({})
    sandbox = controller.create_sandbox(owner := ContainerId(new_id()))
    endpoint = controller.connect(sandbox, network="bridge", name="c", ports=PORTS[:1])
    controller.shutdown()
    kernel.foreign_ports = True
    controller = kernel.controller(tmp_path / "netns", bip="10.2.0.1/24")
    with caplog.at_level(logging.WARNING):
        controller.start({owner: endpoint})
    assert "address 10.1.0.2 is not in 10.2.0.0/24" in caplog.text
    assert "port 0.0.0.0:8080/tcp" in caplog.text
    assert [str(a) for a in kernel.ips["pyd0"]] == ["10.2.0.1/24"]
    controller.release(owner)


def test_address_waits_for_the_namespace(kernel: FakeKernel, tmp_path: Path) -> None:
    controller = kernel.controller(tmp_path / "netns")
    controller.start({})

    def connect() -> tuple[ContainerId, str]:
        sandbox = controller.create_sandbox(owner := ContainerId(new_id()))
        return owner, str(controller.connect(sandbox, network="bridge", name="c").address)

    first, address = connect()
    controller.release(first)
    assert (address, connect()[1]) == ("172.17.0.2/16", "172.17.0.3/16")
    kernel.end_namespaces()
    assert connect()[1] == "172.17.0.2/16"


def test_udp_flows_that_met_other_rules_are_forgotten(kernel: FakeKernel, tmp_path: Path) -> None:
    controller = kernel.controller(tmp_path / "netns")
    controller.start({})
    host, web, far = (IPv4Address(ip) for ip in ("172.17.0.1", "172.17.0.2", "192.0.2.9"))
    before, other, outward = (
        Flow(host, 53, host, b"to the host itself"),
        Flow(host, 54, host, b"another port"),
        Flow(far, 53, far, b"a question of the host's own"),
    )
    kernel.flows = [before, other, outward]
    sandbox = controller.create_sandbox(owner := ContainerId(new_id()))
    dns = PortRequest.parse("53/udp", host_port="53")
    controller.connect(sandbox, network="bridge", name="dns", ports=[dns])
    assert kernel.flows == [other, outward]
    kernel.flows.append(Flow(host, 53, web, b"to the container"))
    controller.release(owner)
    assert kernel.flows == [other, outward]


def test_existing_bridge_is_adopted(kernel: FakeKernel, tmp_path: Path) -> None:
    link = kernel.add("pyd0", "bridge")
    foreign = kernel.add("vnet0", "tun", master=link.index)
    kernel.controller(tmp_path / "a", bip="10.5.0.1/24").start({})
    controller = kernel.controller(tmp_path / "b")
    controller.start({})
    sandbox = controller.create_sandbox(ContainerId(new_id()))
    endpoint = controller.connect(sandbox, network="bridge", name="c")
    assert str(endpoint.address) == "10.5.0.2/24"
    assert foreign.name in kernel.links


def test_link_of_another_kind_is_refused(kernel: FakeKernel, tmp_path: Path) -> None:
    kernel.add("pyd0", "dummy")
    with pytest.raises(InvalidRequestError, match="not a bridge"):
        kernel.controller(tmp_path / "netns").start({})


def test_default_network_avoids_the_hosts_routes(kernel: FakeKernel, tmp_path: Path) -> None:
    kernel.host_routes = {IPv4Network("172.17.3.0/24"): {7}, IPv4Network("172.18.0.0/15"): {7}}
    kernel.controller(tmp_path / "netns").start({})
    assert [str(a) for a in kernel.ips["pyd0"]] == ["172.20.0.1/16"]


def test_forwarding_is_said_and_closed(
    kernel: FakeKernel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    controller = kernel.controller(tmp_path / "netns")
    with caplog.at_level(logging.WARNING):
        controller.start({})
        assert "forwarding is on now" in caplog.text
        caplog.clear()
        kernel.controller(tmp_path / "netns").start({})
        assert "forwarding" not in caplog.text
    assert kernel.settings["net/ipv4/ip_forward"] == "1"


def test_kernel_without_ipv6(kernel: FakeKernel, tmp_path: Path) -> None:
    del kernel.settings["net/ipv6/conf/pyd0/disable_ipv6"]
    kernel.controller(tmp_path / "netns").start({})
    del kernel.settings["net/ipv4/conf/pyd0/route_localnet"]
    with pytest.raises(FileNotFoundError):
        kernel.controller(tmp_path / "netns").start({})


def test_host_and_none(kernel: FakeKernel, tmp_path: Path) -> None:
    controller = kernel.controller(tmp_path / "netns")
    controller.start({})
    before = kernel.inventory()
    host = controller.create_sandbox(ContainerId(new_id()), network="host")
    endpoint = controller.connect(host, network="host", name="c", ports=PORTS)
    assert (endpoint.address, endpoint.ports, host.path) == (None, (), None)
    none = controller.create_sandbox(ContainerId(new_id()), network="none")
    endpoint = controller.connect(none, network="none", name="c", ports=PORTS)
    assert (endpoint.address, endpoint.ports) == (None, ())
    assert Endpoint.from_json(endpoint.to_json()) == endpoint
    for network, sandbox in (("host", host), ("none", none)):
        with pytest.raises(InvalidRequestError, match="conflicting options"):
            controller.connect(sandbox, network=network, name="c", mac="02:00:00:00:00:01")
    with pytest.raises(ConflictError):
        controller.connect(host, network="bridge", name="c")
    controller.release(host.container_id)
    controller.release(none.container_id)
    assert kernel.inventory() == before


def test_unknown_network_is_named(kernel: FakeKernel, tmp_path: Path) -> None:
    controller = kernel.controller(tmp_path / "netns")
    controller.start({})
    with pytest.raises(NotFoundError, match="network nosuch not found"):
        controller.create_sandbox(ContainerId(new_id()), network="nosuch")
    assert [network.name for network in controller.networks] == ["bridge", "host", "none"]


@pytest.mark.parametrize(
    "mac", ["", "zz", "02:00:00:00:00", "02:00:00:00:00:01:02", "02.00.00.00.00.01"]
)
def test_bad_mac_is_named(kernel: FakeKernel, tmp_path: Path, mac: str) -> None:
    controller = kernel.controller(tmp_path / "netns")
    controller.start({})
    sandbox = controller.create_sandbox(ContainerId(new_id()))
    with pytest.raises(InvalidRequestError, match="invalid MAC address"):
        controller.connect(sandbox, network="bridge", name="c", mac=mac)


def test_mac_is_kept_in_one_form(kernel: FakeKernel, tmp_path: Path) -> None:
    controller = kernel.controller(tmp_path / "netns")
    controller.start({})
    sandbox = controller.create_sandbox(ContainerId(new_id()))
    endpoint = controller.connect(sandbox, network="bridge", name="c", mac="02-AB-00-00-00-01")
    assert endpoint.mac == "02:ab:00:00:00:01"


def test_bridge_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="--bridge none"):
        assemble(netns_dir=tmp_path, bridge="none")
