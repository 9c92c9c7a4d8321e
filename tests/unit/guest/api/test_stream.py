import asyncio
import threading

import pytest
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pyd_api.errors import NotFoundError
from pyd_guest.api import stream
from pyd_guest.api.app import build_app
from pyd_guest.api.edge import Edge
from pyd_guest.api.stream import Progress, json_stream
from support.asgi import ask


def serving(producer: object) -> Edge:
    routes = APIRouter()

    async def answer(_request: Request) -> Response:
        return await json_stream(producer)  # type: ignore[arg-type]

    routes.add_route("/x", answer, ["POST"])
    return build_app(routes, version="0.1.0")


def test_lines() -> None:
    def produce(progress: Progress) -> None:
        progress({"status": "one é"})
        progress({"status": "two", "progressDetail": {}})

    answer = ask(serving(produce), "POST", "/x")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.body.decode() == (
        '{"status":"one é"}\r\n{"status":"two","progressDetail":{}}\r\n'
    )


def test_a_failure_before_the_first_line_is_an_ordinary_answer() -> None:
    def produce(_progress: Progress) -> None:
        raise NotFoundError("no such image")

    answer = ask(serving(produce), "POST", "/x")
    assert (answer.status, answer.message) == (404, "no such image")


def test_a_failure_after_it_is_the_last_line() -> None:
    def produce(progress: Progress) -> None:
        progress({"status": "one"})
        raise NotFoundError("gone")

    answer = ask(serving(produce), "POST", "/x")
    assert answer.status == 200
    assert answer.body.endswith(b'{"errorDetail":{"message":"gone"},"error":"gone"}\r\n')


def test_a_bug_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    def produce(progress: Progress) -> None:
        progress({"status": "one"})
        raise RuntimeError("secret")

    answer = ask(serving(produce), "POST", "/x")
    assert b"internal error" in answer.body
    assert b"secret" not in answer.body
    assert "secret" in caplog.text


def test_silence_is_an_empty_answer() -> None:
    answer = ask(serving(lambda _: None), "POST", "/x")
    assert (answer.status, answer.body) == (200, b"")


def test_many_lines_wait_for_the_reader() -> None:
    def produce(progress: Progress) -> None:
        for number in range(5000):
            progress({"n": number})

    answer = ask(serving(produce), "POST", "/x")
    assert answer.body.count(b"\r\n") == 5000


def test_the_producer_stops_when_the_client_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_STALL_TIMEOUT_S", 5.0)
    stopped = threading.Event()

    def produce(progress: Progress) -> None:
        try:
            while True:
                progress({"status": "on and on"})
        except stream.ClientGoneError:
            stopped.set()
            raise

    async def main() -> None:
        response = await json_stream(produce)
        body = response.body_iterator  # type: ignore[attr-defined]
        assert await anext(body)
        await body.aclose()
        for _ in range(100):
            if await asyncio.to_thread(stopped.wait, 0.1):
                break

    asyncio.run(main())
    assert stopped.is_set()
