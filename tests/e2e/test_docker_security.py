"""The default profile and its exceptions, seen from inside through the stock CLI."""

import json
import tarfile
from pathlib import Path

import pytest

from support import spec_container
from support.engine import Engine

pytestmark = pytest.mark.needs("root", "docker", "conmon")

DEFAULT_MASK = 0xA80425FB
_STATUS = ("cat", "/proc/self/status")


def _status(text: str) -> dict[str, str]:
    rows = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name: value.strip() for name, value in rows}


def _run(engine: Engine, *flags: str) -> dict[str, str]:
    return _status(engine.out("run", "--rm", *flags, engine.image, *_STATUS))


@pytest.mark.parametrize("runtime", ["crun", "runc"])
def test_D7_D14_default_rights(engine: Engine, runtime: str) -> None:  # noqa: N802
    status = _run(engine, "--runtime", runtime)
    for name in ("CapBnd", "CapPrm", "CapEff"):
        assert int(status[name], 16) == DEFAULT_MASK, name
    assert int(status["CapInh"], 16) == int(status["CapAmb"], 16) == 0
    assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "0")


def test_D7_added_and_dropped(engine: Engine) -> None:  # noqa: N802
    status = _run(engine, "--cap-drop", "all", "--cap-add", "net_raw", "--cap-add", "CAP_KILL")
    assert int(status["CapEff"], 16) == 1 << 13 | 1 << 5


def test_D8_explicit_choices(engine: Engine, tmp_path: Path) -> None:  # noqa: N802
    assert _run(engine, "--security-opt", "seccomp=unconfined")["Seccomp"] == "0"
    assert _run(engine, "--privileged")["Seccomp"] == "0"
    with engine.client() as client:  # older command-line clients take "builtin" for a file
        named = client.containers.run(
            engine.image,
            list(_STATUS),
            privileged=True,
            security_opt=["seccomp=builtin"],
            remove=True,
        )
    assert _status(named.decode())["Seccomp"] == "2"
    assert _run(engine, "--security-opt", "no-new-privileges")["NoNewPrivs"] == "1"
    profile = tmp_path / "profile.json"
    profile.write_text('{"defaultAction":"SCMP_ACT_NOPE"')
    refused = engine.docker(
        "run", "--rm", "--security-opt", f"seccomp={profile}", engine.image, "true", check=False
    )
    assert refused.returncode != 0


def test_an_exec_has_the_filter_and_the_rights(engine: Engine) -> None:
    box = engine.out("run", "-d", "--cap-drop", "CHOWN", engine.image, "sleep", "600")
    plain = _status(engine.out("exec", box, *_STATUS))
    assert plain["Seccomp"] == "2"
    assert int(plain["CapEff"], 16) == DEFAULT_MASK & ~1
    privileged = _status(engine.out("exec", "--privileged", box, *_STATUS))
    assert int(privileged["CapEff"], 16) > DEFAULT_MASK
    assert privileged["Seccomp"] == "2"
    engine.docker("rm", "-f", box)


def test_D11_groups(engine: Engine) -> None:  # noqa: N802
    shown = engine.out("run", "--rm", "-u", "5:6", "--group-add", "7", engine.image, "id", "-G")
    assert set(shown.split()) == {"6", "7"}
    refused = engine.docker("run", "--rm", "--group-add", "nope", engine.image, "id", check=False)
    assert "unable to find group nope" in refused.stderr


@pytest.mark.parametrize("user", ["4294967296", "2147483648", "-1", "0x0", "9" * 40])
def test_A13_numeric_user_tricks(engine: Engine, user: str) -> None:  # noqa: N802
    done = engine.docker("run", "--rm", f"--user={user}", engine.image, "id", check=False)
    assert done.returncode == 125
    assert "uids and gids must be in range" in done.stderr or "unable to find user" in done.stderr


def test_D9_sysctls(engine: Engine) -> None:  # noqa: N802
    good = ["--sysctl", "net.core.somaxconn=17", "--sysctl", "kernel.msgmax=1000"]
    files = ["/proc/sys/net/core/somaxconn", "/proc/sys/kernel/msgmax"]
    assert engine.out("run", "--rm", *good, engine.image, "cat", *files).split() == ["17", "1000"]
    # the CLI refuses bad names by itself, so a client without such care asks
    for bad in ("kernel.core_pattern", "kernel/core_pattern", "net.ipv4/../x"):
        body = {"Image": engine.image, "Cmd": ["true"], "HostConfig": {"Sysctls": {bad: "1"}}}
        answer = engine.request("POST", "/v1.50/containers/create", body)
        assert answer.status == 400
        assert bad in answer.message


def test_D13_masks(engine: Engine) -> None:  # noqa: N802
    masked = engine.out("run", "--rm", engine.image, "sh", "-c", "cat /proc/interrupts | wc -c")
    assert masked == "0"
    opened = ["--security-opt", "systempaths=unconfined"]
    table = engine.out("run", "--rm", *opened, engine.image, "cat", "/proc/mounts")
    assert not [line for line in table.splitlines() if line.split()[1].startswith("/proc/")]


def test_limits(engine: Engine) -> None:
    flags = ["-m", "32m", "--pids-limit", "40", "--cpus", "0.5", "--ulimit", "nofile=100:200"]
    box = engine.out("create", *flags, engine.image, "sh", "-c", "ulimit -Sn; ulimit -Hn")
    (shown,) = json.loads(engine.out("inspect", box))
    host = shown["HostConfig"]
    assert (host["Memory"], host["MemorySwap"]) == (32 << 20, 64 << 20)
    assert (host["PidsLimit"], host["NanoCpus"]) == (40, 500_000_000)
    assert engine.out("start", "-a", box).split() == ["100", "200"]
    engine.docker("rm", box)


def test_a_container_with_an_init(engine: Engine) -> None:
    shown = engine.out("run", "--rm", "--init", engine.image, "cat", "/proc/1/cmdline")
    assert shown.split("\0")[:2] == ["/sbin/docker-init", "--"]


def test_D14_socket_families_through_the_engine(engine: Engine, tmp_path: Path) -> None:  # noqa: N802
    root = spec_container.make_rootfs(tmp_path / "root")
    spec_container.install_probe(root, [(41, 2, 1, 0), (41, 38, 5, 0), (41, 1 << 32 | 40, 1, 0)])
    archive = tmp_path / "root.tar"
    engine.docker("import", str(_packed(root, archive)), "probe:latest")
    process = engine.popen("run", "--rm", "probe:latest", "/probe")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    inet, alg, vsock = spec_container.probe_results(out)
    assert inet > 0
    assert (alg, vsock) == (-1, -1)
    engine.docker("rmi", "probe:latest")


def _packed(root: Path, archive: Path) -> Path:
    with tarfile.open(archive, "w") as tar:
        tar.add(root, arcname=".")
    return archive
