"""The router of images over a fake: what reaches the calls, and the shapes of old versions."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest
from starlette.requests import ClientDisconnect

from pyd_api.errors import ConflictError, InvalidRequestError, NotFoundError
from pyd_guest.api import images as api_images
from pyd_guest.api.app import build_app
from pyd_guest.api.crossing import Workers
from pyd_guest.api.edge import Edge
from pyd_guest.api.image_upload import Upload
from pyd_guest.api.stream import Progress
from support.asgi import ask


class FakeImages:
    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def list(
        self, filters: Mapping[str, Sequence[str]], *, shared_size: bool
    ) -> Sequence[dict[str, object]]:
        self.calls.append(("list", filters, shared_size))
        return [{"Id": "x", "Size": 7, "RepoTags": [], "RepoDigests": []}]

    def inspect(self, name: str) -> dict[str, object]:
        if name == "nosuch":
            raise NotFoundError("No such image: nosuch:latest")
        self.calls.append(("inspect", name))
        return {"Id": "x", "Size": 7, "Config": {"Cmd": ["sh"]}}

    def history(self, name: str) -> Sequence[dict[str, object]]:
        self.calls.append(("history", name))
        return []

    def tag(self, name: str, repository: str, tag: str) -> None:
        self.calls.append(("tag", name, repository, tag))

    def remove(self, name: str, *, force: bool) -> Sequence[dict[str, str]]:
        if not force:
            raise ConflictError("conflict: in use")
        self.calls.append(("remove", name))
        return [{"Untagged": name}]

    def load(self, file: api_images.File, progress: Progress, *, quiet: bool) -> None:
        size = 0
        while data := file.read(100):
            size += len(data)
        if not size:
            raise InvalidRequestError("empty archive")
        self.calls.append(("load", size, quiet))
        progress({"stream": "Loaded image: x\n"})
        raise InvalidRequestError("later")

    def import_archive(self, file: api_images.File, progress: Progress, **options: object) -> None:
        self.calls.append(("import", file.read(10), options))
        progress({"status": "sha256:1"})

    def pull(
        self, name: str, tag: str, progress: Progress, *, auth: str | None, platform: str | None
    ) -> None:
        self.calls.append(("pull", name, tag, auth, platform))
        if name == "none":
            raise NotFoundError("manifest for none not found")
        progress({"status": "Pulling from x", "id": tag})


@pytest.fixture
def images() -> FakeImages:
    return FakeImages()


@pytest.fixture
def app(images: FakeImages) -> Edge:
    return build_app(api_images.router(images, Workers()), version="1")


def test_list_and_its_old_shapes(images: FakeImages, app: Edge) -> None:
    found = ask(app, "GET", '/images/json?shared-size=1&filters={"label":["a=b"]}').json()
    assert found == [{"Id": "x", "Size": 7, "RepoTags": [], "RepoDigests": []}]
    assert images.calls == [("list", {"label": ["a=b"]}, True)]
    assert ask(app, "GET", "/v1.43/images/json").json() == [
        {"Id": "x", "Size": 7, "RepoTags": [], "RepoDigests": [], "VirtualSize": 7}
    ]
    assert ask(app, "GET", "/v1.24/images/json").json() == [
        {
            "Id": "x",
            "Size": 7,
            "VirtualSize": 7,
            "RepoTags": ["<none>:<none>"],
            "RepoDigests": ["<none>@<none>"],
        }
    ]
    answer = ask(app, "GET", '/images/json?filters={"until":["1"]}')
    assert (answer.status, answer.message) == (400, "invalid filter 'until'")


def test_inspect_and_its_old_shapes(images: FakeImages, app: Edge) -> None:
    shape = {"Id": "x", "Size": 7, "Config": {"Cmd": ["sh"]}}
    assert ask(app, "GET", "/images/a/b:c/json").json() == shape
    assert images.calls == [("inspect", "a/b:c")]
    old = ask(app, "GET", "/v1.30/images/x/json").json()
    assert isinstance(old, dict)
    assert (old["VirtualSize"], old["Config"]["Hostname"], old["Config"]["Cmd"]) == (7, "", ["sh"])
    assert old["ContainerConfig"]["Env"] is None
    assert "ContainerConfig" not in json.dumps(ask(app, "GET", "/v1.45/images/x/json").json())
    answer = ask(app, "GET", "/images/nosuch/json")
    assert (answer.status, answer.message) == (404, "No such image: nosuch:latest")


def test_the_small_verbs(images: FakeImages, app: Edge) -> None:
    assert ask(app, "GET", "/images/r.example:5000/a/history").json() == []
    assert ask(app, "POST", "/images/a/tag?repo=b/c&tag=d").status == 201
    assert ask(app, "DELETE", "/images/a/b?force=1").json() == [{"Untagged": "a/b"}]
    assert ask(app, "DELETE", "/images/a").message == "conflict: in use"
    assert images.calls == [
        ("history", "r.example:5000/a"),
        ("tag", "a", "b/c", "d"),
        ("remove", "a/b"),
    ]


def test_load(images: FakeImages, app: Edge) -> None:
    head = {"content-type": "application/x-tar"}
    answer = ask(app, "POST", "/images/load", body=b"x" * 100_000, headers=head)
    assert answer.status == 200
    said = [json.loads(line) for line in answer.body.splitlines()]
    assert said == [
        {"stream": "Loaded image: x\n"},
        {"errorDetail": {"message": "later"}, "error": "later"},
    ]
    ask(app, "POST", "/images/load?quiet=0", body=b"x", headers=head)
    assert images.calls == [("load", 100_000, True), ("load", 1, False)]
    assert ask(app, "POST", "/images/load").message == "empty archive"
    answer = ask(app, "POST", "/images/load?platform={}", body=b"x", headers=head)
    assert answer.status == 501


def test_import(images: FakeImages, app: Edge) -> None:
    query = "fromSrc=-&repo=r&tag=t&message=m&changes=CMD+a&changes=ENV+b%3Dc"
    ask(app, "POST", f"/images/create?{query}", body=b"tar")
    assert images.calls == [
        (
            "import",
            b"tar",
            {
                "repository": "r",
                "tag": "t",
                "message": "m",
                "changes": ["CMD a", "ENV b=c"],
                "platform": None,
            },
        ),
    ]
    assert ask(app, "POST", "/images/create?fromSrc=http://x/").status == 501
    assert ask(app, "POST", "/images/create").status == 400


def test_pull(images: FakeImages, app: Edge) -> None:
    answer = ask(
        app,
        "POST",
        "/images/create?fromImage=x&tag=1&platform=linux/arm64",
        headers={"x-registry-auth": "secret"},
    )
    assert json.loads(answer.body) == {"status": "Pulling from x", "id": "1"}
    assert images.calls == [("pull", "x", "1", "secret", "linux/arm64")]
    answer = ask(app, "POST", "/images/create?fromImage=none&tag=1")
    assert (answer.status, answer.message) == (404, "manifest for none not found")


def test_an_upload_is_read_in_bounded_memory() -> None:
    async def stream() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield bytes(1 << 16)

    async def main() -> tuple[int, int]:
        upload, largest, total = Upload(), 0, 0
        read = threading.Event()

        def drain() -> int:
            nonlocal largest
            size = 0
            read.wait(5)
            while data := upload.read(100_000):
                size += len(data)
                largest = max(largest, upload._held)
            return size

        filling = asyncio.create_task(upload.fill(stream()))
        draining = asyncio.create_task(asyncio.to_thread(drain))
        await asyncio.sleep(0.05)
        assert not filling.done()
        read.set()
        total = await draining
        await filling
        return total, largest

    total, largest = asyncio.run(main())
    assert total == 200 << 16
    assert largest <= (4 << 20) + (1 << 16)


def test_a_client_that_leaves_in_the_middle_of_an_upload() -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield b"half"
        raise ClientDisconnect

    async def main() -> None:
        upload = Upload()
        await upload.fill(stream())
        assert upload.read(10) == b"half"
        with pytest.raises(InvalidRequestError, match="unexpected EOF"):
            upload.read(10)

    asyncio.run(main())
