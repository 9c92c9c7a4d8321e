"""``--network`` and the flags that go with it, as endpoints."""

import re

from pyd_host.cli.container.option_errors import bad_argument
from pyd_host.cli.errors import CommandError
from pyd_host.cli.flags import Values

_STATUS = 125
_MAC = re.compile(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}|([0-9a-fA-F]{4}\.){2}[0-9a-fA-F]{4}")
_PREDEFINED = ("default", "bridge", "host", "none", "nat")


class NetworkOptions:
    """The mode of the container, and how it joins each network."""

    __slots__ = ("endpoints", "mode")

    def __init__(self, values: Values) -> None:
        words = values.texts("network") + values.texts("net")
        requests = [_parse(word) for word in words] or [_Request("default")]
        mac = values.text("mac-address")
        if mac and not _MAC.fullmatch(mac):
            raise CommandError(f"{mac} is not a valid mac address", status=_STATUS)
        first = requests[0]
        first.aliases += values.texts("network-alias") + values.texts("net-alias")
        first.links_local += values.texts("link-local-ip")
        first.ip = values.text("ip") or first.ip
        first.ip6 = values.text("ip6") or first.ip6
        first.mac = mac or first.mac
        if _user_defined(first.name):
            first.links = values.texts("link")
        elif first.aliases:
            raise CommandError(
                "network-scoped aliases are only supported for user-defined networks",
                status=_STATUS,
            )
        self.mode = first.name
        if len({_user_defined(request.name) for request in requests}) > 1:
            raise CommandError(
                "conflicting options: cannot attach both user-defined and non-user-defined "
                "network-modes",
                status=_STATUS,
            )
        plain = len(requests) == 1 and not first.special()
        self.endpoints: dict[str, object] = {}
        for request in requests:
            if request.name in self.endpoints:
                message = f'network "{request.name}" is specified multiple times'
                raise CommandError(message, status=_STATUS)
            self.endpoints[request.name] = request.wire()
        if plain and self.mode != "default":
            self.endpoints = {}


def _user_defined(name: str) -> bool:
    return name not in _PREDEFINED and not name.startswith("container:")


class _Request:
    """One ``--network``."""

    __slots__ = (
        "aliases",
        "ip",
        "ip6",
        "links",
        "links_local",
        "mac",
        "name",
        "options",
        "priority",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.aliases: list[str] = []
        self.links: list[str] = []
        self.links_local: list[str] = []
        self.ip = self.ip6 = self.mac = ""
        self.options: dict[str, str] = {}
        self.priority = 0

    def special(self) -> bool:
        """Tell whether anything but the name was asked for."""
        parts = (self.aliases, self.links, self.links_local, self.ip, self.ip6, self.mac)
        return any(parts) or bool(self.options) or self.priority != 0

    def wire(self) -> dict[str, object]:
        """Return the endpoint as the request has it."""
        ipam: dict[str, object] = {}
        if self.ip:
            ipam["IPv4Address"] = self.ip
        if self.ip6:
            ipam["IPv6Address"] = self.ip6
        if self.links_local:
            ipam["LinkLocalIPs"] = self.links_local
        return {
            "IPAMConfig": ipam or None,
            "Links": self.links or None,
            "Aliases": self.aliases or None,
            "MacAddress": self.mac,
            "DriverOpts": self.options or None,
            "GwPriority": self.priority,
            "NetworkID": "",
            "EndpointID": "",
            "Gateway": "",
            "IPAddress": "",
            "IPPrefixLen": 0,
            "IPv6Gateway": "",
            "GlobalIPv6Address": "",
            "GlobalIPv6PrefixLen": 0,
            "DNSNames": None,
        }


def _parse(word: str) -> _Request:
    if "=" not in word:
        return _Request(word)
    request = _Request("")
    for item in word.split(","):
        key, equals, value = item.strip().partition("=")
        if not equals:
            raise bad_argument("--network", word, f"invalid field {item}")
        _field(request, word, key.lower(), value)
    if not request.name:
        raise bad_argument("--network", word, "network name/id is not specified")
    return request


def _field(request: _Request, word: str, key: str, value: str) -> None:
    if key == "name":
        request.name = value
    elif key == "alias":
        request.aliases.append(value)
    elif key == "ip":
        request.ip = value
    elif key == "ip6":
        request.ip6 = value
    elif key == "mac-address":
        request.mac = value
    elif key == "link-local-ip":
        request.links_local.append(value)
    elif key == "driver-opt":
        name, _, text = value.partition("=")
        request.options[name] = text
    elif key == "gw-priority" and value.removeprefix("-").isdigit():
        request.priority = int(value)
    else:
        raise bad_argument("--network", word, f"invalid field key {key}")
