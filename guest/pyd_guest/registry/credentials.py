"""Who a client says it is towards a registry: the ``X-Registry-Auth`` header.

Docker Engine API, "Authentication": base64url of a JSON object. For a pull dockerd takes anything
unreadable for "anonymous"; so does this.
"""

import base64
import binascii
import json
from dataclasses import dataclass, field
from typing import Self

from pyd_api.errors import UnsupportedError

_HEADER_MAX = 64 << 10
_HUB = {"docker.io", "index.docker.io", "registry-1.docker.io"}


@dataclass(frozen=True, slots=True)
class Credentials:
    """A name and a password, or a ready token; never shown."""

    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    server: str = ""

    @classmethod
    def parse(cls, header: str | None) -> Self | None:
        """Read the header; None means anonymous. Raises UnsupportedError for identity tokens."""
        if not header or len(header) > _HEADER_MAX:
            return None
        try:
            raw = base64.urlsafe_b64decode(header + "=" * (-len(header) % 4))
            document = json.loads(raw)
        except (binascii.Error, ValueError, RecursionError):
            return None
        if not isinstance(document, dict):
            return None
        texts = {key: value for key, value in document.items() if isinstance(value, str)}
        if any("\r" in value or "\n" in value or "\0" in value for value in texts.values()):
            return None
        if texts.get("identitytoken"):
            raise UnsupportedError("identity tokens are not supported yet: log in with a password")
        found = cls(
            texts.get("username", ""),
            texts.get("password", ""),
            texts.get("registrytoken", ""),
            texts.get("serveraddress", ""),
        )
        return found if found.token or found.username else None

    def belong_to(self, domain: str) -> bool:
        """Tell whether they were given for the registry ``domain``."""
        if not self.server:
            return True
        host = self.server.partition("://")[2] or self.server
        host = host.partition("/")[0].lower()
        return host == domain.lower() or (host in _HUB and domain in _HUB)

    def basic(self) -> str:
        """Return the value of an Authorization header."""
        pair = f"{self.username}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode()
