"""Layers onto a real file system: what belongs there, and every way an archive tries to escape."""

import gzip
import io
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyd_api.errors import InvalidRequestError
from pyd_guest.snapshots.trees import remove_tree
from pyd_guest.snapshots.unpack import OutOfSpaceError, unpack
from support.tarballs import Member, digest, directory, hard_link, header, link, padded, tar

pytestmark = pytest.mark.needs("root")
CANARY = "untouched"
OPAQUE = "trusted.overlay.opaque"


class Place:
    """A layer's root with a canary beside it."""

    def __init__(self, base: Path) -> None:
        self.root = base / "outside" / "layer"
        self.root.mkdir(parents=True)
        self.canary = base / "outside" / "canary"
        self.canary.write_text(CANARY)
        self.canary.chmod(0o640)

    def unpack(
        self, *members: Member, raw: bytes | None = None, **more: object
    ) -> dict[str, object]:
        data = tar(*members) if raw is None else raw
        options: dict[str, object] = {"diff_id": None} | more
        fd = os.open(self.root, os.O_RDONLY)
        try:
            return unpack(io.BytesIO(data), fd, **options)  # type: ignore[arg-type]
        finally:
            os.close(fd)

    def safe(self) -> bool:
        state = self.canary.stat()
        return (
            self.canary.read_text() == CANARY
            and stat.S_IMODE(state.st_mode) == 0o640
            and sorted(p.name for p in self.root.parent.iterdir()) == ["canary", "layer"]
        )


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    before = os.umask(0)  # as in the worker process
    place = Place(tmp_path)
    yield place
    os.umask(before)
    safe = place.safe()
    fd = os.open(place.root.parent, os.O_RDONLY)
    remove_tree(fd, "layer")  # its names are no matter for pytest's own removal
    os.close(fd)
    assert safe


def is_whiteout(path: Path) -> bool:
    state = path.lstat()
    return stat.S_ISCHR(state.st_mode) and state.st_rdev == 0


def is_opaque(path: Path) -> bool:
    try:
        return os.getxattr(path, OPAQUE) == b"y"
    except OSError:
        return False


def test_everything_a_layer_may_hold(place: Place) -> None:
    answer = place.unpack(
        directory("./", 0o711, uid=3, gid=4, mtime=5),
        directory("d", 0o2775, uid=1, gid=2, mtime=1_000_000_000),
        Member("d/plain", b"data", mode=0o4711, uid=7, gid=8, mtime=1_234_567_890),
        Member("d/rooted", b"x" * 3_000_000, mode=0o6755),
        link("d/link", "../nowhere"),
        hard_link("d/again", "d/plain"),
        Member("d/fifo", kind=tarfile.FIFOTYPE, mode=0o622),
        Member("d/null", kind=tarfile.CHRTYPE, mode=0o666, device=(1, 3)),
        Member("d/disk", kind=tarfile.BLKTYPE, mode=0o660, device=(8, 0)),
        Member("sticky/deep/file", b"", mode=0o600),
    )
    assert answer["size"] == 3_000_000 + 4 + len("../nowhere")
    root = place.root
    state = (root / "d/plain").stat()
    assert (stat.S_IMODE(state.st_mode), state.st_uid, state.st_gid) == (0o4711, 7, 8)
    assert (state.st_mtime, state.st_nlink) == (1_234_567_890, 2)
    assert stat.S_IMODE((root / "d/rooted").stat().st_mode) == 0o6755
    state = (root / "d").stat()
    assert (stat.S_IMODE(state.st_mode), state.st_uid, state.st_gid) == (0o2775, 1, 2)
    assert state.st_mtime == 1_000_000_000
    state = root.stat()
    assert (stat.S_IMODE(state.st_mode), state.st_uid, state.st_mtime) == (0o711, 3, 5)
    assert (root / "d/link").readlink() == Path("../nowhere")
    assert (root / "d/null").stat().st_rdev == os.makedev(1, 3)
    assert stat.S_ISBLK((root / "d/disk").stat().st_mode)
    assert stat.S_ISFIFO((root / "d/fifo").stat().st_mode)
    assert stat.S_IMODE((root / "sticky/deep").stat().st_mode) == 0o755


def test_whiteouts_and_opaque_directories(place: Place) -> None:
    place.unpack(
        directory("a"),
        Member("a/.wh.gone"),
        Member(".wh.tree"),
        directory("b"),
        Member("b/.wh..wh..opq"),
        Member("b/kept", b"1"),
        Member(".wh..wh.plnk"),
        directory(".wh..wh.orph"),
        Member(".wh..wh.orph/x", b"1"),
    )
    assert is_whiteout(place.root / "a/gone")
    assert is_whiteout(place.root / "tree")
    assert is_opaque(place.root / "b")
    assert not is_opaque(place.root / "a")
    assert sorted(p.name for p in place.root.iterdir()) == ["a", "b", "tree"]


@pytest.mark.parametrize("first", [True, False])
def test_a7_a_marker_hides_lower_layers_only(place: Place, first: bool) -> None:
    markers = [Member("d/.wh..wh..opq"), Member(".wh.f"), Member(".wh.e")]
    content = [directory("d"), Member("d/x", b"1"), Member("f", b"2"), Member("e/y", b"3")]
    place.unpack(*(markers + content if first else content + markers))
    assert (place.root / "d/x").read_bytes() == b"1"
    assert (place.root / "f").read_bytes() == b"2"
    assert (place.root / "e/y").read_bytes() == b"3"
    assert is_opaque(place.root / "d")
    assert is_opaque(place.root / "e")  # what was there before is gone, not merged


@pytest.mark.parametrize("name", ["../../etc/x", "a/../../x", "..", "../canary", "a/b/../../../x"])
def test_a1_dot_dot_names_are_refused(place: Place, name: str) -> None:
    with pytest.raises(InvalidRequestError, match="leaves the layer"):
        place.unpack(Member(name, b"bad"))


def test_a2_absolute_names_are_below_the_root(place: Place) -> None:
    place.unpack(Member(f"/{CANARY}/etc/passwd", b"x"), Member("//a//./b", b"y"))
    assert (place.root / CANARY / "etc/passwd").read_bytes() == b"x"
    assert (place.root / "a/b").read_bytes() == b"y"


def test_a3_write_through_a_symlink(place: Place) -> None:
    outside = str(place.canary.parent)
    place.unpack(
        directory("real"),
        link("abs", "/real"),
        Member("abs/one", b"1"),
        link("up", "../../../../real"),
        Member("up/two", b"2"),
    )
    assert sorted(p.name for p in (place.root / "real").iterdir()) == ["one", "two"]
    with pytest.raises(InvalidRequestError):
        place.unpack(link("host", outside), Member("host/canary", b"bad"))
    with pytest.raises(InvalidRequestError):
        place.unpack(link("self", "self"), Member("self/x", b"bad"))


def test_a3_a_link_that_replaces_a_directory_is_followed_afresh(place: Place) -> None:
    place.unpack(
        directory("a"),
        Member("a/old", b"1"),
        directory("b"),
        link("a", "b"),
        Member("a/new", b"2"),
    )
    assert (place.root / "a").is_symlink()
    assert sorted(p.name for p in (place.root / "b").iterdir()) == ["new"]


def test_a3_files_replace_links_and_never_go_through_them(place: Place) -> None:
    place.unpack(
        link("l", str(place.canary)),
        Member("l", b"mine"),
        link("m", "l"),
        directory("m"),
        Member("m/x", b"1"),
    )
    assert (place.root / "l").read_bytes() == b"mine"
    assert (place.root / "m").is_dir()
    assert not (place.root / "m").is_symlink()


def test_a4_hard_links_stay_inside(place: Place) -> None:
    place.unpack(
        Member("etc/shadow", b"own"),
        hard_link("x", "/etc/shadow"),
        hard_link("y", "../../../etc/shadow"),
    )
    assert (place.root / "x").samefile(place.root / "etc/shadow")
    assert (place.root / "y").samefile(place.root / "etc/shadow")
    for target in ("../canary", "/nowhere", str(place.canary)):
        with pytest.raises(InvalidRequestError, match="hard link"):
            place.unpack(hard_link("new/parent/z", target))
        assert not (place.root / "new").exists()
    with pytest.raises(InvalidRequestError):
        place.unpack(link("out", str(place.canary)), hard_link("w", "out/x"))
    place.unpack(hard_link("viaself", "x"), hard_link("x", "x"))


def test_a4_a_hard_link_to_a_link_does_not_follow_it(place: Place) -> None:
    place.unpack(link("l", str(place.canary)), hard_link("h", "l"))
    assert (place.root / "h").is_symlink()
    assert place.canary.stat().st_nlink == 1


def test_a5_metadata_never_goes_through_links(place: Place) -> None:
    place.unpack(
        Member("l", kind=tarfile.SYMTYPE, link=str(place.canary), mode=0o4777, uid=9, mtime=1),
        directory("d", 0o4777),
        Member("d", kind=tarfile.SYMTYPE, link=str(place.canary), mode=0o4777, uid=9, mtime=1),
    )
    assert place.canary.stat().st_uid == 0


@pytest.mark.parametrize(
    "name", [".wh.", ".wh..", ".wh...", "d/.wh.", "d/.wh..", "d/.wh...", ".wh..wh.", ".wh.x/y"]
)
def test_a6_crooked_whiteouts_are_refused(place: Place, name: str) -> None:
    with pytest.raises(InvalidRequestError, match="whiteout"):
        place.unpack(directory("d"), Member("d/kept", b"1"), Member(name))
    assert (place.root / "d/kept").exists()


def test_a8_overlay_attributes_are_dropped(place: Place) -> None:
    pax = {
        f"SCHILY.xattr.{name}": "y"
        for name in (
            "trusted.overlay.redirect",
            "trusted.overlay.metacopy",
            "trusted.overlay.opaque",
            "user.overlay.opaque",
            "trusted.other",
        )
    }
    place.unpack(directory("d", pax=pax), Member("f", b"1", pax=pax | {"SCHILY.xattr.user.k": "v"}))
    assert os.listxattr(place.root / "d") == []
    assert os.listxattr(place.root / "f") == ["user.k"]


def test_a9_capabilities_and_refused_attributes(place: Place) -> None:
    capability = "\x01\x00\x00\x02\x00\x04" + "\x00" * 14
    answer = place.unpack(
        Member(
            "ping", b"1", mode=0o755, uid=5, pax={"SCHILY.xattr.security.capability": capability}
        ),
        Member("odd", b"1", pax={"SCHILY.xattr.nonsense.name": "x"}),
    )
    assert os.getxattr(place.root / "ping", "security.capability") == capability.encode()
    assert "nonsense.name" in str(answer["warnings"])


def test_a14_the_reserve_stops_a_bomb_and_a15_sparse_files_cost_nothing(place: Place) -> None:
    with pytest.raises(OutOfSpaceError):
        place.unpack(Member("f", b"1"), reserve=1 << 60)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html></html>",
        b'{"errors": []}' * 100,
        os.urandom(5000),
        gzip.compress(b"<html>" * 1000),
        header(b"f", length=1 << 33),
    ],
    ids=["empty", "html", "json", "noise", "packed html", "short"],
)
def test_a17_not_an_archive(place: Place, raw: bytes) -> None:
    if raw == b"":
        assert place.unpack(raw=raw)["size"] == 0  # a layer without entries is one
        return
    with pytest.raises(InvalidRequestError):
        place.unpack(raw=raw)


def test_a19_wrong_diff_id(place: Place) -> None:
    data = tar(Member("f", b"1"))
    assert place.unpack(raw=data, diff_id=digest(data))["diff_id"] == digest(data)
    with pytest.raises(InvalidRequestError, match="wrong diff id"):
        place.unpack(raw=gzip.compress(data), diff_id=digest(b"other"))


def test_type_changes_within_one_layer(place: Place) -> None:
    place.unpack(
        Member("x", b"1"),
        directory("x"),
        Member("x/y", b"2"),
        Member("x", b"3"),
        Member("z/a/b", b"4"),
        link("z", "x"),
        directory("z"),
        Member("z/c", b"5"),
    )
    assert (place.root / "x").read_bytes() == b"3"
    assert sorted(p.name for p in (place.root / "z").iterdir()) == ["c"]


def test_names_that_the_file_system_refuses(place: Place) -> None:
    with pytest.raises(InvalidRequestError, match="File name too long"):
        place.unpack(Member("n" * 300, b""))


def test_deep_trees_and_many_directories(place: Place) -> None:
    members = [Member(f"d{n}/e/f", b"x") for n in range(400)]
    members += [Member(f"d{n}/e/g", b"y") for n in range(400)]
    place.unpack(Member("a/" * 300 + "x", b"1"), *members)
    assert (place.root / "d399/e/g").read_bytes() == b"y"


def test_sparse_files_keep_their_holes(place: Place) -> None:
    block = bytearray(header(b"s", kind=b"S", length=3))
    block[257:265] = b"ustar  \0"
    block[386:410] = b"%011o\0%011o\0" % (1 << 20, 3)
    block[483:495] = b"%011o\0" % (1 << 30)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    place.unpack(raw=bytes(block) + padded(b"abc"))
    state = (place.root / "s").stat()
    assert state.st_size == 1 << 30
    assert state.st_blocks < 100
