"""Removal and listing by dockerd's rules, words taken from a real dockerd 28."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyd_api.errors import ConflictError, InvalidRequestError, NotFoundError
from pyd_api.ids import ContainerId
from pyd_api.reference import Reference
from pyd_guest.images.listing import list_images
from pyd_guest.images.load import load
from pyd_guest.images.removal import remove
from pyd_guest.images.store import Images
from pyd_guest.linux.mount import unmount
from support.image_stores import Events, Users, inventory, opened
from support.tarballs import Member, config, digest, docker_archive, one_image, tar

pytestmark = pytest.mark.needs("root")
LAYER, OTHER = tar(Member("a", b"1")), tar(Member("b", b"2"))
CONTAINER = ContainerId("6f84086a2e3a" + "0" * 52)


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def store(tmp_path: Path, events: Events) -> Iterator[Images]:
    with opened(tmp_path / "data", events) as images:
        yield images


@pytest.fixture
def users() -> Users:
    return Users()


def add(images: Images, *tags: str, layers: tuple[bytes, ...] = (LAYER,)) -> str:
    load(images, io.BytesIO(one_image(*layers, tags=tags)), lambda _: None)
    return images.get(tags[0]).id


def held(tmp_path: Path, images: Images) -> list[str]:
    images.snapshots._sweeper.close()
    return inventory(tmp_path / "data")


def test_names_go_one_by_one_and_the_image_with_the_last(
    store: Images, users: Users, events: Events, tmp_path: Path
) -> None:
    image = add(store, "x:1", "x:2")
    assert remove(store, users, "x:1") == [{"Untagged": "x:1"}]
    assert remove(store, users, "docker.io/library/x:2") == [
        {"Untagged": "x:2"},
        {"Deleted": image},
        {"Deleted": digest(LAYER)},
    ]
    assert [action for _, action, _ in events.seen] == ["load", "untag", "untag", "delete"]
    assert held(tmp_path, store) == []
    with pytest.raises(NotFoundError, match="No such image: x:2"):
        remove(store, users, "x:2")


def test_by_id(store: Images, users: Users) -> None:
    image = add(store, "x:1", "x:2")
    short = image[7:19]
    words = f"conflict: unable to delete {short} .must be forced. - image is referenced in multiple"
    with pytest.raises(ConflictError, match=words):
        remove(store, users, short)
    assert remove(store, users, short, force=True)[:3] == [
        {"Untagged": "x:1"},
        {"Untagged": "x:2"},
        {"Deleted": image},
    ]
    image = add(store, "x:1")
    assert remove(store, users, image)[:2] == [{"Untagged": "x:1"}, {"Deleted": image}]


@pytest.mark.parametrize("running", [True, False])
def test_containers_keep_their_image(store: Images, users: Users, *, running: bool) -> None:
    image = store.find_id(add(store, "x:1", "x:2"))
    users.of[image] = [(CONTAINER, running)]
    assert remove(store, users, "x:1") == [{"Untagged": "x:1"}]
    words = (
        r'conflict: unable to remove repository reference "x:2" \(must force\) - '
        "container 6f84086a2e3a is using its referenced image " + image[7:19]
    )
    with pytest.raises(ConflictError, match=words):
        remove(store, users, "x:2")
    how = "running" if running else "stopped"
    force = "cannot" if running else "must"
    words = rf"\({force} be forced\) - image is being used by {how} container 6f84086a2e3a"
    with pytest.raises(ConflictError, match=words):
        remove(store, users, image)
    records = remove(store, users, "x:2", force=True)
    if running:
        assert records == [{"Untagged": "x:2"}]  # the image stays, without a name
        with pytest.raises(ConflictError, match="cannot be forced"):
            remove(store, users, image, force=True)
    else:
        assert records[:2] == [{"Untagged": "x:2"}, {"Deleted": image}]


def test_layers_under_a_container_outlive_their_image(
    store: Images, users: Users, tmp_path: Path
) -> None:
    image = store.find_id(add(store, "x:1"))
    store.snapshots.prepare(CONTAINER, store.get("x:1").top)
    users.of[image] = [(CONTAINER, False)]
    assert remove(store, users, image, force=True) == [{"Untagged": "x:1"}, {"Deleted": image}]
    mountpoint = tmp_path / "m"
    mountpoint.mkdir()
    store.snapshots.mount(CONTAINER, mountpoint)
    assert (mountpoint / "a").exists()
    unmount(mountpoint)
    store.snapshots.remove(CONTAINER)
    assert held(tmp_path, store) == []


def test_shared_layers_stay_for_the_other_image(
    store: Images, users: Users, tmp_path: Path
) -> None:
    add(store, "x:1", layers=(LAYER, OTHER))
    add(store, "y:1", layers=(LAYER,))
    top = store.get("x:1").top
    assert remove(store, users, "x:1")[2:] == [{"Deleted": top}]
    assert len([n for n in held(tmp_path, store) if n.startswith("content/blobs")]) == 2
    assert remove(store, users, "y:1")[2:] == [{"Deleted": digest(LAYER)}]
    assert held(tmp_path, store) == []


def test_the_last_tag_takes_the_repository_digests(store: Images, users: Users) -> None:
    image = add(store, "r.example/x:1")
    name = "r.example/x@sha256:" + "5" * 64
    with store.db.transaction() as connection:
        connection.execute("INSERT INTO repo_digests VALUES (?, ?)", (name, image))
    assert store.get(name).id == image
    assert store.get("r.example/x:9@sha256:" + "5" * 64).id == image
    assert remove(store, users, "r.example/x:1")[:3] == [
        {"Untagged": "r.example/x:1"},
        {"Untagged": name},
        {"Deleted": image},
    ]


def test_tags(store: Images, events: Events) -> None:
    image = add(store, "x:1")
    store.tag("x:1", "other/name", "")
    store.tag(image[7:15], "127.0.0.1:5000/n", "v1")
    assert store.get("other/name:latest").id == image
    assert events.seen[1:] == [("image", "tag", image)] * 2
    assert [a["name"] for a in events.attributes[1:]] == [
        "other/name:latest",
        "127.0.0.1:5000/n:v1",
    ]
    store.tag("x:1", "", "x")  # dockerd does nothing either
    other = add(store, "y:1", layers=(OTHER,))
    store.tag("y:1", "x", "1")
    assert store.get("x:1").id == other
    for repository, tag, words in (
        ("BIG", "x", r"repository name \(library/BIG\) must be lowercase"),
        ("x", "a b", "invalid tag format"),
        ("x", "t" * 129, "invalid tag format"),
        ("a" * 64, "x", "cannot specify 64-byte hexadecimal strings"),
        ("x@sha256:" + "0" * 64, "", "digest reference"),
        ("x y", "", "invalid reference format"),
    ):
        with pytest.raises(InvalidRequestError, match=words):
            store.tag("y:1", repository, tag)
    with pytest.raises(NotFoundError, match="No such image: nosuch:latest"):
        store.tag("nosuch", "x", "1")


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("nosuch", NotFoundError, "No such image: nosuch:latest"),
        ("sha256:abc", NotFoundError, "No such image: sha256:abc"),
        ("0" * 64, NotFoundError, "No such image: sha256:" + "0" * 64),
        ("x@sha256:" + "0" * 64, NotFoundError, "No such image: x@sha256:0000"),
        ("UPPER", InvalidRequestError, "must be lowercase"),
        ("a:b:c", InvalidRequestError, "invalid reference format"),
        ("x:", InvalidRequestError, "invalid reference format"),
        ("x@", InvalidRequestError, "invalid reference format"),
        ("a" * 300, InvalidRequestError, "more than 255"),
        ("../../etc", InvalidRequestError, "invalid reference format"),
        ("", InvalidRequestError, "invalid reference format"),
        ("\u0430lpine", InvalidRequestError, "invalid reference format"),
    ],
)
def test_b12_names_that_are_not_there_or_none(
    store: Images, name: str, error: type[Exception], words: str
) -> None:
    add(store, "x:1")
    with pytest.raises(error, match=words):
        store.get(name)


def test_an_id_prefix_must_be_unambiguous(store: Images) -> None:
    seen: dict[str, str] = {}
    for n in range(20):
        data = config([LAYER], author=str(n))
        load(store, io.BytesIO(docker_archive((data, [LAYER], [f"n:{n}"]))), lambda _: None)
        first = digest(data)[7]
        if first in seen:
            break
        seen[first] = digest(data)
    with pytest.raises(NotFoundError):
        store.get(first)
    assert store.get(digest(data)[7:27]).id == digest(data)


def test_lists_and_filters(store: Images) -> None:
    for n, created in ((1, "2020-01-01T00:00:00Z"), (2, "2022-01-01T00:00:00Z")):
        data = config([LAYER], created=created, config={"Labels": {"k": str(n)}})
        archive = docker_archive((data, [LAYER], [f"img/x:{n}", f"y{n}:t"]))
        load(store, io.BytesIO(archive), lambda _: None)
    plain = config([OTHER], created="nonsense", config={})
    load(store, io.BytesIO(docker_archive((plain, [OTHER], []))), lambda _: None)

    def names(**filters: list[str]) -> list[object]:
        return [summary["RepoTags"] for summary in list_images(store, filters)]

    two, one = ["img/x:2", "y2:t"], ["img/x:1", "y1:t"]
    assert names() == [two, one, []]
    assert names(dangling=["true"]) == [[]]
    assert names(dangling=["0"]) == [two, one]
    assert names(label=["k"]) == [two, one]
    assert names(label=["k=1"]) == [one]
    assert names(label=["k=1", "z"]) == []
    assert names(reference=["img/*"]) == [["img/x:2"], ["img/x:1"]]
    assert names(reference=["y?:t"]) == [["y2:t"], ["y1:t"]]
    assert names(reference=["*"]) == [["y2:t"], ["y1:t"]]
    assert names(reference=["y1", "img/x:2"]) == [["img/x:2"], ["y1:t"]]
    assert names(before=["y2:t"]) == [one, []]
    assert names(since=["y1:t"]) == [two]
    with pytest.raises(InvalidRequestError, match="invalid filter 'bogus'"):
        names(bogus=["1"])
    with pytest.raises(InvalidRequestError, match=r"invalid filter 'dangling=\[maybe\]'"):
        names(dangling=["maybe"])
    with pytest.raises(NotFoundError):
        names(before=["nosuch"])
    assert store.tag_owner(Reference.parse("y1:t")) == store.get("img/x:1").id
