"""The working directory is made inside the root, whatever links the image holds."""

import os
from pathlib import Path

import pytest

from pyd_api.errors import InvalidRequestError
from pyd_guest.runtime import workdir

pytestmark = pytest.mark.needs("root")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "root"
    (made / "etc").mkdir(parents=True)
    (made / "etc/passwd").write_text("")
    return made


def test_a_missing_directory_is_made_and_is_roots(root: Path) -> None:
    workdir.ensure(root, "/a/b/c")
    owners = [(root / part).stat().st_uid for part in ("a", "a/b", "a/b/c")]
    assert owners == [0, 0, 0]
    assert (root / "a/b/c").stat().st_mode & 0o777 == 0o755


def test_one_that_is_there_keeps_its_owner(root: Path) -> None:
    os.chown(root / "etc", 7, 8)
    workdir.ensure(root, "/etc")
    assert (root / "etc").stat().st_uid == 7


@pytest.mark.parametrize("target", ["/out", "../../../../out", "../out"])
def test_links_lead_nowhere_else(root: Path, tmp_path: Path, target: str) -> None:
    (tmp_path / "out").mkdir()
    (root / "out").mkdir()
    (root / "link").symlink_to(target)
    workdir.ensure(root, "/link/new")
    assert (root / "out/new").is_dir()
    assert not (tmp_path / "out/new").exists()


@pytest.mark.parametrize("cwd", ["/etc/passwd", "/etc/passwd/x", "/dangling/x"])
def test_something_is_in_the_way(root: Path, cwd: str) -> None:
    (root / "dangling").symlink_to("/none")
    with pytest.raises(InvalidRequestError, match="Cannot mkdir"):
        workdir.ensure(root, cwd)
    assert not (root / "none").exists()
