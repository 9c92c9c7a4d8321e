import asyncio

import pytest
from starlette.requests import Request
from starlette.types import Message

from pyd_api.errors import InvalidRequestError, PydError
from pyd_guest.api.body import (
    BODY_MAX_BYTES,
    JsonObject,
    check_fields,
    parse_json,
    read_json,
)


def read(
    body: bytes, *, content_type: str | None = "application/json", **options: object
) -> JsonObject:
    headers = [(b"content-length", str(len(body)).encode())]
    if content_type is not None:
        headers.append((b"content-type", content_type.encode()))
    chunks = [body[at : at + 65536] for at in range(0, len(body), 65536)] or [b""]

    async def receive() -> Message:
        chunk = chunks.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(chunks)}

    request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
    return asyncio.run(read_json(request, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        (
            b"{}",
            "text/plain",
            "unsupported Content-Type header (text/plain): must be 'application/json'",
        ),
        (b"{}", None, "malformed Content-Type header (): mime: no media type"),
        (b"", "application/json", "invalid JSON: got EOF while reading request body"),
        (b"", None, "invalid JSON: got EOF while reading request body"),
        (b'{"Image":"x"} {"a":1}', "application/json", "unexpected content after JSON"),
        (b'{"Image":"x"} zz', "application/json", "unexpected content after JSON"),
        (
            b"[]",
            "application/json",
            "invalid JSON: json: cannot unmarshal array into Go value of type X",
        ),
        (
            b'"x"',
            "application/json",
            "invalid JSON: json: cannot unmarshal string into Go value of type X",
        ),
    ],
)
def test_e4_refusals_in_the_words_of_dockerd(
    body: bytes, content_type: str | None, words: str
) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        read(body, content_type=content_type, required=True, go_type="X")
    assert raised.value.message == words


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_content_type_has_parameters_and_no_case(content_type: str) -> None:
    assert read(b'{"a": 1}', content_type=content_type) == {"a": 1}


def test_null_and_nothing_are_empty() -> None:
    assert read(b"null") == {}
    assert read(b"", content_type=None) == {}


def test_e4_too_long_is_413_and_stops_reading() -> None:
    with pytest.raises(PydError) as raised:
        read(b'{"a":"' + b"x" * BODY_MAX_BYTES + b'"}')
    assert raised.value.status == 413


@pytest.mark.parametrize(
    "text",
    [
        '{"a":' + "9" * 10_000 + "}",
        '{"a":18446744073709551616}',
        '{"a":1e999}',
        '{"a":NaN}',
        '{"a":-Infinity}',
        "[" * 101 + "]" * 101,
        '{"a":' * 100_000,
        "[" * 100_000 + "]" * 100_000,
    ],
)
def test_b6_hostile_documents_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="invalid JSON"):
        parse_json(text.encode())


def test_b6_odd_documents_are_read() -> None:
    assert parse_json(b'{"a":1,"a":2}') == {"a": 2}
    assert parse_json(b'{"a":"\xff"}') == {"a": "\ufffd"}
    assert parse_json(b'{"\\ud800":["\\udfff","\\ud83d\\ude00"]}') == {
        "\ufffd": ["\ufffd", "\U0001f600"]
    }
    assert parse_json(b"[" * 100 + b"]" * 100) is not None
    assert parse_json(b'{"a":18446744073709551615}') == {"a": 2**64 - 1}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"Cmd": "a"}, "string into Go struct field ExecOptions.Cmd of type []string"),
        ({"Cmd": ["a", 1]}, "number into Go struct field ExecOptions.Cmd of type string"),
        ({"Tty": "a"}, "string into Go struct field ExecOptions.Tty of type bool"),
        ({"Tty": 1}, "number into Go struct field ExecOptions.Tty of type bool"),
        ({"User": {}}, "object into Go struct field ExecOptions.User of type string"),
    ],
)
def test_wrong_types_are_named(body: JsonObject, words: str) -> None:
    fields = {"Cmd": "[]string", "Tty": "bool", "User": "string"}
    with pytest.raises(InvalidRequestError) as raised:
        check_fields(body, "ExecOptions", fields)
    assert raised.value.message == f"invalid JSON: json: cannot unmarshal {words}"
    check_fields({"Cmd": None, "Other": 1}, "ExecOptions", fields)
