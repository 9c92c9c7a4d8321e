"""One repository of a registry, as a pull sees it: manifests and blobs, by whatever authorization.

OCI distribution-spec 1.1, "Pull"; Docker "Token Authentication". Plain http and unverified https
are for registries at literal loopback names only, and only if the address that was dialled is
loopback. Redirects and token servers get no credentials of the registry's, and none of them leads
from a public registry to a private address.
"""

import ipaddress
import json
import re
import ssl
from dataclasses import dataclass
from threading import Lock
from urllib.parse import urlencode, urljoin

from pyd_api.digest import Digest, digest_of
from pyd_api.errors import (
    InternalError,
    InvalidRequestError,
    NotFoundError,
    PydError,
    UnauthorizedError,
)
from pyd_api.reference import DEFAULT_DOMAIN, Reference
from pyd_guest.registry.credentials import Credentials
from pyd_guest.registry.transport import Address, ConnectionFailedError, Origin, Response, Transport

MANIFEST_MAX = 4 << 20
_ACCEPT = ", ".join(
    (
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
        "*/*",
    )
)
_ANSWER_MAX = 1 << 20
_HOPS_MAX = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_HUB_HOST = "registry-1.docker.io"
_PARAMETER = re.compile(r'([A-Za-z_]+)="([^"\\]*)"')
_GENERIC_TYPES = ("application/json", "application/octet-stream", "text/plain", "")


@dataclass(frozen=True, slots=True)
class Document:
    """A manifest or index as it came, with the digest of its bytes."""

    data: bytes
    media_type: str
    digest: Digest


class Repository:
    """Read access to one repository; safe to use from the threads of one pull."""

    def __init__(self, reference: Reference, credentials: Credentials | None) -> None:
        self._reference = reference
        self._host = _HUB_HOST if reference.domain == DEFAULT_DOMAIN else reference.domain
        if credentials is not None and not credentials.belong_to(reference.domain):
            credentials = None
        self._credentials = credentials
        self._insecure = _is_loopback_name(self._host)
        self._transport = Transport()
        self._authorization: str | None = None
        self._base: str | None = None
        self._origin: Origin | None = None
        self._public = False
        self._lock = Lock()

    def close(self) -> None:
        """Hang up; requests under way in other threads fail."""
        self._transport.close()

    def manifest(self, wanted: str) -> Document:
        """Get a manifest by tag or digest, verified as far as the name allows."""
        response = self._get(f"manifests/{wanted}", accept=_ACCEPT)
        if response.status != 200:
            raise self._refusal(response, f"manifest for {self._named(wanted)} not found")
        data = response.read_all(MANIFEST_MAX)
        digest = digest_of(data)
        if wanted.startswith("sha256:") and wanted != digest:
            raise InvalidRequestError(f"manifest verification failed for digest {wanted}")
        said = response.headers.get("docker-content-digest")
        if said is not None and said.startswith("sha256:") and said != digest:
            raise InvalidRequestError(
                f"manifest verification failed: the registry says {said[:100]}, it sent {digest}"
            )
        media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        return Document(data, "" if media_type in _GENERIC_TYPES else media_type, digest)

    def blob(self, digest: Digest, *, offset: int = 0) -> Response:
        """Open a blob from ``offset`` on; the answer may begin earlier if its status is 200."""
        response = self._get(
            f"blobs/{digest}", accept="*/*", span=f"bytes={offset}-" if offset else None
        )
        if response.status not in (200, 206):
            raise self._refusal(response, f"blob {digest} not found")
        return response

    def _named(self, wanted: str) -> str:
        name = self._reference.familiar_name
        return f"{name}@{wanted}" if ":" in wanted else f"{name}:{wanted}"

    def _get(self, path: str, *, accept: str, span: str | None = None) -> Response:
        headers = {"Accept": accept, "Accept-Encoding": "identity", "User-Agent": "pyd"}
        if span is not None:
            headers["Range"] = span
        base = self._find_base()
        url = f"{base}/v2/{self._reference.path}/{path}"
        for attempt in (0, 1):
            given = dict(headers)
            if self._authorization is not None:
                given["Authorization"] = self._authorization
            response = self._ask(url, given)
            if response.status != 401 or attempt:
                break
            self._authorize(response)
        return self._follow(response, headers)

    def _find_base(self) -> str:
        """Decide between https and http once: http only for a registry on loopback."""
        with self._lock:
            if self._base is not None:
                return self._base
            base = f"https://{self._host}"
            try:
                self._probe(base)
            except (ssl.SSLError, ConnectionFailedError) as error:
                if not self._insecure:
                    raise self._plain(error) from error
                base = f"http://{self._host}"
                self._probe(base)
            self._base, self._origin = base, Origin.of(base)
            return base

    def _plain(self, error: Exception) -> PydError:
        if isinstance(error, PydError):
            return error
        return ConnectionFailedError(f'Get "https://{self._host}/v2/": {error}')

    def _probe(self, base: str) -> None:
        headers = {"Accept-Encoding": "identity", "User-Agent": "pyd"}
        response = self._ask(f"{base}/v2/", headers)
        self._public = response.address.is_global
        if response.status == 401:
            self._authorize(response)
        else:
            response.read_all(_ANSWER_MAX)

    def _ask(self, url: str, headers: dict[str, str]) -> Response:
        """Send a request to the registry itself."""
        return self._transport.request(
            url, headers, allow=self._allow_registry, verify=not self._insecure
        )

    def _allow_registry(self, address: Address) -> None:
        if self._insecure and not address.is_loopback:
            raise ConnectionFailedError(f"{self._host} is not on loopback but at {address}")

    def _allow_other(self, address: Address) -> None:
        """Refuse what lies behind the engine's back: a metadata service, the local network."""
        if address.is_link_local or (self._public and not address.is_global):
            raise ConnectionFailedError(f"the registry sends us to a private address, {address}")

    def _follow(self, response: Response, headers: dict[str, str]) -> Response:
        """Follow redirects, without the registry's authorization once they leave it."""
        for _ in range(_HOPS_MAX):
            if response.status not in _REDIRECTS:
                encoding = response.headers.get("content-encoding", "identity").lower()
                if encoding != "identity":
                    response.close()
                    raise InvalidRequestError(f"the registry sends encoded content ({encoding})")
                return response
            url = urljoin(response.url, response.headers.get("location", ""))
            response.close()
            response = self._hop(url, headers)
        response.close()
        raise InvalidRequestError("the registry redirects in circles")

    def _hop(self, url: str, headers: dict[str, str]) -> Response:
        origin = Origin.of(url)
        if origin == self._origin:
            given = dict(headers)
            if self._authorization is not None:
                given["Authorization"] = self._authorization
            return self._ask(url, given)
        if origin.scheme != "https" and not self._insecure:
            raise InvalidRequestError("the registry redirects to a plain http address")
        return self._transport.request(url, headers, allow=self._allow_other)

    def _authorize(self, response: Response) -> None:
        """Get what the challenge asks for; raise UnauthorizedError when that cannot be."""
        challenge = response.headers.get("www-authenticate", "")
        response.read_all(_ANSWER_MAX)
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "basic":
            if self._credentials is None or not self._credentials.username:
                raise UnauthorizedError(self._denied("no basic auth credentials"))
            self._authorization = self._credentials.basic()
        elif scheme.lower() == "bearer":
            if self._credentials is not None and self._credentials.token:
                self._authorization = f"Bearer {self._credentials.token}"
            else:
                self._authorization = f"Bearer {self._token(dict(_PARAMETER.findall(rest)))}"
        else:
            raise UnauthorizedError(self._denied("unauthorized: authentication required"))

    def _token(self, challenge: dict[str, str]) -> str:
        realm = challenge.get("realm", "")
        query = {"service": challenge.get("service", "")}
        query["scope"] = f"repository:{self._reference.path}:pull"
        origin = Origin.of(realm)
        own = origin.host == self._host.partition(":")[0]
        if origin.scheme != "https" and not self._insecure:
            raise UnauthorizedError("the registry names a token server without https")
        headers = {"Accept-Encoding": "identity", "User-Agent": "pyd"}
        if self._credentials is not None and self._credentials.username:
            headers["Authorization"] = self._credentials.basic()
        url = realm + ("&" if "?" in realm else "?") + urlencode(query)
        if own:
            response = self._ask(url, headers)
        else:
            response = self._transport.request(url, headers, allow=self._allow_other)
        data = response.read_all(_ANSWER_MAX)
        if response.status != 200:
            raise UnauthorizedError(self._denied("incorrect username or password"))
        try:
            document = json.loads(data)
            token = document.get("token") or document["access_token"]
        except (ValueError, KeyError, AttributeError, RecursionError) as error:
            raise UnauthorizedError("the token server gave no token") from error
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise UnauthorizedError("the token server gave no token")
        return token

    def _denied(self, reason: str) -> str:
        name = self._reference.familiar_name
        return (
            f"pull access denied for {name}, repository does not exist or may require "
            f"'docker login': {reason}"
        )

    def _refusal(self, response: Response, missing: str) -> PydError:
        """Turn an error answer into the error that dockerd makes of it."""
        try:
            detail = _detail(response.read_all(_ANSWER_MAX))
        except PydError:
            detail = ""
        if response.status in (401, 403):
            return NotFoundError(self._denied(detail or "requested access is denied"))
        if response.status == 404:
            return NotFoundError(f"{missing}: {detail or 'not found'}")
        status = f"received unexpected HTTP status: {response.status}"
        return InternalError(f"{status}: {detail}" if detail else status)


def _detail(data: bytes) -> str:
    """Read the first error of a distribution-spec error answer."""
    try:
        first = json.loads(data)["errors"][0]
        code, message = str(first.get("code", "")), str(first.get("message", ""))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return ""
    words = code.lower().replace("_", " ")
    text = ": ".join(part for part in (words, message) if part)
    return "".join(char for char in text if char.isprintable())[:300]


def _is_loopback_name(host: str) -> bool:
    """Tell from the name alone: localhost, 127.0.0.0/8 or ::1, as dockerd's default."""
    name = host.rpartition(":")[0] if re.search(r":[0-9]+$", host) else host
    name = name.strip("[]")
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
