"""Identifiers: 64 lower-case hexadecimal digits, shown as the first twelve.

An image id is the digest of its config blob and keeps the ``sha256:`` prefix.
"""

import re
import secrets
from typing import NewType

ContainerId = NewType("ContainerId", str)
ExecId = NewType("ExecId", str)
NetworkId = NewType("NetworkId", str)
EndpointId = NewType("EndpointId", str)
ImageId = NewType("ImageId", str)

ID_PATTERN = re.compile(r"[0-9a-f]{64}")


def new_id() -> str:
    """Return 256 random bits in hex, never all digits in its short form.

    Docker avoids short ids that read as numbers, since they would be taken for hostnames of
    that form.
    """
    while (candidate := secrets.token_hex(32))[:12].isdigit():
        pass
    return candidate


def short_id(full: str) -> str:
    """Return the twelve digits that tables show, without any ``sha256:``."""
    return full.removeprefix("sha256:")[:12]
