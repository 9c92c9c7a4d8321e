"""docs/container-fields.md names every field that a create request is read by."""

import re
from pathlib import Path

from pyd_guest.engine import create_fields

DOCUMENT = Path(__file__).parents[4] / "docs/container-fields.md"


def test_every_field_has_a_row() -> None:
    rows = re.findall(r"^\| ([^|]+) \|", DOCUMENT.read_text(), flags=re.MULTILINE)
    named = {word for row in rows for word in re.findall(r"[A-Z][A-Za-z]+", row)}
    fields = {field.name for field in (*create_fields.CONFIG, *create_fields.HOST_CONFIG)}
    assert not fields - named
