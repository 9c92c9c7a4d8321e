"""Seccomp filters of a container (OCI runtime-spec, linux.seccomp)."""

from pyd_api.errors import InvalidRequestError


def check_profile(profile: object) -> None:
    """Refuse what is no profile (checklist D8)."""
    if not isinstance(profile, dict):
        raise InvalidRequestError("Decoding seccomp profile failed: not an object")
