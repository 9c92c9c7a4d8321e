"""Call an ASGI application in process, as a client that sends one request and reads the answer."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from starlette.types import ASGIApp, Message


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> object:
        return json.loads(self.body)

    @property
    def message(self) -> object:
        value = self.json()
        assert isinstance(value, dict)
        assert set(value) == {"message"}
        return value["message"]


async def call(
    app: ASGIApp,
    method: str,
    target: str,
    *,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    server: tuple[str, int | None] = ("/run/pyd/pyd.sock", None),
) -> Answer:
    """Send one request; the client stays connected until the answer is whole."""
    path, _, query = target.partition("?")
    sent = {"host": "docker", **(headers or {})}
    if body and "content-type" not in sent:
        sent["content-type"] = "application/json"
    if body:
        sent["content-length"] = str(len(body))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        "server": server,
        "client": None,
        "state": {},
    }
    requests = [{"type": "http.request", "body": body, "more_body": False}]
    messages: list[Message] = []

    async def receive() -> Message:
        if requests:
            return requests.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        messages.append(message)

    async with asyncio.timeout(10):
        await app(scope, receive, send)
    start = messages[0]
    return Answer(
        start["status"],
        {name.decode(): value.decode() for name, value in start["headers"]},
        b"".join(message.get("body", b"") for message in messages[1:]),
    )


def ask(app: ASGIApp, method: str, target: str, **options: object) -> Answer:
    """Call from a test that has no event loop of its own."""
    return asyncio.run(call(app, method, target, **options))  # type: ignore[arg-type]
