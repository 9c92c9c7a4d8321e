import json
import time
from urllib.parse import quote

import pytest
from starlette.requests import Request

from pyd_api.errors import InvalidRequestError
from pyd_guest.api import filters


def request(text: str) -> Request:
    query = f"filters={quote(text)}".encode()
    return Request({"type": "http", "query_string": query, "headers": []})


def test_both_shapes() -> None:
    assert filters.containers(request('{"label":["a","b"]}')) == {"label": ["a", "b"]}
    assert filters.containers(request('{"label":{"a":true,"b":false}}')) == {"label": ["a"]}
    assert filters.containers(request("")) == {}
    assert filters.containers(request("null")) == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{bad", "invalid filter"),
        ('["xx"]', "invalid filter"),
        ('{"label":"a"}', "invalid filter"),
        ('{"label":[1]}', "invalid filter"),
        ('{"label":{"a":1}}', "invalid filter"),
        ('{"xx":["a"]}', "invalid filter 'xx'"),
        (
            '{"status":["zzz"]}',
            (
                "invalid filter 'status=zzz': invalid value for state (zzz): must be one of "
                "created, running, paused, restarting, removing, exited, dead"
            ),
        ),
        (
            '{"health":["a"]}',
            (
                "invalid filter 'health=a': invalid value for health (a): must be one of none, "
                "starting, healthy, unhealthy"
            ),
        ),
        (
            '{"exited":["a"]}',
            "invalid filter 'exited=a': strconv.Atoi: parsing \"a\": invalid syntax",
        ),
        ('{"is-task":["a"]}', "invalid filter 'is-task=[a]'"),
    ],
)
def test_e6_refusals_in_the_words_of_dockerd(text: str, words: str) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        filters.containers(request(text))
    assert raised.value.message == words


def test_e6_hostile_filters_are_refused_quickly() -> None:
    begin = time.monotonic()
    for text in (
        '{"label":["' + "a" * 2**20 + '"]}',
        "[" * 50_000,
        json.dumps({"xx": ["(a+)+$"] * 1000}),
    ):
        with pytest.raises(InvalidRequestError):
            filters.containers(request(text))
    assert time.monotonic() - begin < 1
