import pytest
from starlette.requests import Request

from pyd_api.errors import InvalidRequestError
from pyd_guest.api import query


def request(text: str) -> Request:
    return Request({"type": "http", "query_string": text.encode(), "headers": []})


@pytest.mark.parametrize("value", ["1", "true", "True", "yes", "zz", "t"])
def test_true(value: str) -> None:
    assert query.boolean(request(f"all={value}"), "all")


@pytest.mark.parametrize("value", ["", "0", "no", "false", "None", "False", "%20"])
def test_false(value: str) -> None:
    assert not query.boolean(request(f"all={value}"), "all", default=True)


def test_absent_is_the_default() -> None:
    assert query.boolean(request(""), "all", default=True)
    assert query.integer(request(""), "limit") is None
    assert query.text(request("name="), "name") is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("abc", 'strconv.Atoi: parsing "abc": invalid syntax'),
        ("1.5", 'strconv.Atoi: parsing "1.5": invalid syntax'),
        ("9" * 25, f'strconv.Atoi: parsing "{"9" * 25}": value out of range'),
        ("a%22b%0a", 'strconv.Atoi: parsing "a\\"b\\n": invalid syntax'),
        ("%D9%A3", 'strconv.Atoi: parsing "٣": invalid syntax'),
    ],
)
def test_bad_integers(value: str, words: str) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        query.integer(request(f"t={value}"), "t")
    assert raised.value.message == words


def test_integers() -> None:
    assert query.integer(request("t=-1"), "t") == -1
    assert query.integer(request("t=%2B10"), "t") == 10


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 'invalid resize height "": invalid syntax'),
        ("h=abc&w=3", 'invalid resize height "abc": invalid syntax'),
        ("h=10&w=99999999999", 'invalid resize width "99999999999": value out of range'),
        ("h=10&w=-1", 'invalid resize width "-1": value out of range'),
    ],
)
def test_bad_sizes(text: str, words: str) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        query.size(request(text))
    assert raised.value.message == words


def test_size() -> None:
    assert query.size(request("h=24&w=80")) == (24, 80)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("0", None),
        ("1", 10**9),
        ("1.5", 1_500_000_000),
        ("1795526986.917281445", 1795526986917281445),
        ("1.0000000019", 1_000_000_001),
        ("-1", -(10**9)),
    ],
)
def test_timestamps(text: str, expected: int | None) -> None:
    assert query.timestamp_ns(request(f"since={text}"), "since") == expected


@pytest.mark.parametrize("text", ["abc", "1.x", "1.-5", ".5", "1.2.3", "2026-01-01"])
def test_bad_timestamps(text: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"strconv\.ParseInt: parsing .*: invalid syntax"):
        query.timestamp_ns(request(f"since={text}"), "since")
