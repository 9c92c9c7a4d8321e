"""Content digests: ``sha256:`` and 64 lower-case hexadecimal digits.

Grammar: OCI image-spec, "Digests". Other algorithms are refused: a store with one algorithm has
one name for one content.
"""

import hashlib
import re
from typing import NewType

from pyd_api.errors import InvalidRequestError

Digest = NewType("Digest", str)
DiffID = NewType("DiffID", str)
ChainID = NewType("ChainID", str)

DIGEST_PATTERN = re.compile(r"sha256:[0-9a-f]{64}")


def parse_digest(text: str) -> Digest:
    """Check the grammar; raise InvalidRequestError before any path or URL is built from it."""
    if not isinstance(text, str) or not DIGEST_PATTERN.fullmatch(text):
        raise InvalidRequestError(f"invalid digest: {text[:100]!r}")
    return Digest(text)


def digest_of(data: bytes) -> Digest:
    """Return the digest of bytes in memory."""
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def chain_id(parent: ChainID | None, diff_id: DiffID) -> ChainID:
    """Name the layers up to and including ``diff_id`` (OCI image-spec, "Layer ChainID")."""
    if parent is None:
        return ChainID(diff_id)
    return ChainID(digest_of(f"{parent} {diff_id}".encode()))
