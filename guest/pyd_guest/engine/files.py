"""The three files that the engine writes for every container: hostname, hosts, resolv.conf.

They live in the container's kept directory and are bind-mounted over the image's. Formats:
hosts(5), resolv.conf(5). Values were checked when the container was made, so none holds a newline.
"""

from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from pyd_guest.engine.container_spec import ContainerSpec
from pyd_guest.network.endpoint import Endpoint

HOST_GATEWAY: Final = "host-gateway"
# Where systemd-resolved keeps the real servers while /etc/resolv.conf names its local stub.
_RESOLVED: Final = Path("/run/systemd/resolve/resolv.conf")
_FALLBACK: Final = ("8.8.8.8", "8.8.4.4")  # dockerd's, for hosts that name no reachable server
_LOCALHOST: Final = (
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::\tip6-localnet\n"
    "ff00::\tip6-mcastprefix\n"
    "ff02::1\tip6-allnodes\n"
    "ff02::2\tip6-allrouters\n"
)


def write(directory: Path, spec: ContainerSpec, endpoint: Endpoint | None) -> None:
    """Write all three; ``endpoint`` gives the container's own address, where it has one."""
    (directory / "hostname").write_text(f"{spec.hostname}\n", encoding="utf-8")
    (directory / "hosts").write_text(_hosts(spec, endpoint), encoding="utf-8")
    (directory / "resolv.conf").write_text(_resolv_conf(spec), encoding="utf-8")


def _hosts(spec: ContainerSpec, endpoint: Endpoint | None) -> str:
    if spec.network.mode == "host":
        lines = Path("/etc/hosts").read_text(encoding="utf-8", errors="replace").rstrip("\n") + "\n"
    else:
        lines = _LOCALHOST
    gateway = endpoint.gateway if endpoint else None
    for name, address in spec.network.extra_hosts:
        where = str(gateway) if address == HOST_GATEWAY and gateway else address
        lines += f"{where}\t{name}\n"
    if endpoint and endpoint.address:
        names = f"{spec.hostname}.{spec.domainname}" if spec.domainname else spec.hostname
        short, dot, _ = names.partition(".")
        if dot:
            names = f"{names} {short}"
        lines += f"{endpoint.address.ip}\t{names}\n"
    return lines


def _resolv_conf(spec: ContainerSpec) -> str:
    host = _host_resolv_conf(loopback_reachable=spec.network.mode == "host")
    asked = spec.network
    servers = asked.dns or _values(host, "nameserver") or _FALLBACK
    search = asked.dns_search or _words(host, "search")
    options = asked.dns_options or _words(host, "options")
    lines = [f"nameserver {server}" for server in servers]
    if search and tuple(search) != (".",):  # "." is how a user asks for none
        lines.append(f"search {' '.join(search)}")
    if options:
        lines.append(f"options {' '.join(options)}")
    return "\n".join(lines) + "\n"


def _host_resolv_conf(*, loopback_reachable: bool) -> list[list[str]]:
    """Return the host's lines as words, without servers that a sandbox could not reach."""
    lines = _read(Path("/etc/resolv.conf"))
    if loopback_reachable:
        return lines
    servers = [line for line in lines if line[0] == "nameserver" and len(line) > 1]
    if servers and all(_is_loopback(line[1]) for line in servers):
        lines = _read(_RESOLVED) or lines
    return [line for line in lines if line[0] != "nameserver" or not _is_loopback(line[-1])]


def _read(path: Path) -> list[list[str]]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    lines = (line.split() for line in text.splitlines())
    return [words for words in lines if words and not words[0].startswith(("#", ";"))]


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return True  # not an address: of no use to anybody


def _values(lines: Sequence[Sequence[str]], keyword: str) -> list[str]:
    return [line[1] for line in lines if line[0] == keyword and len(line) > 1]


def _words(lines: Sequence[Sequence[str]], keyword: str) -> list[str]:
    found = [line[1:] for line in lines if line[0] == keyword]
    return list(found[-1]) if found else []
