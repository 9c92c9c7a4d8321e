"""What a default container looks like from inside, under both runtimes."""

from dataclasses import replace
from pathlib import Path

import pytest

from pyd_guest.runtime import capabilities, devices, host, oci_spec, seccomp_filters, users
from pyd_guest.runtime.mounts import Bind, Tmpfs
from pyd_guest.runtime.oci_spec import HOST, Namespaces, RuntimeInput
from pyd_guest.runtime.resources import Resources, Rlimit
from support import spec_container
from support.spec_container import Runner

pytestmark = pytest.mark.needs("root", "crun", "runc")

DEFAULT_MASK = "00000000a80425fb"
NONE = "0000000000000000"


@pytest.fixture(scope="module")
def rootfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return spec_container.make_rootfs(tmp_path_factory.mktemp("spec") / "root")


@pytest.fixture(params=["crun", "runc"])
def runner(request: pytest.FixtureRequest, tmp_path: Path) -> Runner:
    return Runner(tmp_path, request.param)


@pytest.fixture
def spec(rootfs: Path, runner: Runner) -> RuntimeInput:
    filters = seccomp_filters.Filters.open(runner.work / "cache")
    return replace(
        spec_container.default_input(rootfs, ("true",)),
        seccomp=filters.default(capabilities.DEFAULT, runtime=runner.runtime),
    )


def _status(text: str) -> dict[str, str]:
    rows = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name: value.strip() for name, value in rows}


def _mounts(text: str) -> dict[str, tuple[str, set[str]]]:
    rows = (line.split() for line in text.splitlines())
    return {target: (kind, set(options.split(","))) for _, target, kind, options, *_ in rows}


def test_D7_capabilities_and_filter_of_root(runner: Runner, spec: RuntimeInput) -> None:  # noqa: N802
    status = _status(runner.output(spec, "cat", "/proc/self/status"))
    assert status["CapBnd"] == status["CapPrm"] == status["CapEff"] == DEFAULT_MASK
    assert status["CapInh"] == status["CapAmb"] == NONE
    assert status["NoNewPrivs"] == "0"
    assert status["Seccomp"] == "2"
    assert status["Groups"].split() == ["0"]


def test_a_plain_user_has_no_capabilities(runner: Runner, spec: RuntimeInput, rootfs: Path) -> None:
    alice = users.resolve(rootfs, "alice")
    as_alice = replace(spec, process=replace(spec.process, user=alice, no_new_privileges=True))
    status = _status(runner.output(as_alice, "cat", "/proc/self/status"))
    assert status["Uid"].split() == ["1000"] * 4
    assert status["Gid"].split() == ["1000"] * 4
    assert set(status["Groups"].split()) == {"1000", "29", "44"}
    assert status["CapBnd"] == DEFAULT_MASK
    assert status["CapPrm"] == status["CapEff"] == status["CapInh"] == status["CapAmb"] == NONE
    assert status["NoNewPrivs"] == "1"


def test_standard_mounts(runner: Runner, spec: RuntimeInput) -> None:
    mounts = _mounts(runner.output(spec, "cat", "/proc/mounts"))
    safe = {"nosuid", "nodev", "noexec"}
    assert mounts["/proc"][0] == "proc"
    assert {"rw", *safe} <= mounts["/proc"][1]
    assert mounts["/dev"][0] == "tmpfs"
    assert {"rw", "nosuid", "size=65536k", "mode=755"} <= mounts["/dev"][1]
    assert {"gid=5", "mode=620", "ptmxmode=666", "noexec", "nosuid"} <= mounts["/dev/pts"][1]
    assert {"size=65536k", *safe} <= mounts["/dev/shm"][1]
    assert mounts["/dev/mqueue"][0] == "mqueue"
    assert safe <= mounts["/dev/mqueue"][1]
    assert {"ro", *safe} <= mounts["/sys"][1]
    for target, (kind, options) in mounts.items():
        if kind.startswith("cgroup"):
            assert {"ro", *safe} <= options, target
    for path in ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"):
        assert "ro" in mounts[path][1], path


def test_D13_masked_paths_show_nothing(runner: Runner, spec: RuntimeInput) -> None:  # noqa: N802
    script = (
        "cat /proc/kcore /proc/keys /proc/timer_list /proc/interrupts 2>/dev/null | wc -c;"
        "ls /sys/firmware /proc/acpi 2>/dev/null | grep -v : | grep -c ."
    )
    spec = replace(spec, process=replace(spec.process, argv=("sh", "-c", script)))
    done = runner.run(spec)
    assert done.stdout.split() == [b"0", b"0"]


def test_D13_empty_lists_mask_nothing(runner: Runner, spec: RuntimeInput) -> None:  # noqa: N802
    open_spec = replace(spec, masked_paths=(), readonly_paths=())
    mounts = _mounts(runner.output(open_spec, "cat", "/proc/mounts"))
    assert not [path for path in mounts if path.startswith("/proc/")]


def test_device_nodes(runner: Runner, spec: RuntimeInput) -> None:
    listing = runner.output(spec, "ls", "-l", "/dev").splitlines()
    nodes = {line.split()[-1]: line.split()[0] for line in listing if line.startswith("c")}
    assert set(nodes) == {"null", "zero", "full", "tty", "random", "urandom"}
    assert set(nodes.values()) == {"crw-rw-rw-"}
    links = dict(line.split()[-3::2] for line in listing if line.startswith("l"))
    assert links == {
        "fd": "/proc/self/fd",
        "stdin": "/proc/self/fd/0",
        "stdout": "/proc/self/fd/1",
        "stderr": "/proc/self/fd/2",
        "ptmx": links["ptmx"],
        **({"core": "/proc/kcore"} if "core" in links else {}),
    }
    assert links["ptmx"].removeprefix("/dev/") == "pts/ptmx"


def test_device_rules_deny_the_disk(runner: Runner, spec: RuntimeInput) -> None:
    script = "mknod /tmp/disk b 254 0 && cat /tmp/disk > /dev/null; rm -f /tmp/disk; cat /dev/null"
    busybox = ("busybox", "sh", "-c", script.replace("rm ", "busybox rm "))
    done = runner.run(replace(spec, process=replace(spec.process, argv=busybox)))
    assert b"Operation not permitted" in done.stderr


def test_own_network_parameters_and_names(runner: Runner, spec: RuntimeInput) -> None:
    script = (
        "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range"
        " /proc/sys/kernel/hostname /proc/sys/kernel/domainname; echo $HOSTNAME $HOME $$"
    )
    named = replace(spec, domainname="example")
    lines = runner.output(named, "sh", "-c", script).split("\n")
    assert lines[:4] == ["0", "0\t2147483647", "probe", "example"]
    assert lines[4].split() == ["probe", "/", "1"]


def test_limits_arrive_in_cgroup_and_process(runner: Runner, spec: RuntimeInput) -> None:
    limited = replace(
        spec,
        resources=Resources(
            memory=64 << 20,
            memory_swap=64 << 20,
            cpu_shares=512,
            nano_cpus=500_000_000,
            pids_limit=50,
            rlimits=(Rlimit("nofile", 100, 200), Rlimit("core", -1, -1)),
        ),
    )
    limits = runner.output(limited, "sh", "-c", "ulimit -Sn; ulimit -Hn; ulimit -c")
    assert limits.split() == ["100", "200", "unlimited"]
    script = "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/memory/memory.limit_in_bytes"
    if host.detect().cgroup_version > 1:
        script = "cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/memory.max"
    found = runner.output(limited, "sh", "-c", script).split()
    assert found == ["50", str(64 << 20)]


def test_tmpfs_binds_and_a_read_only_root(
    runner: Runner, spec: RuntimeInput, tmp_path: Path
) -> None:
    (tmp_path / "hosts").write_text("127.0.0.1 probe\n")
    closed = replace(
        spec,
        readonly_rootfs=True,
        binds=(Bind(str(tmp_path / "hosts"), "/etc/hosts"),),
        tmpfs=(Tmpfs.parse("/run/x", "size=64k,exec"), Tmpfs.parse("/tmp", "")),
        shm_size=1 << 20,
    )
    mounts = _mounts(runner.output(closed, "cat", "/proc/mounts"))
    assert {"nosuid", "nodev", "size=64k"} <= mounts["/run/x"][1]
    assert "noexec" not in mounts["/run/x"][1]
    assert {"nosuid", "nodev", "noexec"} <= mounts["/tmp"][1]
    assert "size=1024k" in mounts["/dev/shm"][1]
    assert "ro" in mounts["/"][1]
    assert runner.output(closed, "cat", "/etc/hosts") == "127.0.0.1 probe\n"


def test_host_namespaces_are_the_hosts(runner: Runner, spec: RuntimeInput) -> None:
    shared = replace(spec, namespaces=Namespaces(network=HOST, ipc=HOST, uts=HOST, pid=HOST))
    script = "for n in net ipc uts pid; do busybox readlink /proc/self/ns/$n; done"
    inside = runner.output(shared, "sh", "-c", script).split()
    names = ("net", "ipc", "uts", "pid")
    assert inside == [str(Path(f"/proc/self/ns/{name}").readlink()) for name in names]


def test_no_shared_memory_with_ipc_none(runner: Runner, spec: RuntimeInput) -> None:
    mounts = _mounts(runner.output(replace(spec, mount_shm=False), "cat", "/proc/mounts"))
    assert "/dev/shm" not in mounts


def test_privileged_has_everything(runner: Runner, spec: RuntimeInput) -> None:
    facts = host.detect()
    full = replace(
        spec,
        privileged=True,
        seccomp=None,
        process=replace(spec.process, capabilities=facts.capabilities),
        devices=devices.collect((), (), privileged=True),
    )
    status = _status(runner.output(full, "cat", "/proc/self/status"))
    assert status["Seccomp"] == "0"
    assert status["CapEff"] == status["CapBnd"]
    bounding = int(status["CapBnd"], 16)
    assert bounding == sum(1 << capabilities.KNOWN.index(name) for name in facts.capabilities)
    mounts = _mounts(runner.output(full, "cat", "/proc/mounts"))
    assert "rw" in mounts["/sys"][1]
    assert not [path for path in mounts if path.startswith("/proc/")]
    assert "/dev/kmsg" in runner.output(full, "ls", "/dev/kmsg")


def test_exec_has_the_rights_of_its_container(runner: Runner, spec: RuntimeInput) -> None:
    process = replace(spec.process, argv=("cat", "/proc/self/status"))
    done = runner.run_and_exec(spec, oci_spec.build_process(process))
    assert done.returncode == 0, done.stdout
    status = _status(done.stdout.decode())
    assert status["CapBnd"] == status["CapEff"] == DEFAULT_MASK
    assert status["CapInh"] == status["CapAmb"] == NONE
    assert status["Seccomp"] == "2"
