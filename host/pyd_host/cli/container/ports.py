"""Ports in Docker's short notation: ``0.0.0.0:8080->80/tcp, 7000-7002/udp``."""

from collections.abc import Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyd_host.client.wire import Port


def join_host_port(host: str, port: str) -> str:
    """Return ``host:port`` with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def display_ports(ports: Sequence["Port"]) -> str:
    """Return all ports in one line; neighbours that map to themselves are joined to ranges."""
    ranges: dict[str, tuple[int, int]] = {}
    done: list[str] = []
    mapped: list[str] = []
    for port in sorted(ports, key=_order):
        private, protocol, ip = port["PrivatePort"], port["Type"], port.get("IP", "")
        public = port.get("PublicPort", 0)
        if ip and public != private:
            mapped.append(f"{join_host_port(ip, str(public))}->{private}/{protocol}")
            continue
        key = f"{ip}/{protocol}"
        first, last = ranges.get(key, (private, private - 1))
        if private != last + 1:
            done.append(_range(key, first, last))
            first = private
        ranges[key] = (first, private)
    done.extend(_range(key, first, last) for key, (first, last) in ranges.items())
    return ", ".join(done + mapped)


def _order(port: "Port") -> tuple[int, str, int, str]:
    return port["PrivatePort"], port.get("IP", ""), port.get("PublicPort", 0), port["Type"]


def _range(key: str, first: int, last: int) -> str:
    ip, _, protocol = key.rpartition("/")
    span = str(first) if first == last else f"{first}-{last}"
    return f"{join_host_port(ip, span)}->{span}/{protocol}" if ip else f"{span}/{protocol}"
