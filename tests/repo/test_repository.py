"""The repository's own rules: layout, links, targets, setup's words."""

import ast
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyd_api import errors

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("host/pyd_host", "vm/pyd_vm", "guest/pyd_api", "guest/pyd_guest")
LONGEST_MODULE = 400


def _modules() -> Iterator[Path]:
    for package in PACKAGES:
        yield from (ROOT / package).rglob("*.py")


def test_packages_are_typed() -> None:
    assert [package for package in PACKAGES if not (ROOT / package / "py.typed").exists()] == []


def test_init_modules_hold_a_docstring_only() -> None:
    for path in _modules():
        body = ast.parse(path.read_text()).body
        assert body, f"{path} is empty"
        assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"
        if path.name == "__init__.py":
            assert len(body) == 1, f"{path} holds more than a docstring"


def test_modules_are_short() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in _modules()
        if (lines := len(path.read_text().splitlines())) > LONGEST_MODULE
    }
    assert not long, "split by verb"


def test_every_error_has_a_status_of_its_own_and_a_line_in_the_tree() -> None:
    kinds = errors.ERRORS
    statuses = [kind.status for kind in kinds]
    assert len(set(statuses)) == len(statuses)
    tree = errors.__doc__ or ""
    for kind in kinds:
        assert re.search(rf"─ {kind.__name__}\s+{kind.status} ", tree), kind


def test_links_in_the_documents_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}"


def test_module_names_in_the_documents_exist() -> None:
    sources = [ROOT / "host", ROOT / "vm", ROOT / "guest"]
    for page in (ROOT / "docs").rglob("*.md"):
        for name in re.findall(r"`((?:pyd_\w+/)[\w/]+\.py)`", page.read_text()):
            assert any((source / name).exists() for source in sources), f"{page.name}: {name}"


def test_the_changelog_has_something_new() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    new = re.search(r"^## \[Unreleased\]\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert new
    assert re.search(r"^- ", new.group(1), re.MULTILINE)


@pytest.mark.needs("make")
def test_the_task_runner_names_its_targets() -> None:
    said = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    targets = {line.split()[0] for line in said.splitlines()}
    assert targets >= {
        "setup",
        "run",
        "stop",
        "test",
        "test-unit",
        "lint",
        "bench",
        "image",
        "dist",
    }


@pytest.mark.needs("make")
def test_the_image_is_honest_about_not_being_there() -> None:
    done = subprocess.run(["make", "image"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "not yet" in done.stderr


@pytest.fixture
def bare_path(tmp_path: Path) -> Path:
    """Return a PATH of a system without apt: only what the shell script itself calls."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in ("sh", "dirname", "uname", "id", "cat", "cksum"):
        (folder / program).symlink_to(shutil.which(program) or "/missing")
    return folder


def _setup(path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "scripts" / "setup.sh", "all"],
        env={"PATH": str(path), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_setup_elsewhere_says_what_to_install(bare_path: Path) -> None:
    done = _setup(bare_path)
    assert done.returncode == 1
    for program in ("conmon", "crun", "skopeo"):
        assert re.search(rf"\b{program}\b", done.stderr), done.stderr


def test_setup_on_another_system_says_so(bare_path: Path) -> None:
    (bare_path / "uname").unlink()
    (bare_path / "uname").write_text("#!/bin/sh\necho Darwin\n")
    (bare_path / "uname").chmod(0o755)
    done = _setup(bare_path)
    assert done.returncode == 1
    assert "Darwin" in done.stderr


def test_setup_without_root_names_the_packages(bare_path: Path) -> None:
    for program, answer in (("id", "1000"), ("apt-get", ""), ("dpkg-query", "")):
        (bare_path / program).unlink(missing_ok=True)
        (bare_path / program).write_text(f"#!/bin/sh\necho {answer}\n")
        (bare_path / program).chmod(0o755)
    done = _setup(bare_path)
    assert done.returncode == 1
    assert "root" in done.stderr
    assert "apt-get install conmon crun runc" in done.stderr


def test_setup_refuses_an_interpreter_that_is_too_old(bare_path: Path, tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    copy = tmp_path / "checkout"
    (copy / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "setup.sh", copy / "scripts")
    shutil.copy(ROOT / "pyproject.toml", copy)
    done = subprocess.run(
        [copy / "scripts" / "setup.sh", "venv"],
        env={**os.environ, "PATH": str(bare_path), "PYTHON": str(old)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"PYTHON={old} is not Python 3.11 or newer" in done.stderr
