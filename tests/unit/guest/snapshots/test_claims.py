import threading

from pyd_api.digest import ChainID
from pyd_guest.snapshots.claims import Claims

A, B, C = (ChainID(letter) for letter in "abc")


def test_one_maker_and_many_users() -> None:
    claims, made = Claims(), {A}
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        waiting.set()
        with claims.hold([A, B], made.__contains__) as missing:
            order.append(f"second {sorted(missing)}")

    with claims.hold([A, B, C], made.__contains__) as missing:
        assert missing == {B, C}
        with claims.hold([A], made.__contains__) as users:  # a whole layer waits for nobody
            assert users == frozenset()
        thread = threading.Thread(target=second)
        thread.start()
        waiting.wait(5)
        order.append("first")
        made.add(B)
    thread.join(5)
    assert order == ["first", "second []"]


def test_who_waited_makes_what_the_first_did_not() -> None:
    claims = Claims()
    got: list[frozenset[ChainID]] = []

    def second() -> None:
        with claims.hold([A], lambda _: False) as missing:
            got.append(missing)

    with claims.hold([A, A], lambda _: False):
        thread = threading.Thread(target=second)
        thread.start()
    thread.join(5)
    assert got == [frozenset({A})]


def test_claimed_layers_are_in_use() -> None:
    claims = Claims()
    with claims.hold([A], lambda _: True), claims.hold([A], lambda _: True):
        pass
    with claims.unused() as unused:
        assert unused(A)
    with claims.hold([A], lambda _: True), claims.unused() as unused:
        assert not unused(A)
        assert unused(B)
