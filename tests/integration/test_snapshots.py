"""Snapshots on real overlay mounts: what a container sees, and what failures leave."""

import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyd_api.digest import ChainID
from pyd_api.errors import ConflictError, InternalError
from pyd_guest.images.load import load
from pyd_guest.images.store import Images
from pyd_guest.linux.mount import mount_points, unmount
from support.image_stores import inventory, opened
from support.tarballs import Member, directory, link, one_image, tar

pytestmark = pytest.mark.needs("root")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Images]:
    with opened(tmp_path / "data") as images:
        yield images


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "mnt"
    path.mkdir()
    yield path
    for point in mount_points(path):
        unmount(point)


def add(images: Images, *layers: bytes) -> ChainID:
    load(images, io.BytesIO(one_image(*layers)), lambda _: None)
    top = images.get("made:one").top
    assert top is not None
    return top


def test_layers_whiteouts_and_the_writable_layer(store: Images, target: Path) -> None:
    top = add(
        store,
        tar(
            directory("./", 0o751, uid=7),
            Member("a", b"1"),
            Member("d/x", b"1"),
            Member("d/y", b"1"),
            Member("o/low", b"1"),
        ),
        tar(
            Member(".wh.a"),
            Member("d/.wh.x"),
            directory("o"),
            Member("o/.wh..wh..opq"),
            Member("o/high", b"2"),
            directory("./", 0o751, uid=7),
        ),
    )
    snapshots = store.snapshots
    snapshots.prepare("key", top)
    snapshots.mount("key", target)
    assert not (target / "a").exists()
    assert [p.name for p in (target / "d").iterdir()] == ["y"]
    assert [p.name for p in (target / "o").iterdir()] == ["high"]
    assert (stat.S_IMODE(target.stat().st_mode), target.stat().st_uid) == (0o751, 7)
    (target / "new").write_text("12345")
    unmount(target)
    assert snapshots.diff_size("key") == 5
    assert snapshots.keys() == {"key"}
    snapshots.mount("key", target)
    assert (target / "new").read_text() == "12345"
    unmount(target)
    snapshots.remove("key")
    snapshots.remove("key")
    assert snapshots.keys() == set()


def test_a7_opaque_root_hides_all_layers_below(store: Images, target: Path) -> None:
    top = add(store, tar(Member("low", b"1")), tar(Member(".wh..wh..opq"), Member("high", b"1")))
    store.snapshots.prepare("key", top)
    store.snapshots.mount("key", target)
    assert (target / "high").exists()
    assert not (target / "low").exists()


def test_d1_d2_links_where_the_runtime_mounts_are_replaced(store: Images, target: Path) -> None:
    top = add(
        store,
        tar(
            link("proc", "/host"),
            link("sys", "../../.."),
            link("dev", "etc"),
            link("etc", "/tmp/elsewhere"),
            Member(".dockerenv", b"x"),
            directory("keep"),
        ),
    )
    store.snapshots.prepare("key", top)
    store.snapshots.mount("key", target)
    for name in ("proc", "sys", "dev", "dev/pts", "dev/shm", "etc"):
        assert stat.S_ISDIR((target / name).lstat().st_mode), name
    for name in (".dockerenv", "etc/hosts", "etc/hostname", "etc/resolv.conf", "dev/console"):
        state = (target / name).lstat()
        assert (stat.S_ISREG(state.st_mode), state.st_size) == (True, 0), name
    assert (target / "etc/mtab").readlink() == Path("/proc/mounts")
    assert (target / "keep").is_dir()
    assert not Path("/tmp/elsewhere").exists()


def test_no_image_at_all(store: Images, target: Path) -> None:
    store.snapshots.prepare("key", None)
    store.snapshots.mount("key", target)
    assert sorted(p.name for p in target.iterdir()) == [".dockerenv", "dev", "etc", "proc", "sys"]


def test_more_than_a_hundred_layers(store: Images, target: Path) -> None:
    top = add(store, *(tar(Member(f"f{n}", b"%d" % n)) for n in range(125)))
    key = "k" * 64
    store.snapshots.prepare(key, top)
    store.snapshots.mount(key, target, volatile=True)
    assert (target / "f0").read_bytes() == b"0"
    assert (target / "f124").read_bytes() == b"124"


def test_a_volatile_snapshot_can_be_mounted_again(store: Images, target: Path) -> None:
    top = add(store, tar(Member("f", b"1")))
    store.snapshots.prepare("key", top)
    for volatile in (True, True, False, True):
        store.snapshots.mount("key", target, volatile=volatile)
        unmount(target)


def test_a_taken_key_is_a_conflict(store: Images) -> None:
    store.snapshots.prepare("key", None)
    with pytest.raises(ConflictError):
        store.snapshots.prepare("key", None)
    assert store.snapshots.keys() == {"key"}
    for bad in ("", ".", "..", "a/b", "a\0b", "a:b"):
        with pytest.raises(InternalError):
            store.snapshots.prepare(bad, None)


def test_g8_a_missing_layer_is_named_and_loading_repairs_it(store: Images, target: Path) -> None:
    layers = tar(Member("f", b"1")), tar(Member("g", b"1"))
    top = add(store, *layers)
    store.snapshots.prepare("before", top)
    lost = store.snapshots.layers.path(top).parent
    lost.rename(target.parent / "stolen")
    with pytest.raises(InternalError, match=top):
        store.snapshots.prepare("key", top)
    with pytest.raises(InternalError, match=top):
        store.snapshots.mount("before", target)
    assert store.snapshots.keys() == {"before"}
    assert add(store, *layers) == top
    store.snapshots.prepare("key", top)
    store.snapshots.mount("key", target)
    assert (target / "g").exists()
    assert (target / "f").exists()


def test_preparing_over_an_unknown_layer_leaves_nothing(store: Images) -> None:
    with pytest.raises(InternalError, match="missing"):
        store.snapshots.prepare("key", ChainID("sha256:" + "0" * 64))
    assert store.snapshots.keys() == set()


def test_a_failed_mount_leaves_nothing(store: Images, target: Path) -> None:
    store.snapshots.prepare("key", None)
    with pytest.raises(InternalError, match="cannot mount the root file system: No such file"):
        store.snapshots.mount("key", target / "nowhere")
    assert mount_points(target.parent) == []


def test_what_a_killed_daemon_left_goes_at_the_next_start(tmp_path: Path) -> None:
    root = tmp_path / "data"
    with opened(root) as images:
        add(images, tar(Member("f", b"1")))
        images.snapshots._sweeper.close()
        before = inventory(root)
        (root / "snapshots/temp/half/fs/d").mkdir(parents=True)
        (root / "snapshots/layers/abcdef/fs").mkdir(parents=True)
        (root / "snapshots/layers/abcdef.init/fs").mkdir(parents=True)
        (root / "snapshots/active/half/upper").mkdir(parents=True)
        (root / "content/ingest/half").write_bytes(b"x")
        (root / "content/blobs/sha256" / ("0" * 64)).write_bytes(b"x")
    with opened(root) as images:
        images.snapshots._sweeper.close()
        assert inventory(root) == before


def test_trees_that_are_too_deep_for_paths_can_be_removed(store: Images, target: Path) -> None:
    store.snapshots.prepare("key", None)
    upper = store.snapshots.directories("key")[0]
    fd = os.open(upper, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("deep", dir_fd=fd)
        below = os.open("deep", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    assert store.snapshots.diff_size("key") == 0
    store.snapshots.remove("key")
    store.snapshots._sweeper.close()
    assert list((target.parent / "data/snapshots/temp").iterdir()) == []


def test_i5_nobody_else_may_enter_the_store(store: Images, tmp_path: Path) -> None:
    add(store, tar(Member("su", b"1", mode=0o4755)))
    for place in (
        "content",
        "content/blobs",
        "snapshots/layers",
        "snapshots/active",
        "snapshots/temp",
    ):
        assert stat.S_IMODE((tmp_path / "data" / place).stat().st_mode) & 0o077 == 0, place
    assert stat.S_IMODE((tmp_path / "data/snapshots").stat().st_mode) & 0o007 == 0


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "data"
    with opened(root):
        pass
    (root / "snapshots/version").write_text("2\n")
    with pytest.raises(InternalError, match="format 2"), opened(root):
        pass
