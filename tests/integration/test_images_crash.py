"""G1, G5, G7: killed or out of space at every single change that a load or a removal makes."""

import fcntl
import io
import os
import sqlite3
import struct
import subprocess
from functools import partial
from pathlib import Path

import pytest

from pyd_api.digest import digest_of
from pyd_api.errors import PydError
from pyd_guest.images.load import load
from pyd_guest.images.removal import remove
from support.crash_points import SURVIVED, arm, fail, kill, run
from support.image_stores import Users, inventory, opened
from support.tarballs import Member, one_image, tar

pytestmark = pytest.mark.needs("root")
ARCHIVE = one_image(tar(Member("f", b"1")), tar(Member("g", b"2")))
KILLED = -9


def work(root: Path, verb: str, how: str, count: int) -> int:
    """Do it and be stopped at change ``count``; a failure must leave the store as it was."""
    with opened(root) as images:
        before = inventory(root)
        arm(count, kill if how == "kill" else fail)
        try:
            if verb == "load":
                load(images, io.BytesIO(ARCHIVE), lambda _: None)
            else:
                remove(images, Users(), "made:one", force=True)
        except (PydError, OSError):
            images.snapshots._sweeper.close()
            assert verb != "load" or inventory(root) == before, inventory(root)
            assert verb != "load" or images.ids() == []
            return SURVIVED
    return 0


def check(root: Path, *, again: bool) -> bool:
    """Open the store anew: the image is whole or not there, nothing else is, it can be loaded."""
    with opened(root) as images:
        images.snapshots._sweeper.close()
        there = bool(images.ids())
        held = inventory(root)
        if there:
            image = images.get("made:one")
            assert image.top is not None
            assert len(images.snapshots.layers.lowers(image.top)) == 2
        else:
            assert held == []
        if not again:
            return there
        load(images, io.BytesIO(ARCHIVE), lambda _: None)
        images.snapshots._sweeper.close()
        whole = inventory(root)
        # two layers, the topmost's engine-made one, two blobs and a config
        assert len(whole) == 6, whole
    return there


def each_point(tmp_path: Path, verb: str, how: str) -> list[tuple[int, bool]]:
    """Run with one more step each time until it is through; return what each run left."""
    seen = []
    for count in range(1, 200):
        root = tmp_path / f"{count}"
        with opened(root) as images:
            if verb == "remove":
                load(images, io.BytesIO(ARCHIVE), lambda _: None)
        status = run(partial(work, root, verb, how, count))
        assert status in (0, KILLED if how == "kill" else SURVIVED), (count, status)
        seen.append((status, check(root, again=count % 5 == 0)))
        if status == 0 and (how == "kill" or len(seen) > 30):
            break
    return seen


@pytest.mark.parametrize("how", ["kill", "fail"])
def test_g1_g7_a_load_that_is_stopped_anywhere(tmp_path: Path, how: str) -> None:
    seen = each_point(tmp_path, "load", how)
    assert seen[-1] == (0, True)
    assert len(seen) > 10
    there = [there for _, there in seen]
    assert there == sorted(there)  # once it is there, it stays there


def test_a_removal_that_is_killed_anywhere(tmp_path: Path) -> None:
    seen = each_point(tmp_path, "remove", "kill")
    assert seen[-1] == (0, False)
    assert len(seen) > 2


def test_g5_a_power_cut_right_after_the_answer(tmp_path: Path) -> None:
    disk, place = tmp_path / "disk", tmp_path / "place"
    place.mkdir()
    with disk.open("wb") as file:
        file.truncate(96 << 20)
    subprocess.run(["mkfs.ext4", "-q", disk], check=True)
    subprocess.run(["mount", "-o", "loop", disk, place], check=True)
    try:
        with opened(place / "data") as images:
            load(images, io.BytesIO(ARCHIVE), lambda _: None)
            (place / "unsynced").write_text("lost")
            fd = os.open(place, os.O_RDONLY)
            # EXT4_IOC_SHUTDOWN, without writing the journal: what was not synced is lost.
            fcntl.ioctl(fd, 0x8004587D, struct.pack("I", 2))
            os.close(fd)
    except (OSError, sqlite3.Error):
        pass  # closing the database on a dead disk
    finally:
        subprocess.run(["umount", place], check=True)
    subprocess.run(["mount", "-o", "loop", disk, place], check=True)
    try:
        with opened(place / "data") as images:
            assert not (place / "unsynced").exists()
            image = images.get("made:one")
            top = images.snapshots.layers.path(image.top or pytest.fail("no layer"))
            assert (top / "g").read_bytes() == b"2"
            base = images.snapshots.layers.path(image.config.chain_ids[0])
            assert (base / "f").read_bytes() == b"1"
            assert images.snapshots.layers.blobs() == {
                digest_of(layer) for layer in (tar(Member("f", b"1")), tar(Member("g", b"2")))
            }
            images.snapshots.prepare("key", image.top)
    finally:
        subprocess.run(["umount", place], check=True)
