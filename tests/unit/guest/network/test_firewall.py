"""The packet rules: names that reach their text, and repair of what others did to them."""

import errno
from ipaddress import IPv4Address, IPv4Interface
from queue import SimpleQueue

import pytest

from pyd_api.errors import InvalidRequestError
from pyd_guest.network.endpoint import PublishedPort
from pyd_guest.network.firewall import Firewall, Rule, checked_interface


@pytest.mark.parametrize("name", ["pyd0", "br-1234567890ab", "a", "virbr0.10", "under_score"])
def test_good_interface_names(name: str) -> None:
    assert checked_interface(name) == name


@pytest.mark.parametrize(
    "name", ["", "-x", "a b", "a;b", 'a"', "a/b", "0123456789abcdef", "x\n", "é", "a{b}", "lo\0"]
)
def test_bad_interface_names(name: str) -> None:
    with pytest.raises(InvalidRequestError, match="invalid interface name"):
        checked_interface(name)


class Nft:
    """Keeps one table; says no when told to."""

    def __init__(self) -> None:
        self.frame = ""
        self.elements: dict[str, str] = {}
        self.number = 1
        self.refuse: set[str] = set()
        self.ran: list[str] = []

    def run(self, commands: str) -> str:
        verb = commands.split()[0]
        self.ran.append(" ".join(commands.split()[:2]))
        if verb in self.refuse or f"{verb} {commands.split()[1]}" in self.refuse:
            raise OSError(errno.EINVAL, "refused")
        if verb == "list":
            listed = ", ".join(f"{key} : {value}" for key, value in self.elements.items())
            return f"{self.frame}\n\t\telements = {{ {listed} }}" if listed else self.frame
        self.number += 1
        for line in commands.splitlines():
            words = line.split()
            if words[:2] == ["delete", "table"]:
                self.elements = {}
                self.frame = "as installed"
            elif words[1:2] == ["element"]:
                key, _, value = " ".join(words[6:-1]).replace("tcp", "6").partition(" : ")
                if words[0] == "add":
                    self.elements[key] = value
                else:
                    del self.elements[key]
        return ""

    def generation(self) -> int:
        if "generation" in self.refuse:
            raise OSError(errno.EIO, "refused")
        return self.number

    def close(self) -> None:
        pass


def rule(port: int) -> Rule:
    return Rule(PublishedPort(IPv4Address(0), port, 80, "tcp"), IPv4Address("172.17.0.2"))


@pytest.fixture
def nft() -> Nft:
    return Nft()


@pytest.fixture
def firewall(nft: Nft) -> Firewall:
    firewall = Firewall(nft, bridge="pyd0")
    firewall.install(IPv4Interface("172.17.0.1/16"), [rule(80)], close_router=False)
    nft.ran.clear()
    return firewall


def test_undisturbed_table_is_never_listed(nft: Nft, firewall: Firewall) -> None:
    firewall.publish([rule(81), rule(82)])
    firewall.withdraw([rule(81), rule(99)])
    assert not firewall.ensure()
    assert nft.ran == ["add element", "delete element"]
    assert sorted(nft.elements) == ["6 . 80", "6 . 82"]


def test_somebody_elses_change_costs_one_comparison(nft: Nft, firewall: Firewall) -> None:
    nft.number += 1
    firewall.publish([rule(81)])
    firewall.publish([rule(82)])
    assert nft.ran == ["list table", "add element", "add element"]


@pytest.mark.parametrize("damage", ["frame", "element", "added", "gone"])
def test_damage_is_repaired_by_the_next_operation(
    nft: Nft, firewall: Firewall, damage: str
) -> None:
    nft.number += 1
    if damage == "frame":
        nft.frame = "with another rule"
    elif damage == "element":
        nft.elements["6 . 80"] = "10.0.0.1 . 80"
    elif damage == "added":
        nft.elements["6 . 22"] = "172.17.0.2 . 22"
    else:
        nft.refuse = {"list"}
    firewall.publish([rule(81)])
    assert nft.frame == "as installed"
    assert nft.elements == {"6 . 80": "172.17.0.2 . 80", "6 . 81": "172.17.0.2 . 80"}


def test_refused_publish_is_forgotten(nft: Nft, firewall: Firewall) -> None:
    nft.refuse = {"add"}
    with pytest.raises(OSError, match="refused"):
        firewall.publish([rule(81)])
    nft.refuse = set()
    firewall.publish([rule(82)])
    assert sorted(nft.elements) == ["6 . 80", "6 . 82"]


@pytest.mark.parametrize("refuse", [{"delete", "add"}, {"generation"}])
def test_refused_withdrawal_is_made_good_later(
    nft: Nft, firewall: Firewall, refuse: set[str]
) -> None:
    nft.refuse = refuse
    with pytest.raises(OSError, match="refused"):
        firewall.withdraw([rule(80)])
    nft.refuse = set()
    assert firewall.ensure()
    assert nft.elements == {}


def test_made_change_with_unknown_number_is_kept(nft: Nft, firewall: Firewall) -> None:
    real, calls = nft.generation, []

    def once() -> int:
        calls.append(1)
        if len(calls) == 2:
            raise OSError(errno.EIO, "refused")
        return real()

    nft.generation = once  # type: ignore[method-assign]
    firewall.publish([rule(81)])
    assert sorted(nft.elements) == ["6 . 80", "6 . 81"]
    assert not firewall.ensure()


@pytest.mark.parametrize(
    ("listed", "chain"),
    [
        ("type filter hook forward priority 0; policy accept;", None),
        ("type filter hook forward priority 0; policy drop;", "FORWARD"),
        ("policy drop; jump DOCKER-USER", "DOCKER-USER"),
    ],
)
def test_dropping_chain_of_another_program_is_found(
    nft: Nft, firewall: Firewall, listed: str, chain: str | None
) -> None:
    nft.frame, nft.elements = listed, {}
    assert firewall.find_blocking_chain() == chain
    nft.refuse = {"list"}
    assert firewall.find_blocking_chain() is None


class Notices:
    """Changes that a test announces."""

    def __init__(self) -> None:
        self.queue: SimpleQueue[bool] = SimpleQueue()
        self.closed = False

    def wait(self) -> bool:
        return self.queue.get()

    def stop(self) -> None:
        self.queue.put(False)

    def close(self) -> None:
        self.closed = True


def test_notice_of_a_change_repairs_and_says_so(nft: Nft, caplog: pytest.LogCaptureFixture) -> None:
    notices = Notices()
    firewall = Firewall(nft, bridge="pyd0", changes=notices)
    firewall.install(IPv4Interface("172.17.0.1/16"), [rule(80)], close_router=False)
    nft.frame = "damaged"
    nft.number += 1
    notices.queue.put(True)
    firewall.close()
    assert nft.frame == "as installed"
    assert "changed by another program" in caplog.text
    assert notices.closed


def test_notice_that_cannot_be_followed_is_said(nft: Nft, caplog: pytest.LogCaptureFixture) -> None:
    notices = Notices()
    firewall = Firewall(nft, bridge="pyd0", changes=notices)
    firewall.install(IPv4Interface("172.17.0.1/16"), [], close_router=False)
    nft.refuse = {"generation"}
    notices.queue.put(True)
    notices.queue.put(True)
    firewall.close()
    assert caplog.text.count("cannot be put back") == 2
