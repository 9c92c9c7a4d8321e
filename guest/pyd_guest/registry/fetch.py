"""Bring one blob from a registry into an ingest: resumed when the line breaks, then verified."""

from collections.abc import Callable

from pyd_api.digest import Digest
from pyd_api.errors import InvalidRequestError
from pyd_guest.content.store import Ingest
from pyd_guest.registry.client import Repository
from pyd_guest.registry.transport import ConnectionFailedError, Response

_TRIES = 5
_READ = 256 << 10


def fetch(
    repository: Repository,
    digest: Digest,
    size: int,
    ingest: Ingest,
    progress: Callable[[int], None],
) -> None:
    """Fill ``ingest`` with the blob.

    Raises ConnectionFailedError after five tries in a row without a new byte, InvalidRequestError
    when the registry sends something else than it announced.
    """
    failures = 0
    while True:
        before = ingest.size
        try:
            response = repository.blob(digest, offset=before)
            _copy(response, digest, size, ingest, progress)
        except ConnectionFailedError:
            failures = 0 if ingest.size > before else failures + 1
            if failures >= _TRIES:
                raise
            continue
        if ingest.size == size:
            break
        failures = 0 if ingest.size > before else failures + 1
        if failures >= _TRIES:
            raise ConnectionFailedError(f"{digest}: unexpected EOF after {ingest.size} bytes")
    if ingest.digest != digest:
        raise InvalidRequestError(f"filesystem layer verification failed for digest {digest}")


def _copy(
    response: Response,
    digest: Digest,
    size: int,
    ingest: Ingest,
    progress: Callable[[int], None],
) -> None:
    try:
        if response.status == 200:
            if ingest.size:
                ingest.restart()  # the registry does not resume
        elif not response.headers.get("content-range", "").startswith(f"bytes {ingest.size}-"):
            raise InvalidRequestError(f"{digest}: the registry resumed at another place")
        while data := response.read(_READ):
            if ingest.size + len(data) > size:
                raise InvalidRequestError(f"{digest} is larger than the {size} bytes announced")
            ingest.write(data)
            progress(ingest.size)
    finally:
        response.close()
