import pytest

from pyd_api.errors import ConflictError, InvalidRequestError, NotFoundError
from pyd_api.ids import ContainerId, ImageId
from pyd_guest.engine.container_spec import ContainerSpec
from pyd_guest.engine.index import Index, parse_name
from pyd_guest.engine.model import Container


def container(own: str, name: str, created_ns: int = 0) -> Container:
    spec = ContainerSpec(image="box", argv=("true",))
    return Container(ContainerId(own), name, created_ns, ImageId("sha256:0"), {}, {}, spec)


def test_a_reference_is_an_id_a_name_or_a_beginning() -> None:
    index = Index()
    one, two = container("ab1" * 20 + "abcd", "one"), container("ab2" * 20 + "abcd", "two")
    index.add(one)
    index.add(two)
    for reference in (one.id, "one", "/one", one.id[:12], "ab1"):
        assert index.get(reference) is one
    with pytest.raises(InvalidRequestError, match="Multiple IDs found with provided prefix: ab"):
        index.get("ab")
    for reference in ("", "/", "three", "b1"):
        with pytest.raises(NotFoundError, match="No such container"):
            index.get(reference)


def test_a_name_wins_over_a_beginning_and_a_whole_id_over_a_name() -> None:
    index = Index()
    one = container("abc" + "0" * 61, "one")
    named = container("d" * 64, "abc")
    sly = container("e" * 64, one.id)
    for known in (one, named, sly):
        index.add(known)
    assert index.get("abc") is named
    assert index.get(one.id) is one


def test_a_taken_name_names_its_owner() -> None:
    index = Index()
    index.add(container("a" * 64, "one"))
    with pytest.raises(ConflictError, match=f'"/one" is already in use by container "{"a" * 64}"'):
        index.reserve("one", ContainerId("b" * 64))
    index.reserve("one", ContainerId("a" * 64))  # its own


def test_a_dropped_container_is_forgotten_with_its_name() -> None:
    index = Index()
    one = container("a" * 64, "one")
    index.add(one)
    index.drop(one)
    index.drop(one)
    assert index.is_free("one")
    assert index.all() == []
    assert index.find(one.id) is None


def test_dropping_twice_takes_no_name_from_another() -> None:
    index = Index()
    one, two = container("a" * 64, "one"), container("b" * 64, "one")
    index.add(one)
    index.drop(one)
    index.add(two)
    index.drop(one)
    assert index.get("one") is two


def test_the_newest_comes_first() -> None:
    index = Index()
    for number in (2, 3, 1):
        index.add(container(str(number) * 64, f"box{number}", created_ns=number))
    assert [known.name for known in index.all()] == ["box3", "box2", "box1"]


@pytest.mark.parametrize("name", ["a", "", "/", "-a", ".ab", "a b", "a/b", "ab\n", "ä1"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(InvalidRequestError, match="Invalid container name"):
        parse_name(name)


def test_names() -> None:
    assert parse_name("/a_B.c-1") == "a_B.c-1"
    assert parse_name("ab") == "ab"
