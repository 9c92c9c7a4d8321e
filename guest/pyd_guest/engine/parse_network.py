"""The network part of a create request: mode, ports, name servers, extra hosts.

Written into /etc/hosts and /etc/resolv.conf later, so no value may break a line (checklist D12).
"""

import re
from collections.abc import Mapping
from ipaddress import ip_address

from pyd_api.errors import InvalidRequestError, NotFoundError, UnsupportedError
from pyd_guest.engine import wire
from pyd_guest.engine.container_spec import NetworkSpec
from pyd_guest.engine.parse_process import strings, text
from pyd_guest.network.endpoint import PortRequest

_PLAIN_MODES = ("bridge", "none", "host")
_PORT_MAX = 65535
_MAC = re.compile(r"[0-9a-fA-F]{2}(?:[:-][0-9a-fA-F]{2}){5}")
_PROTOCOLS = ("tcp", "udp", "sctp")
_ENDPOINT_FIELDS = (
    "IPAMConfig",
    "Links",
    "Aliases",
    "DriverOpts",
    "GwPriority",
)


def parse(config: Mapping[str, object], host: Mapping[str, object]) -> NetworkSpec:
    """Check and return the network part."""
    mode = _mode(str(host["NetworkMode"]))
    if config.get("NetworkDisabled"):
        mode = "none"
    if host["Links"]:
        _refuse_links(mode)
    spec = NetworkSpec(
        mode=mode,
        ports=_ports(host["PortBindings"]),
        exposed=_exposed(config.get("ExposedPorts")),
        publish_all=bool(host["PublishAllPorts"]),
        mac_address=_mac(config.get("MacAddress")),
        dns=tuple(map(_nameserver, strings(host["Dns"]))),
        dns_options=tuple(_word(entry, "DNS option") for entry in strings(host["DnsOptions"])),
        dns_search=tuple(_word(entry, "DNS search domain") for entry in strings(host["DnsSearch"])),
        extra_hosts=tuple(map(_extra_host, strings(host["ExtraHosts"]))),
    )
    if spec.container is not None:
        _check_shared(spec)
    return spec


def check_hostname(config: Mapping[str, object], host: Mapping[str, object]) -> None:
    """Refuse a host name of the request where the container has none of its own."""
    if config["Hostname"]:
        if str(host["NetworkMode"]).startswith("container:"):
            raise InvalidRequestError("conflicting options: hostname and the network mode")
        if host["UTSMode"] == "host":
            raise InvalidRequestError("conflicting options: hostname and the UTS mode")


def warnings(host: Mapping[str, object]) -> list[str]:
    """Return dockerd's warnings about the network."""
    result = []
    if host["NetworkMode"] == "host" and host["PortBindings"]:
        result.append("Published ports are discarded when using host network mode")
    return result


def endpoint_mac(networking: object, mode: str) -> str:
    """Check NetworkingConfig and return the MAC address it gives, empty for none.

    It may name the chosen network, with no setting but that address.
    """
    if networking is None:
        return ""
    if not isinstance(networking, dict):
        raise InvalidRequestError(
            "invalid JSON: json: cannot unmarshal into Go struct field .NetworkingConfig"
            " of type network.NetworkingConfig"
        )
    endpoints = {key.lower(): value for key, value in networking.items()}.get("endpointsconfig")
    if endpoints is None:
        return ""
    if not isinstance(endpoints, dict):
        raise InvalidRequestError(
            "invalid JSON: json: cannot unmarshal into Go struct field"
            " .NetworkingConfig.EndpointsConfig of type map[string]*network.EndpointSettings"
        )
    mac = ""
    for key, settings in endpoints.items():
        name = wire.string(key, "")
        if name not in (mode, "default") and name not in _PLAIN_MODES:
            raise NotFoundError(f"network {name} not found")
        if name not in (mode, "default"):
            raise UnsupportedError(
                f"more than one network is not supported yet: EndpointsConfig {name!r}"
            )
        mac = _check_endpoint(name, settings if isinstance(settings, dict) else {})
    return mac


def choose_mac(config: dict[str, object], mode: str, of_endpoint: str) -> None:
    """Settle ``config``'s MacAddress; only the bridge has one, as with dockerd."""
    given = config.pop("MacAddress", "")
    if given and of_endpoint and given != of_endpoint:
        raise InvalidRequestError(
            "the container-wide MAC address must match the endpoint-specific MAC address for the"
            " main network, or be left empty"
        )
    if mode == "bridge" and (chosen := of_endpoint or given):
        config["MacAddress"] = chosen


def _check_endpoint(name: str, settings: Mapping[str, object]) -> str:
    given = {key.lower(): value for key, value in settings.items()}
    if given.get("aliases"):
        raise InvalidRequestError(
            f"invalid config for network {name}: invalid endpoint settings:\n"
            "network-scoped alias is supported only for containers in user defined networks"
        )
    ipam = given.get("ipamconfig")
    if isinstance(ipam, dict) and any(ipam.values()):
        raise InvalidRequestError(
            f"invalid config for network {name}: invalid endpoint settings:\n"
            "user specified IP address is supported on user defined networks only"
        )
    for field in _ENDPOINT_FIELDS:
        if given.get(field.lower()):
            raise UnsupportedError(f"EndpointsConfig.{name}.{field} is not supported yet")
    return wire.string(given.get("macaddress"), f".EndpointsConfig.{name}.MacAddress")


def _mode(mode: str) -> str:
    if mode in _PLAIN_MODES:
        return mode
    kind, colon, name = mode.partition(":")
    if kind == "container" and colon and not name:
        raise InvalidRequestError(
            "invalid network mode: invalid container format container:<name|id>"
        )
    return text(mode, "network mode")  # whether there is such a network is asked at the start


def _refuse_links(mode: str) -> None:
    for kind, words in (("host", "host type networking"), ("container", "container type network")):
        if mode.partition(":")[0] == kind:
            raise InvalidRequestError(
                f"conflicting options: {words} can't be used with links."
                " This would result in undefined behavior"
            )
    raise UnsupportedError("links are not supported yet: HostConfig.Links")


def _check_shared(spec: NetworkSpec) -> None:
    """Refuse what belongs to the container whose network is shared."""
    for given, words in (
        (spec.dns, "dns and the network mode"),
        (spec.extra_hosts, "custom host-to-IP mapping and the network mode"),
        (
            spec.ports or spec.publish_all,
            "port publishing and the container type network mode",
        ),
        (spec.exposed, "port exposing and the container type network mode"),
    ):
        if given:
            raise InvalidRequestError(f"conflicting options: {words}")


def _ports(bindings: object) -> tuple[PortRequest, ...]:
    requests = []
    for port, hosts in bindings.items() if isinstance(bindings, dict) else ():
        _check_port(port)
        for binding in hosts or ():
            host_port = str(binding["HostPort"])
            _check_host_port(host_port)
            requests.append(
                PortRequest.parse(port.lower(), host_ip=str(binding["HostIp"]), host_port=host_port)
            )
    return tuple(requests)


def _exposed(ports: object) -> tuple[str, ...]:
    """Return single ports in one spelling; a range stands for its members."""
    result = []
    for port in ports if isinstance(ports, dict) else ():
        numbers, _, protocol = port.partition("/")
        protocol = protocol.lower() or "tcp"
        first, _, last = numbers.partition("-")
        low, high = _port_number(first, port), _port_number(last or first, port)
        if protocol not in _PROTOCOLS or not 0 < low <= high:
            raise InvalidRequestError(f"invalid exposed port: {port[:100]!r}")
        result += [f"{number}/{protocol}" for number in range(low, high + 1)]
    return tuple(dict.fromkeys(result))


def _check_port(port: str) -> None:
    number, _, protocol = port.partition("/")
    if _port_number(number, number) == 0:
        raise InvalidRequestError(f'invalid port specification: "{port}"')
    if protocol.lower() not in ("", *_PROTOCOLS):
        raise InvalidRequestError(f"invalid proto: {protocol[:100]}")


def _check_host_port(text_: str) -> None:
    if not text_:
        return
    first, dash, last = text_.partition("-")
    low = _port_number(first, text_)
    if dash and _port_number(last, text_) < low:
        raise InvalidRequestError(f'invalid port specification: "{text_}"')


def _port_number(digits: str, shown: str) -> int:
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 5 or int(digits) > _PORT_MAX:
        raise InvalidRequestError(f'invalid port specification: "{shown[:100]}"')
    return int(digits)


def _mac(value: object) -> str | None:
    address = str(value or "")
    if address and not _MAC.fullmatch(address):
        raise InvalidRequestError(
            f"invalid config for network bridge: invalid MAC address {address[:100]}"
        )
    return address.replace("-", ":").lower() or None


def _nameserver(address: str) -> str:
    try:
        return str(ip_address(address))
    except ValueError as error:
        raise InvalidRequestError(
            f'bad nameserver address {address[:100]}: ParseAddr("{address[:100]}"):'
            " unable to parse IP"
        ) from error


def _word(value: str, what: str) -> str:
    if not value or any(character.isspace() or ord(character) < 0x20 for character in value):
        raise InvalidRequestError(f"invalid {what}: {value[:100]!r}")
    return value


def _extra_host(entry: str) -> tuple[str, str]:
    name, colon, address = entry.partition(":")
    if not colon or not name:
        raise InvalidRequestError(f'bad format for add-host: "{entry[:100]}"')
    if any(character.isspace() or ord(character) < 0x20 for character in name) or "#" in name:
        raise InvalidRequestError(f"bad format for add-host: {entry[:100]!r}")
    if address == "host-gateway":
        return name, address
    try:
        return name, str(ip_address(address))
    except ValueError as error:
        shown = address[:100].encode("unicode_escape").decode()
        raise InvalidRequestError(f'invalid IP address in add-host: "{shown}"') from error
