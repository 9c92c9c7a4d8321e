"""Published ports and the default network, seen from "the host": the engine's own namespace."""

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from support.engine import Engine

pytestmark = pytest.mark.needs("root", "docker", "conmon", "curl")


def _get(engine: Engine, url: str) -> str:
    fetch = ["curl", "-sS", "--noproxy", "*", "--max-time", "10", "--retry", "20"]
    done = engine.nsenter(*fetch, "--retry-connrefused", "--retry-delay", "1", url)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _refused(engine: Engine, url: str) -> bool:
    fetch = ["curl", "-sS", "--noproxy", "*", "--max-time", "3", url]
    return engine.nsenter(*fetch).returncode in (7, 28)


@pytest.fixture
def web(engine: Engine) -> Iterator[str]:
    serve = ["httpd", "-f", "-p", "80", "-h", "/etc"]
    engine.out("run", "-d", "--name", "web", "-h", "webbox", "-p", "28080:80", engine.image, *serve)
    yield "web"
    engine.docker("rm", "-f", "web", check=False)


def test_from_loopback(engine: Engine, web: str) -> None:
    assert _get(engine, "http://127.0.0.1:28080/hostname") == "webbox"


def test_from_the_hosts_own_address(engine: Engine, web: str) -> None:
    if engine.foreign:
        pytest.skip("only a sandbox has that address")
    assert _get(engine, "http://192.0.2.1:28080/hostname") == "webbox"


def test_from_another_container(engine: Engine, web: str) -> None:
    address = engine.out("inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", web)
    fetch = ["wget", "-q", "-O", "-"]  # busybox 1.35 crashes with -T
    direct = engine.out("run", "--rm", engine.image, *fetch, f"http://{address}/hostname")
    assert direct == "webbox"
    gateway = engine.out("inspect", "-f", "{{.NetworkSettings.Networks.bridge.Gateway}}", web)
    through = engine.out("run", "--rm", engine.image, *fetch, f"http://{gateway}:28080/hostname")
    assert through == "webbox"


def test_port_says_it(engine: Engine, web: str) -> None:
    assert "0.0.0.0:28080" in engine.out("port", web, "80")
    assert "80/tcp -> 0.0.0.0:28080" in engine.out("port", web)


def test_the_port_is_free_again_afterwards(engine: Engine, web: str) -> None:
    _get(engine, "http://127.0.0.1:28080/hostname")
    engine.out("rm", "-f", web)
    assert _refused(engine, "http://127.0.0.1:28080/hostname")
    serve = ["httpd", "-f", "-p", "80", "-h", "/etc"]
    flags = ["--name", "web", "-h", "second", "-p", "28080:80"]
    engine.out("run", "-d", *flags, engine.image, *serve)
    assert _get(engine, "http://127.0.0.1:28080/hostname") == "second"


def test_a_taken_port_fails_the_start_only(engine: Engine, web: str) -> None:
    flags = ["--name", "late", "-p", "28080:80"]
    done = engine.docker("run", "-d", *flags, engine.image, "sleep", "9", check=False)
    assert done.returncode == 125
    assert "port is already allocated" in done.stderr
    assert engine.out("inspect", "-f", "{{.State.Status}}", "late") == "created"
    engine.out("rm", "-f", web)
    engine.out("start", "late")


def test_loopback_only(engine: Engine) -> None:
    serve = ["httpd", "-f", "-p", "80", "-h", "/etc"]
    flags = ["-h", "private", "-p", "127.0.0.1:28085:80"]
    engine.out("run", "-d", *flags, engine.image, *serve)
    assert _get(engine, "http://127.0.0.1:28085/hostname") == "private"
    if not engine.foreign:
        assert _refused(engine, "http://192.0.2.1:28085/hostname")


def test_a_port_of_the_engines_choice(engine: Engine) -> None:
    serve = ["httpd", "-f", "-p", "80", "-h", "/etc"]
    engine.out("run", "-d", "--name", "any", "-h", "anybox", "-p", "80", engine.image, *serve)
    found = re.search(r"0\.0\.0\.0:(\d+)", engine.out("port", "any", "80"))
    assert found
    assert _get(engine, f"http://127.0.0.1:{found.group(1)}/hostname") == "anybox"


def test_udp(engine: Engine) -> None:
    flags = ["--name", "udp", "-p", "15353:5353/udp"]
    engine.out("run", "-d", *flags, engine.image, "sleep", "600")
    pid = engine.out("inspect", "-f", "{{.State.Pid}}", "udp")
    # Busybox has no server for UDP: a program of ours answers inside the container's network.
    serve = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "s.bind(('', 5353)); print('ready', flush=True)\n"
        "data, peer = s.recvfrom(100); s.sendto(b'got ' + data, peer)\n"
    )
    ask = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10)\n"
        "s.connect(('127.0.0.1', 15353)); s.send(b'datagram'); print(s.recv(100).decode())\n"
    )
    inside = ["nsenter", "-t", pid, "-n", sys.executable, "-c", serve]
    with subprocess.Popen(inside, stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n"
            asked = engine.nsenter(sys.executable, "-c", ask)
            assert asked.stdout == "got datagram\n", asked.stderr
        finally:
            server.kill()


def test_address_route_names(engine: Engine) -> None:
    script = "ip -4 addr show eth0; ip route; cat /etc/hosts /etc/resolv.conf; hostname -i"
    said = engine.out("run", "--rm", "-h", "me", engine.image, "sh", "-c", script)
    address = re.search(r"inet (\S+)/\d+ ", said)
    assert address
    assert re.search(r"default via \S+ dev eth0", said)
    assert re.search(rf"^{re.escape(address.group(1))}\s+me$", said, re.MULTILINE)
    assert "127.0.0.1\tlocalhost" in said
    assert "nameserver" in said
    assert said.splitlines()[-1] == address.group(1)


def test_dns_and_hosts_flags(engine: Engine) -> None:
    flags = ["--dns", "192.0.2.53", "--dns-search", "example.test", "--add-host", "db:192.0.2.7"]
    said = engine.out("run", "--rm", *flags, engine.image, "cat", "/etc/resolv.conf", "/etc/hosts")
    assert "nameserver 192.0.2.53" in said
    assert "search example.test" in said
    assert re.search(r"192\.0\.2\.7\s+db", said)


def test_addresses_differ(engine: Engine) -> None:
    form = "{{.NetworkSettings.Networks.bridge.IPAddress}}"
    boxes = [engine.out("run", "-d", engine.image, "sleep", "600") for _ in range(4)]
    addresses = {engine.out("inspect", "-f", form, box) for box in boxes}
    assert len(addresses) == 4
