"""Image references: ``[domain/]path[:tag][@digest]``.

Grammar: OCI distribution-spec, "Pulling manifests". Short forms: Docker Engine, where ``alpine``
means ``docker.io/library/alpine:latest`` and is shown as ``alpine``.
"""

import re
from dataclasses import dataclass, replace
from typing import Self

from pyd_api.errors import InvalidRequestError

DEFAULT_DOMAIN = "docker.io"
_NAME_MAX = 255
_WORD = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_RULES = {
    "domain": re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:]+\])(?::[0-9]{{1,5}})?"),
    "path": re.compile(rf"{_WORD}(?:/{_WORD})*"),
    "tag": re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"),
    "digest": re.compile(r"sha256:[0-9a-f]{64}"),
}


@dataclass(frozen=True, slots=True)
class Reference:
    """One fully qualified image name, valid by construction."""

    domain: str
    path: str
    tag: str | None
    digest: str | None

    def __post_init__(self) -> None:
        for part, rule in _RULES.items():
            value = getattr(self, part)
            if value is not None and not rule.fullmatch(value):
                if part == "path" and value != value.lower():
                    raise InvalidRequestError(
                        "invalid reference format: repository name "
                        f"({value[:_NAME_MAX]}) must be lowercase"
                    )
                raise InvalidRequestError("invalid reference format")
        if len(self.name) > _NAME_MAX:
            raise InvalidRequestError(
                f"repository name must not be more than {_NAME_MAX} characters"
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what a user typed; raise InvalidRequestError with dockerd's words."""
        name, at, digest = text.partition("@")
        head, slash, last = name.rpartition("/")
        last, colon, tag = last.partition(":")  # an earlier colon is a registry port
        domain, _, path = (name := head + slash + last).partition("/")
        if not path or not (
            domain == "localhost" or "." in domain or ":" in domain or domain != domain.lower()
        ):
            domain, path = DEFAULT_DOMAIN, name
        if domain == "index.docker.io":
            domain = DEFAULT_DOMAIN
        if domain == DEFAULT_DOMAIN and "/" not in path:
            path = f"library/{path}"
        default = None if at else "latest"
        return cls(domain, path, tag if colon else default, digest if at else None)

    @property
    def name(self) -> str:
        """The repository with its domain, without tag and digest."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The repository as Docker shows it: without ``docker.io/`` and ``library/``."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        return self.path.removeprefix("library/")

    @property
    def familiar(self) -> str:
        """The whole reference as Docker shows it."""
        return self._suffixed(self.familiar_name)

    def with_tag(self, tag: str) -> Self:
        """Return the same repository under another tag, without a digest."""
        return replace(self, tag=tag, digest=None)

    def _suffixed(self, name: str) -> str:
        tag = f":{self.tag}" if self.tag is not None else ""
        digest = f"@{self.digest}" if self.digest is not None else ""
        return f"{name}{tag}{digest}"

    def __str__(self) -> str:
        return self._suffixed(self.name)
