"""Kill -9 of the daemon between any two steps of create, start and removal.

The next daemon cleans up or completes, `docker rm -f` works, and nothing is left on the machine.
"""

import random
import subprocess
import time

import pytest

from support.engine import Engine
from support.faults import killed_at

pytestmark = [pytest.mark.needs("root", "docker", "conmon", "strace"), pytest.mark.timeout(600)]

# Each group is one kind of step: directories, names, mounts, durability, children, netlink, …
_GROUPS = {
    "directories": "mkdir,mkdirat,rmdir",
    "names": "rename,renameat,renameat2,unlink,unlinkat,link,linkat,symlink,symlinkat",
    "mounts": "mount,umount2,move_mount,fsmount,fsconfig,open_tree,mount_setattr",
    "durability": "fsync,fdatasync,syncfs",
    "children": "clone,clone3,vfork,wait4,waitid",
    "messages": "sendto,sendmsg",
    "sockets": "connect,bind",
    "namespaces": "unshare,setns",
}
_MOST = 60


def _crash(engine: Engine, calls: str, number: int, *words: str) -> bool:
    """Run the client while the fault waits; say whether the daemon died of it."""
    assert engine.process is not None
    with killed_at(engine.process.pid, calls, number):
        engine.docker(*words, check=False, timeout_s=60)
        try:
            engine.process.wait(0.3)
        except subprocess.TimeoutExpired:
            return False
    engine.process = None
    return True


def _recovered(engine: Engine, name: str) -> None:
    """Start again; the container is there or not, and can be removed in any case."""
    engine.start()
    listed = engine.out("ps", "-a", "--filter", f"name={name}", "--format", "{{.State}}")
    assert listed in ("", "created", "running", "exited"), listed
    if listed in ("created", "exited"):
        started = engine.docker("start", name, check=False)
        assert started.returncode == 0, started.stderr
    if listed:
        engine.docker("exec", name, "true")
        engine.out("rm", "-f", name)
    assert engine.containers() == []


@pytest.mark.parametrize("group", list(_GROUPS))
def test_run_is_killed_at_every_step(fresh_engine: Engine, group: str) -> None:
    engine = fresh_engine
    clean = engine.inventory()
    words = ("run", "-d", "--name", "crash", "-p", "28095:80", engine.image, "sleep", "600")
    for number in range(1, _MOST):
        if not _crash(engine, _GROUPS[group], number, *words):
            engine.out("rm", "-f", "crash")
            break
        _recovered(engine, "crash")
        engine.assert_clean(clean)
    engine.assert_clean(clean)


_REMOVAL = ("directories", "names", "mounts", "durability", "children", "messages")


@pytest.mark.parametrize("group", _REMOVAL)
def test_removal_is_killed_at_every_step(fresh_engine: Engine, group: str) -> None:
    engine = fresh_engine
    clean = engine.inventory()
    run = ("run", "-d", "--name", "crash", "-p", "28095:80", engine.image, "sleep", "600")
    for number in range(1, _MOST):
        engine.out(*run)
        if not _crash(engine, _GROUPS[group], number, "rm", "-f", "crash"):
            break
        engine.start()
        engine.docker("rm", "-f", "crash", check=False)
        assert engine.containers() == []
        engine.assert_clean(clean)
    engine.assert_clean(clean)


def test_run_is_killed_at_any_moment(fresh_engine: Engine) -> None:
    """Moments that no system call of the list marks: the time of death is drawn."""
    engine = fresh_engine
    clean = engine.inventory()
    chance = random.Random(1)
    for _ in range(25):
        flags = chance.choice([(), ("--rm",), ("-p", "28096:80")])
        client = engine.popen("run", "-d", "--name", "crash", *flags, engine.image, "sleep", "600")
        time.sleep(chance.uniform(0.005, 0.12))
        engine.kill9()
        client.communicate(timeout=30)
        _recovered(engine, "crash")
        engine.assert_clean(clean)


def test_several_lives_end_at_once(fresh_engine: Engine) -> None:
    """Eight starts, stops and removals are under way when the daemon dies."""
    engine = fresh_engine
    clean = engine.inventory()
    for turn in range(4):
        for number in range(3):
            engine.out("run", "-d", "--name", f"old{number}", engine.image, "sleep", "600")
        clients = [
            engine.popen("run", "-d", "--name", f"new{number}", engine.image, "sleep", "600")
            for number in range(4)
        ]
        clients += [engine.popen("rm", "-f", f"old{number}") for number in range(2)]
        clients += [engine.popen("stop", "-t", "1", "old2")]
        time.sleep(0.03 + 0.05 * turn)
        engine.kill9()
        for client in clients:
            client.communicate(timeout=30)
        engine.start()
        engine.remove_all(engine.images())
        assert engine.containers() == []
        engine.assert_clean(clean)
