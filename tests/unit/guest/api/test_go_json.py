"""The words of dockerd 28.5 about broken JSON, as it was asked."""

import pytest

from pyd_api.errors import InvalidRequestError
from pyd_guest.api.body import parse_json
from pyd_guest.api.go_json import fault

WORDS = [
    ("{invalid json", "invalid character 'i' looking for beginning of object key string"),
    ('{"Image":"x"', "unexpected EOF"),
    ('{"Image":"x",}', "invalid character '}' looking for beginning of object key string"),
    ('{"Image":NaN}', "invalid character 'N' looking for beginning of value"),
    ('{"Image" "a"}', "invalid character '\"' after object key"),
    ('{"Image":"a" "b"}', "invalid character '\"' after object key:value pair"),
    ('{"Cmd":["a" "b"]}', "invalid character '\"' after array element"),
    ('{"Cmd":["a",]}', "invalid character ']' looking for beginning of value"),
    ('{"a":tru}', "invalid character '}' in literal true (expecting 'e')"),
    ('{"a":-}', "invalid character '}' in numeric literal"),
    ('{"a":01}', "invalid character '1' after object key:value pair"),
    ('{"a":1.}', "invalid character '}' in numeric literal"),
    ('{"a":1e}', "invalid character '}' in numeric literal"),
    ('{"a":"\\q"}', "invalid escape sequence `\\q` in string"),
    ('{"a":"\\u12x"}', 'invalid escape sequence `\\u12x"` in string'),
    ('{"a":"x\ty"}', "invalid character '\\t' in string"),
    ("x", "invalid character 'x' looking for beginning of value"),
    ("{'a':1}", "invalid character '\\'' looking for beginning of object key string"),
    ('{"a":"x', "unexpected EOF"),
    ("[" * 20_000, "exceeded max depth"),
    ("-", "unexpected EOF"),
    ("", "unexpected EOF"),
    ("[1", "unexpected EOF"),
    ('{"a":\x00}', "invalid character '\\x00' looking for beginning of value"),
    ("\ufeff{}", "invalid character 'ï' looking for beginning of value"),
]


@pytest.mark.parametrize(("text", "words"), WORDS)
def test_words(text: str, words: str) -> None:
    assert fault(text.encode()) == words


@pytest.mark.parametrize(("text", "words"), WORDS)
def test_b6_the_parser_says_them(text: str, words: str) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        parse_json(text.encode())
    assert raised.value.message == f"invalid JSON: {words}"


@pytest.mark.parametrize(
    "text", ["{}", "[]", " null ", '{"a":[1,-2.5e+3,true,false,null,"\\u00e9",{}]}', "0", '"x"']
)
def test_sound_documents_have_no_fault(text: str) -> None:
    assert fault(text.encode()) is None
