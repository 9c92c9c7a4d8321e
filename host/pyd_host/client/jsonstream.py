"""A stream of JSON documents, one after another, cut anywhere: progress and events."""

import json
from collections.abc import Iterable, Iterator

from pyd_api.errors import InternalError

_DOCUMENT_MAX = 16 << 20


def documents(pieces: Iterable[bytes]) -> Iterator[dict[str, object]]:
    """Yield every JSON object as soon as it is whole. Raises InternalError at broken JSON."""
    decoder = json.JSONDecoder()
    pending = b""
    for piece in pieces:
        pending += piece
        cut = pending.rfind(b"}") + 1  # a document ends with a brace
        if not cut:
            continue
        text = pending[:cut].decode("utf-8", "surrogateescape").lstrip()
        rest = b""
        while text:
            try:
                found, end = decoder.raw_decode(text)
            except ValueError:
                rest = text.encode("utf-8", "surrogateescape")
                break  # a brace inside it: wait for the end
            text = text[end:].lstrip()
            if isinstance(found, dict):
                yield found
        pending = rest + pending[cut:]
        if len(pending) > _DOCUMENT_MAX:
            raise InternalError("broken stream from the daemon: a message without end")
    if pending.strip():
        raise InternalError("the daemon's answer ended in the middle of a message")
