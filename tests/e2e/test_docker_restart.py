"""The daemon may die at any moment: containers, their logs and exit codes do not depend on it."""

import json
import os
import select
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.engine import Engine
from support.terminal import on_terminal

pytestmark = pytest.mark.needs("root", "docker", "conmon", "curl")
# Ends when /stop appears in its root, which a test can do without the daemon.
ON_CALL = "n=0; while [ ! -e /stop ]; do echo $((n=n+1)); sleep 0.1; done; echo bye; exit 9"


def _state(engine: Engine, name: str) -> Any:
    return json.loads(engine.out("inspect", name))[0]["State"]


def _end_without_daemon(pid: int) -> None:
    """Let the container's first process end, and return when it has."""
    handle = os.pidfd_open(pid)
    try:
        Path(f"/proc/{pid}/root/stop").touch()
        assert select.select([handle], [], [], 20)[0]
    finally:
        os.close(handle)


@pytest.mark.parametrize("how", ["kill -9", "stop"])
def test_running_containers_outlive_the_daemon(fresh_engine: Engine, how: str) -> None:
    engine = fresh_engine
    engine.out("run", "-d", "--name", "live", "-l", "a=b", engine.image, "sh", "-c", ON_CALL)
    before = _state(engine, "live")
    if how == "stop":
        engine.stop()
    else:
        engine.kill9()
    assert Path(f"/proc/{before['Pid']}").exists()
    engine.start()
    after = _state(engine, "live")
    assert (after["Status"], after["Pid"]) == ("running", before["Pid"])
    assert after["StartedAt"] == before["StartedAt"]
    assert engine.out("ps", "-q", "--filter", "label=a=b")
    assert "sleep" in engine.out("exec", "live", "ps")
    follow = engine.popen("logs", "-f", "live")
    _end_without_daemon(after["Pid"])
    out, _ = follow.communicate(timeout=20)
    numbers = [int(line) for line in out.split()[:-1]]
    assert numbers == list(range(1, len(numbers) + 1))  # not a line lost
    assert out.endswith(b"bye\n")
    assert engine.out("wait", "live") == "9"
    assert _state(engine, "live")["ExitCode"] == 9


def test_stop_and_kill_work_after_a_crash(fresh_engine: Engine) -> None:
    engine = fresh_engine
    script = "trap 'exit 3' TERM; while :; do sleep 0.05; done"
    for name in ("one", "two", "three"):
        engine.out("run", "-d", "--name", name, engine.image, "sh", "-c", script)
    engine.kill9()
    engine.start()
    engine.out("stop", "one")
    assert _state(engine, "one")["ExitCode"] == 3
    engine.out("kill", "two")
    assert engine.out("wait", "two") == "137"
    engine.out("rm", "-f", "three")
    engine.out("start", "one")
    assert _state(engine, "one")["Running"]


def test_an_exit_in_the_gap_is_not_lost(fresh_engine: Engine) -> None:
    engine = fresh_engine
    engine.out("run", "-d", "--name", "gap", engine.image, "sh", "-c", ON_CALL)
    pid = _state(engine, "gap")["Pid"]
    engine.kill9()
    _end_without_daemon(pid)
    engine.start()
    state = _state(engine, "gap")
    assert (state["Status"], state["ExitCode"], state["Pid"]) == ("exited", 9, 0)
    assert state["FinishedAt"] > state["StartedAt"]
    assert engine.out("wait", "gap") == "9"
    assert engine.out("logs", "--tail", "1", "gap") == "bye"
    engine.out("start", "gap")  # ends at once: the file is still there
    assert engine.out("wait", "gap") == "9"


def test_auto_removal_is_made_up_for(fresh_engine: Engine) -> None:
    engine = fresh_engine
    engine.out("run", "-d", "--rm", "--name", "gap", engine.image, "sh", "-c", ON_CALL)
    pid = _state(engine, "gap")["Pid"]
    engine.kill9()
    _end_without_daemon(pid)
    engine.start()
    engine.docker("wait", "gap", check=False)  # removed already, or about to be
    assert engine.containers() == []


def test_created_and_exited_containers_stay(fresh_engine: Engine) -> None:
    engine = fresh_engine
    engine.out("create", "--name", "new", "-e", "A=b", engine.image, "sh", "-c", "echo $A")
    engine.docker("run", "--name", "old", engine.image, "sh", "-c", "echo x; exit 4", check=False)
    engine.kill9()
    engine.start()
    assert _state(engine, "new")["Status"] == "created"
    assert (_state(engine, "old")["Status"], _state(engine, "old")["ExitCode"]) == ("exited", 4)
    assert engine.out("logs", "old") == "x"
    assert engine.out("start", "-a", "new") == "b"


def test_published_ports_work_in_the_gap_and_after(fresh_engine: Engine) -> None:
    engine = fresh_engine
    assert engine.sandbox is not None
    serve = ["httpd", "-f", "-p", "80", "-h", "/etc"]
    engine.out("run", "-d", "--name", "web", "-h", "webbox", "-p", "28090:80", engine.image, *serve)
    get = ["curl", "-sS", "--noproxy", "*", "--max-time", "10", "http://127.0.0.1:28090/hostname"]
    get += ["--retry", "20", "--retry-connrefused", "--retry-delay", "1"]
    assert engine.nsenter(*get).stdout == "webbox\n"
    engine.kill9()
    assert engine.sandbox.look(*get) == "webbox\n"
    engine.start()
    assert engine.nsenter(*get).stdout == "webbox\n"
    late = engine.docker("run", "--rm", "-p", "28090:80", engine.image, "true", check=False)
    assert late.returncode == 125
    assert "port is already allocated" in late.stderr
    addresses = engine.out("inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "web")
    other = engine.out("run", "--rm", engine.image, "hostname", "-i")
    assert other != addresses
    engine.out("rm", "-f", "web")
    engine.out("run", "--rm", "-p", "28090:80", engine.image, "true")


def test_a_terminal_can_be_attached_again(fresh_engine: Engine) -> None:
    engine = fresh_engine
    engine.out("run", "-dit", "--name", "tty", engine.image, "sh")
    with on_terminal(["docker", "attach", "tty"], engine.environment) as terminal:
        terminal.send(b"\n")
        terminal.expect("# ")
        terminal.send(b"kept=yes\n")
        terminal.expect("kept=yes\r\n")
        terminal.expect("# ")
        engine.kill9()
        terminal.wait()
    engine.start()
    with on_terminal(["docker", "attach", "tty"], engine.environment) as terminal:
        terminal.send(b"echo is-$kept\n")
        terminal.expect("is-yes\r\n")
        terminal.send(b"exit 6\n")
        assert terminal.wait() == 6


def test_stdin_still_reaches_the_program(fresh_engine: Engine) -> None:
    engine = fresh_engine
    script = "read x; echo got $x; exit 2"
    engine.out("run", "-d", "-i", "--name", "in", engine.image, "sh", "-c", script)
    engine.kill9()
    engine.start()
    done = engine.docker("attach", "in", stdin="it\n", check=False)
    assert engine.out("wait", "in") == "2"
    assert engine.out("logs", "in") == "got it"
    assert done.stdout in ("got it\n", "")


def test_a_second_daemon_on_the_same_root_is_refused(fresh_engine: Engine) -> None:
    engine = fresh_engine
    assert engine.sandbox is not None
    words = [str(word) for word in engine.command()]
    words[words.index(engine.host)] = f"unix://{engine.folder}/second.sock"
    words[words.index(str(engine.folder / "pyd.pid"))] = str(engine.folder / "second.pid")
    done = subprocess.run(
        engine.sandbox.command(*words), capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode != 0
    assert str(engine.folder / "data") in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert engine.out("run", "--rm", engine.image, "echo", "still here") == "still here"
    (engine.folder / "second.sock").unlink(missing_ok=True)
    assert not (engine.folder / "second.pid").exists()


def test_an_image_stays(fresh_engine: Engine) -> None:
    engine = fresh_engine
    images = engine.images()
    engine.kill9()
    engine.start()
    assert engine.images() == images
    assert engine.out("run", "--rm", engine.image, "echo", "hi") == "hi"


def test_after_a_reboot_nothing_runs_and_everything_starts(fresh_engine: Engine) -> None:
    """A reboot takes the processes, the mounts, the links and the exec root."""
    engine = fresh_engine
    assert engine.sandbox is not None
    engine.out("run", "-d", "--name", "box", "-p", "28091:80", engine.image, "sleep", "600")
    engine.out("run", "-d", "--rm", "--name", "gone", engine.image, "sleep", "600")
    engine.kill9()
    for pid in engine.sandbox.pids():
        subprocess.run(["kill", "-9", str(pid)], check=False)
    clear = (
        f"grep -o ' {engine.folder}/[^ ]*' /proc/self/mounts | sort -r | xargs -r umount -l;"
        f"rm -rf {engine.folder}/exec; ip link del pyd0; nft flush ruleset;"
        "echo 0 >/proc/sys/net/ipv4/ip_forward; rmdir /sys/fs/cgroup/pyd/* /sys/fs/cgroup/*/pyd/*"
        " 2>/dev/null; true"
    )
    engine.sandbox.look("sh", "-c", clear)
    engine.start()
    state = _state(engine, "box")
    assert (state["Status"], state["Pid"]) == ("exited", 0)
    assert engine.docker("inspect", "gone", check=False).returncode == 1
    engine.out("start", "box")
    assert _state(engine, "box")["Running"]


def test_everything_is_killed_at_once(fresh_engine: Engine) -> None:
    """As when the service's whole cgroup is killed: the exec root and the cgroups are there."""
    engine = fresh_engine
    assert engine.sandbox is not None
    engine.out("run", "-d", "--name", "box", "-p", "28092:80", engine.image, "sleep", "600")
    engine.out("run", "-d", "--rm", "--name", "gone", engine.image, "sleep", "600")
    engine.out("run", "-dit", "--name", "tty", engine.image, "sh")
    engine.kill9()
    for pid in engine.sandbox.pids():
        subprocess.run(["kill", "-9", str(pid)], check=False)
    engine.start()
    for name in ("box", "tty"):
        state = _state(engine, name)
        assert (state["Status"], state["Running"], state["Pid"]) == ("exited", False, 0)
        assert state["ExitCode"] != 0
    assert engine.docker("inspect", "gone", check=False).returncode == 1
    engine.out("start", "box")
    engine.out("rm", "-f", "box", "tty")


def test_a_monitor_that_is_killed_takes_nothing_with_it(fresh_engine: Engine) -> None:
    engine = fresh_engine
    assert engine.sandbox is not None
    box = engine.out("run", "-d", "--name", "box", engine.image, "sleep", "600")
    lines = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in engine.sandbox.pids()}
    monitors = [pid for pid, line in lines.items() if b"conmon" in line and box.encode() in line]
    assert monitors
    for pid in monitors:
        os.kill(pid, 9)
    # Whatever the engine makes of it, it says so, and removal works.
    listed = engine.out("ps", "-a", "--filter", "name=box", "--format", "{{.State}}")
    assert listed in ("running", "exited", "dead")
    engine.out("rm", "-f", "box")
    assert engine.containers() == []
