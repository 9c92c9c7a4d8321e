"""The test harness keeps its own promises: sandboxes end what they hold, inventories see leaks."""

import os
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import pytest

from support import sandbox
from support.inventory import take


def _state_db(root: Path) -> None:
    (root / "data").mkdir()
    with closing(sqlite3.connect(root / "data" / "state.db")) as connection:
        connection.execute("CREATE TABLE things(id TEXT PRIMARY KEY)")


def _lives(pid: int) -> bool:
    try:  # a dead process has no command line, waited for or not
        return bool(Path("/proc", str(pid), "cmdline").read_bytes())
    except OSError:
        return False


@pytest.mark.needs("root")
def test_a_sandbox_ends_everything_started_inside() -> None:
    with sandbox.opened() as inside:
        shell = "setsid sleep 600 & mkdir /sys/fs/cgroup/pids/made; exec sleep 600"
        if not Path("/sys/fs/cgroup/pids").exists():
            shell = shell.replace("/pids", "")
        direct = subprocess.Popen(inside.command("sh", "-c", shell), start_new_session=True)
        while not any(name.endswith("made") for name in inside.cgroups()):
            assert direct.poll() is None
        pids = inside.pids()
        assert direct.pid in pids
        tops = inside.tops
    assert direct.wait() == -9
    assert not any(top.exists() for top in tops)
    assert not any(_lives(pid) for pid in pids)


@pytest.mark.needs("root", "nft", "ip")
def test_an_inventory_names_each_kind_of_leak(tmp_path: Path) -> None:
    _state_db(tmp_path)
    with sandbox.opened() as inside:
        before = take(inside, tmp_path, daemon=None)
        assert not before.differences(before)
        target = tmp_path / "target"
        leak = textwrap.dedent(f"""
            mkdir {target} && mount -t tmpfs leak {target}
            ip link add veth0 type veth peer name veth1
            nft add table ip leak
            nft 'add map ip leak ports {{ type inet_service : ipv4_addr; }}'
            nft add element ip leak ports {{ 80 : 192.0.2.7, 81 : 192.0.2.8 }}
            for top in /sys/fs/cgroup /sys/fs/cgroup/*; do
                [ ! -e $top/cgroup.procs ] || mkdir $top/leak
            done
            exec sleep 600
            """)
        process = subprocess.Popen(inside.command("sh", "-c", leak))
        while not any("sleep" in line for line in take(inside, tmp_path, daemon=0).processes):
            assert process.poll() is None
        kinds = "\n".join(take(inside, tmp_path, daemon=None).differences(before))
        process.kill()
        process.wait()
    for piece in (
        f"+ mounts: {target} #0",
        "+ links: veth0",
        "+ rules: table ip leak { map ports { 80 : 192.0.2.7",
        "+ rules: table ip leak { map ports { 81 : 192.0.2.8",
        ":leak",
        "sleep 600",
        "+ files: target",
    ):
        assert piece in kinds, kinds


@pytest.mark.needs("root")
def test_sweep_ends_the_sandbox_of_a_killed_owner() -> None:
    program = (
        "import os, subprocess\nfrom support import sandbox\n"
        "with sandbox.opened() as s:\n"
        "    subprocess.Popen(s.command('setsid', 'sleep', '600'), stdout=-3, stderr=-3)\n"
        "    while not any(b'sleep' in open(f'/proc/{p}/cmdline','rb').read() for p in s.pids()):\n"
        "        pass\n"
        "    print(*s.tops, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": "tests"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -9, done.stderr
    tops = [Path(word) for word in done.stdout.split()]
    assert all(top.exists() for top in tops)
    sandbox.sweep()
    assert not any(top.exists() for top in tops)


def test_a_skip_is_a_failure_when_every_test_has_to_run(tmp_path: Path) -> None:
    (tmp_path / "test_skips.py").write_text(
        "import pytest\n"
        "def test_skips(): pytest.skip('not today')\n"
        "@pytest.mark.needs('no-such-program')\n"
        "def test_needs(): pass\n"
        "@pytest.mark.xfail\n"
        "def test_known(): raise ValueError\n"
    )
    (tmp_path / "test_module.py").write_text("import pytest\npytest.importorskip('no_such_mod')\n")
    repository = Path(__file__).parents[2]
    outcome = {}
    for strict in ("0", "1"):
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        command += ["--continue-on-collection-errors", "-p", "conftest"]
        done = subprocess.run(
            [*command, "-c", repository / "pyproject.toml", "--rootdir", tmp_path, tmp_path],
            env={**os.environ, "PYD_TEST_STRICT": strict, "PYTHONPATH": str(repository / "tests")},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        outcome[strict] = done.stdout
    assert "3 skipped, 1 xfailed" in outcome["0"]
    assert "1 failed, 1 xfailed, 2 errors" in outcome["1"], outcome["1"]
    assert "not today" in outcome["1"]
    assert "no program no-such-program in PATH" in outcome["1"]
