"""Endpoints and port requests as they come from the wire and from a row."""

import json
from ipaddress import IPv4Address, IPv4Interface

import pytest

from pyd_api.errors import InternalError, InvalidRequestError, UnsupportedError
from pyd_api.ids import EndpointId, NetworkId, new_id
from pyd_guest.network.endpoint import Endpoint, PortRequest, PublishedPort

ENDPOINT = Endpoint(
    EndpointId(new_id()),
    NetworkId(new_id()),
    "bridge",
    "eth0",
    IPv4Interface("172.17.0.2/16"),
    IPv4Address("172.17.0.1"),
    "02:42:ac:11:00:02",
    (
        PublishedPort(IPv4Address("0.0.0.0"), 8080, 80, "tcp"),
        PublishedPort(IPv4Address("127.0.0.1"), 32768, 80, "tcp"),
        PublishedPort(IPv4Address("0.0.0.0"), 53, 53, "udp"),
    ),
)


def test_round_trip_through_json() -> None:
    assert Endpoint.from_json(json.loads(json.dumps(ENDPOINT.to_json()))) == ENDPOINT


@pytest.mark.parametrize("key", list(ENDPOINT.to_json()))
def test_damaged_row_is_said(key: str) -> None:
    data: dict[str, object] = {**ENDPOINT.to_json()}
    del data[key]
    with pytest.raises(InternalError, match=key):
        Endpoint.from_json(data)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("port", "host_ip", "host_port", "expected"),
    [
        ("80/tcp", "", "", (80, "tcp", "0.0.0.0", 0, 0)),
        ("80/tcp", "", "0", (80, "tcp", "0.0.0.0", 0, 0)),
        ("80", "0.0.0.0", "8080", (80, "tcp", "0.0.0.0", 8080, 8080)),
        ("53/udp", "127.0.0.1", "53-60", (53, "udp", "127.0.0.1", 53, 60)),
        ("65535/sctp", "", "65535", (65535, "sctp", "0.0.0.0", 65535, 65535)),
    ],
)
def test_port_request(
    port: str, host_ip: str, host_port: str, expected: tuple[int, str, str, int, int]
) -> None:
    request = PortRequest.parse(port, host_ip=host_ip, host_port=host_port)
    assert (
        request.container_port,
        request.protocol,
        str(request.host_ip),
        request.first,
        request.last,
    ) == expected


@pytest.mark.parametrize(
    ("port", "host_ip", "host_port"),
    [
        ("0/tcp", "", ""),
        ("70000/tcp", "", ""),
        ("x/tcp", "", ""),
        ("/tcp", "", ""),
        ("80/icmp", "", ""),
        ("80/tcp", "300.1.1.1", ""),
        ("80/tcp", "localhost", ""),
        ("80/tcp", "", "70000"),
        ("80/tcp", "", "0-5"),
        ("80/tcp", "", "10-9"),
        ("80/tcp", "", "10-"),
        ("80/tcp", "", "-10"),
        ("80/tcp", "", "٨٠"),
        ("80/tcp", "", "8080; flush ruleset"),
        ("80/tcp", "", "9" * 10000),
    ],
)
def test_bad_port_request(port: str, host_ip: str, host_port: str) -> None:
    with pytest.raises(InvalidRequestError, match="invalid"):
        PortRequest.parse(port, host_ip=host_ip, host_port=host_port)


def test_ipv6_host_address_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="IPv6"):
        PortRequest.parse("80/tcp", host_ip="::1")
