from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from pyd_api.ids import EndpointId, NetworkId
from pyd_guest.engine import files
from pyd_guest.engine.container_spec import ContainerSpec, NetworkSpec
from pyd_guest.network.endpoint import Endpoint

SPEC = ContainerSpec(image="box", argv=("true",), hostname="web")
ENDPOINT = Endpoint(
    EndpointId("e"),
    NetworkId("n"),
    "bridge",
    address=IPv4Interface("172.17.0.2/16"),
    gateway=IPv4Address("172.17.0.1"),
)


def test_hosts_names_the_container_and_the_gateway(tmp_path: Path) -> None:
    network = NetworkSpec(extra_hosts=(("db", "10.0.0.1"), ("host", "host-gateway")))
    spec = replace(SPEC, domainname="example.org", network=network)
    files.write(tmp_path, spec, ENDPOINT)
    lines = (tmp_path / "hosts").read_text().splitlines()
    assert lines[0] == "127.0.0.1\tlocalhost"
    assert lines[-3:] == [
        "10.0.0.1\tdb",
        "172.17.0.1\thost",
        "172.17.0.2\tweb.example.org web",
    ]
    assert (tmp_path / "hostname").read_text() == "web\n"


def test_name_servers_asked_for_are_the_only_ones(tmp_path: Path) -> None:
    network = NetworkSpec(dns=("9.9.9.9",), dns_search=(".",), dns_options=("ndots:1",))
    files.write(tmp_path, replace(SPEC, network=network), ENDPOINT)
    assert (tmp_path / "resolv.conf").read_text() == "nameserver 9.9.9.9\noptions ndots:1\n"


def test_no_container_is_told_of_a_server_on_the_hosts_loopback(tmp_path: Path) -> None:
    files.write(tmp_path, SPEC, ENDPOINT)
    servers = (tmp_path / "resolv.conf").read_text()
    assert "nameserver " in servers
    assert "nameserver 127." not in servers
