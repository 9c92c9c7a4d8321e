"""``--publish`` and ``--expose`` as port sets and bindings."""

from collections.abc import Sequence
from ipaddress import ip_address

from pyd_host.cli.errors import CommandError

_PROTOCOLS = frozenset({"tcp", "udp", "sctp"})
_PORT_MAX = 65535
_STATUS = 125

Bindings = dict[str, list[dict[str, str]]]


def parse_ports(
    published: Sequence[str], exposed: Sequence[str]
) -> tuple[dict[str, dict[str, str]], Bindings]:
    """Return the exposed ports and, for those that are published, where."""
    ports: dict[str, dict[str, str]] = {}
    bindings: Bindings = {}
    for word in published:
        for name, host_ip, host_port in _publish(_long_form(word)):
            ports[name] = {}
            bindings.setdefault(name, []).append({"HostIp": host_ip, "HostPort": host_port})
    for word in exposed:
        if ":" in word:
            raise CommandError(f"invalid port format for --expose: {word}", status=_STATUS)
        span, _, protocol = word.partition("/")
        try:
            first, last = _span(span)
        except ValueError as error:
            message = f"invalid range format for --expose: {word}, error: {error}"
            raise CommandError(message, status=_STATUS) from None
        for port in range(first, last + 1):
            ports.setdefault(f"{port}/{protocol or 'tcp'}", {})
    return ports, bindings


def _long_form(word: str) -> str:
    """Turn ``target=80,published=8080`` into the short form."""
    if "=" not in word:
        return word
    fields = {"protocol": "tcp", "published": "", "target": "", "mode": ""}
    for item in word.split(","):
        key, equals, value = item.strip().lower().partition("=")
        if not equals or key not in fields:
            raise CommandError(f"invalid field {item!r} in --publish {word}", status=_STATUS)
        fields[key] = value
    short = f"{fields['target']}/{fields['protocol']}"
    return f"{fields['published']}:{short}" if fields["published"] else short


def _publish(word: str) -> list[tuple[str, str, str]]:
    rest, _, protocol = word.partition("/")
    protocol = protocol.lower() or "tcp"
    host, _, container = rest.rpartition(":")
    host_ip, _, host_port = host.rpartition(":")
    if not container:
        raise _refuse(f"no port specified: {word}<empty>")
    if protocol not in _PROTOCOLS:
        raise _refuse(f"invalid proto: {protocol}")
    bare = host_ip.removeprefix("[").removesuffix("]")
    if bare:
        try:
            ip_address(bare)
        except ValueError:
            raise _refuse(f"invalid IP address: {host_ip}") from None
    try:
        first, last = _span(container)
    except ValueError:
        raise _refuse(f"invalid containerPort: {container}") from None
    try:
        start, stop = _span(host_port) if host_port else (0, 0)
    except ValueError:
        raise _refuse(f"invalid hostPort: {host_port}") from None
    if host_port and last - first != stop - start and first != last:
        raise _refuse(
            f"invalid ranges specified for container and host Ports: {container} and {host_port}"
        )
    if not host_port:
        return [(f"{port}/{protocol}", bare, "") for port in range(first, last + 1)]
    if first == last and start != stop:  # one port, published at a free one of the range
        return [(f"{first}/{protocol}", bare, f"{start}-{stop}")]
    return [
        (f"{first + step}/{protocol}", bare, str(start + step)) for step in range(last - first + 1)
    ]


def _span(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    start = _port(first)
    stop = _port(last) if dash else start
    if stop < start:
        raise ValueError(f"invalid range specified for port: {text}")
    return start, stop


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    if int(text) > _PORT_MAX:
        raise ValueError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return int(text)


def _refuse(message: str) -> CommandError:
    return CommandError(message, status=_STATUS)
