"""Platforms ``os[/architecture[/variant]]`` and the choice among an index's manifests.

OCI image-spec, "Image Index"; names and variants as Go and containerd write them.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from pyd_api.errors import InvalidRequestError, NotFoundError
from pyd_guest.images.documents import Descriptor, Object

_WORD = re.compile(r"[A-Za-z0-9_.-]+")
_MACHINES = {
    "x86_64": ("amd64", ""),
    "aarch64": ("arm64", "v8"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "i686": ("386", ""),
    "ppc64le": ("ppc64le", ""),
    "s390x": ("s390x", ""),
    "riscv64": ("riscv64", ""),
}
_ALIASES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "i386": ("386", ""),
}
_ARCHITECTURES = {name for name, _ in _MACHINES.values()} | {"loong64", "mips64le", "wasm"}
_SYSTEMS = {"linux", "windows", "darwin", "freebsd"}


@dataclass(frozen=True, slots=True)
class Platform:
    """An operating system and a processor; an empty part fits everything."""

    os: str
    architecture: str
    variant: str = ""

    @classmethod
    def host(cls) -> Self:
        """Return the platform of this machine."""
        machine = os.uname().machine
        return cls("linux", *_MACHINES.get(machine, (machine, "")))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what a user typed; one word may be either the system or the processor."""
        parts = text.lower().split("/")
        if len(parts) > 3 or not all(_WORD.fullmatch(part) for part in parts):
            raise InvalidRequestError(
                f'"{text[:100]}": cannot parse platform specifier: invalid argument'
            )
        host = cls.host()
        if len(parts) == 1:
            if parts[0] in _SYSTEMS:
                return cls(parts[0], host.architecture, host.variant)
            parts = ["linux", *parts]
            if parts[1] not in _ARCHITECTURES and parts[1] not in _ALIASES:
                raise InvalidRequestError(
                    f'"{text[:100]}": unknown operating system or architecture: invalid argument'
                )
        architecture, variant = _ALIASES.get(parts[1], (parts[1], ""))
        return cls(parts[0], architecture, parts[2] if len(parts) == 3 else variant)

    @classmethod
    def of(cls, document: Object) -> Self:
        """Read the platform object of a descriptor or an image config."""
        parts = [document.get(key) for key in ("os", "architecture", "variant")]
        texts = [part if isinstance(part, str) else "" for part in parts]
        return cls(*texts)

    def fits(self, other: "Platform") -> bool:
        """Tell whether an image for ``other`` runs where ``self`` was asked for."""
        if (self.os, self.architecture) != (other.os, other.architecture):
            return False
        return not (self.variant and other.variant) or self._rank(other) is not None

    def _rank(self, other: "Platform") -> int | None:
        """Return how far ``other`` lies below ``self``; None when it needs more."""
        if self.variant == other.variant:
            return 0
        if not other.variant:
            return 50 if self.variant != "v8" or self.architecture != "arm64" else 0
        mine, theirs = _version(self.variant), _version(other.variant)
        return mine - theirs if mine >= theirs >= 0 else None

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    def choose(self, manifests: Sequence[Descriptor]) -> Descriptor:
        """Return the best manifest of an index; raise NotFoundError if none fits."""
        best: tuple[int, Descriptor] | None = None
        for descriptor in manifests:
            if descriptor.platform is None:
                continue
            other = Platform.of(descriptor.platform)
            if not self.fits(other):
                continue
            rank = self._rank(other) if self.variant else 0
            if rank is not None and (best is None or rank < best[0]):
                best = rank, descriptor
        if best is None and len(manifests) == 1 and manifests[0].platform is None:
            return manifests[0]
        if best is None:
            raise NotFoundError(f"no matching manifest for {self} in the manifest list entries")
        return best[1]


def _version(variant: str) -> int:
    digits = variant.removeprefix("v")
    return int(digits) if digits.isdigit() and len(digits) < 4 else -1
