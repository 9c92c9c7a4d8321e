"""Whatever arrives as JSON is a value or a refusal; the scan agrees with the parser."""

import json

from hypothesis import given
from hypothesis import strategies as st

from pyd_api.errors import InvalidRequestError
from pyd_guest.api.body import parse_json
from pyd_guest.api.go_json import fault

ALPHABET = st.sampled_from(list('{}[]",:\\utrfalsen0123456789.eE+- \n\x00é'))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=15,
)


@given(st.text(ALPHABET, max_size=30) | st.text(max_size=20))
def test_noise_is_a_value_or_a_refusal(text: str) -> None:
    raw = text.encode("utf-8", "surrogatepass")
    try:
        value = parse_json(raw)
    except InvalidRequestError:
        return
    json.dumps(value).encode()
    assert fault(raw) is None


@given(VALUES)
def test_documents_come_back(value: object) -> None:
    raw = json.dumps(value).encode()
    assert parse_json(raw) == value
    assert fault(raw) is None


@given(VALUES, st.data())
def test_a_cut_document_is_refused(value: object, data: st.DataObject) -> None:
    raw = json.dumps([value]).encode()
    cut = raw[: data.draw(st.integers(0, len(raw) - 1))]
    assert fault(cut) == "unexpected EOF"
