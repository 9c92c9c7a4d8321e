"""A registry on loopback that serves what the test gives it and misbehaves as the test says."""

import gzip
import http.server
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from support.tarballs import config, digest

OCI = "application/vnd.oci.image."


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, _Server)
        registry = server.registry
        registry.asked.append((self.path, dict(self.headers)))
        for prefix, behave in registry.behaviours.items():
            if self.path.startswith(prefix) and behave(self):
                return
        if self.path == "/v2/":
            self.answer(200, b"{}")
        elif self.path in registry.content:
            kind, data = registry.content[self.path]
            self.answer(200, data, {"Content-Type": kind})
        else:
            error = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}
            self.answer(404, json.dumps(error).encode())

    def answer(
        self,
        status: int,
        data: bytes,
        headers: dict[str, str] | None = None,
        *,
        length: int | None = None,
    ) -> bool:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data) if length is None else length))
        self.end_headers()
        self.wfile.write(data)
        if length is not None and length != len(data):
            self.close_connection = True
        return True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


Behaviour = Callable[[Handler], bool]
"""Answers a request and returns True, or leaves it to the usual answer."""


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    registry: "Registry"

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are part of the tests."""


@dataclass
class Registry:
    domain: str
    content: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def put(self, repository: str, data: bytes, kind: str) -> dict[str, object]:
        name = digest(data)
        self.content[f"/v2/{repository}/blobs/{name}"] = (kind, data)
        return {"mediaType": kind, "digest": name, "size": len(data)}

    def image(
        self, repository: str, layers: Sequence[bytes], *, tag: str = "latest", **more: object
    ) -> dict[str, object]:
        """Store an image; return the descriptor of its manifest."""
        document = {
            "schemaVersion": 2,
            "mediaType": OCI + "manifest.v1+json",
            "config": self.put(repository, config(layers, **more), OCI + "config.v1+json"),
            "layers": [
                self.put(repository, gzip.compress(layer, mtime=0), OCI + "layer.v1.tar+gzip")
                for layer in layers
            ],
        }
        return self.manifest(repository, document, tag=tag)

    def manifest(
        self,
        repository: str,
        document: object,
        *,
        tag: str = "latest",
        kind: str = OCI + "manifest.v1+json",
    ) -> dict[str, object]:
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        for name in (tag, digest(data)):
            self.content[f"/v2/{repository}/manifests/{name}"] = (kind, data)
        return {"mediaType": kind, "digest": digest(data), "size": len(data)}

    def count(self, part: str) -> int:
        return sum(part in path for path, _ in self.asked)


@contextmanager
def serving() -> Iterator[Registry]:
    server = _Server(("127.0.0.1", 0), Handler)
    server.registry = Registry(f"127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.registry
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
