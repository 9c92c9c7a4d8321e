"""What the registry client decides without a connection."""

import base64
import ipaddress
import json

import pytest

from pyd_api.errors import InvalidRequestError, UnsupportedError
from pyd_api.reference import Reference
from pyd_guest.registry.client import Repository, _is_loopback_name
from pyd_guest.registry.credentials import Credentials
from pyd_guest.registry.transport import ConnectionFailedError, Origin


def header(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "!!!",
        "x",
        header([]),
        header({}),
        header({"username": ""}),
        "A" * 100_000,
        header({"username": 5}),
        header({"username": "a\r\nX: y", "password": "p"}),
        base64.urlsafe_b64encode(b"[" * 50_000).decode()[:60_000],
    ],
)
def test_e5_unreadable_credentials_are_anonymous(value: str | None) -> None:
    assert Credentials.parse(value) is None


def test_i1_credentials_are_never_shown() -> None:
    found = Credentials.parse(
        header({"username": "me", "password": "secret", "registrytoken": "t"})
    )
    assert found is not None
    assert found.basic() == "Basic " + base64.b64encode(b"me:secret").decode()
    assert "secret" not in repr(found)
    assert "me" not in repr(found).replace("username", "")
    with pytest.raises(UnsupportedError, match="identity tokens"):
        Credentials.parse(header({"identitytoken": "x"}))


@pytest.mark.parametrize(
    ("server", "domain", "wanted"),
    [
        ("", "r.example", True),
        ("https://index.docker.io/v1/", "docker.io", True),
        ("r.example", "r.example", True),
        ("https://R.example/v2/", "r.example", True),
        ("r.example:5000", "r.example", False),
        ("https://index.docker.io/v1/", "r.example", False),
        ("evil.example/r.example", "r.example", False),
    ],
)
def test_credentials_belong_to_one_registry(server: str, domain: str, wanted: object) -> None:
    assert Credentials("a", "b", "", server).belong_to(domain) is wanted


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ("localhost", True),
        ("localhost:5000", True),
        ("127.0.0.1:5000", True),
        ("127.9.9.9", True),
        ("[::1]:5000", True),
        ("127.0.0.1.example:5000", False),
        ("localhost.example", False),
        ("10.0.0.1:5000", False),
        ("[fe80::1]", False),
        ("registry-1.docker.io", False),
    ],
)
def test_b9_insecure_is_decided_by_the_name(host: str, wanted: object) -> None:
    assert _is_loopback_name(host) is wanted


def test_b9_and_by_the_address_that_was_dialled() -> None:
    local = Repository(Reference.parse("localhost:5000/x"), None)
    local._allow_registry(ipaddress.ip_address("127.0.0.1"))
    with pytest.raises(ConnectionFailedError, match="not on loopback"):
        local._allow_registry(ipaddress.ip_address("192.0.2.1"))
    public = Repository(Reference.parse("r.example/x"), None)
    public._public = True
    public._allow_other(ipaddress.ip_address("1.1.1.1"))
    for address in ("169.254.169.254", "10.0.0.1", "127.0.0.1", "::1", "fe80::1", "fd00::1"):
        with pytest.raises(ConnectionFailedError, match="private address"):
            public._allow_other(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/x",
        "ftp://h/",
        "http://",
        "http://u:p@h/",
        "http://h:x/",
        "http://h/ x",
        "http://h/\n",
        "http://[::1",
        "file:///etc/passwd",
        "http://h/" + "x" * 9000,
    ],
)
def test_urls_from_registries(url: str) -> None:
    with pytest.raises(InvalidRequestError, match="bad URL"):
        Origin.of(url)


def test_origins() -> None:
    assert Origin.of("https://h/x?y") == Origin("https", "h", 443)
    assert Origin.of("http://[::1]:5000/") == Origin("http", "::1", 5000)
