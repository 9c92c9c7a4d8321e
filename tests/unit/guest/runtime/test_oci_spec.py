"""config.json compared with what dockerd 28.5 hands to its runtime for the same container."""

import copy
import json
import time
from dataclasses import replace

import pytest

from pyd_guest.runtime import capabilities, devices, oci_spec, paths
from pyd_guest.runtime.devices import DeviceRule
from pyd_guest.runtime.mounts import Bind, Tmpfs
from pyd_guest.runtime.oci_spec import HOST, Namespaces, Process, RuntimeInput, Seccomp
from pyd_guest.runtime.resources import Resources, Rlimit, Throttle
from pyd_guest.runtime.users import User

DEFAULT = RuntimeInput(
    rootfs="/run/x/rootfs",
    process=Process(
        argv=("sleep", "1000"),
        env=("PATH=/bin",),
        cwd="/",
        user=User(),
        capabilities=capabilities.DEFAULT,
        oom_score_adj=0,
    ),
    hostname="box",
    cgroups_path="/pyd/x",
    cgroup_version=1,
    namespaces=Namespaces(network="/run/netns/x"),
    resources=Resources(),
    devices=devices.collect((), (), privileged=False),
    binds=(Bind("/data/hosts", "/etc/hosts"),),
)


def build(**changes: object) -> dict[str, object]:
    return oci_spec.build(replace(DEFAULT, **changes))  # type: ignore[arg-type]


def part(document: object, *path: str) -> object:
    for name in path:
        assert isinstance(document, dict), path
        document = document.get(name)
    return document


def mounts_of(document: dict[str, object]) -> dict[str, list[str]]:
    mounts = document["mounts"]
    assert isinstance(mounts, list)
    return {mount["destination"]: mount["options"] for mount in mounts}


def test_the_default_container() -> None:
    document = build()
    names = list(capabilities.DEFAULT)
    assert document["process"] == {
        "terminal": False,
        "user": {"uid": 0, "gid": 0, "additionalGids": [0]},
        "args": ["sleep", "1000"],
        "env": ["PATH=/bin"],
        "cwd": "/",
        "capabilities": {"bounding": names, "effective": names, "permitted": names},
        "noNewPrivileges": False,
        "oomScoreAdj": 0,
    }
    assert document["root"] == {"path": "/run/x/rootfs", "readonly": False}
    assert document["hostname"] == "box"
    assert mounts_of(document) == {
        "/proc": ["nosuid", "noexec", "nodev"],
        "/dev": ["nosuid", "strictatime", "mode=755", "size=65536k"],
        "/dev/pts": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        "/sys": ["nosuid", "noexec", "nodev", "ro"],
        "/sys/fs/cgroup": ["ro", "nosuid", "noexec", "nodev"],
        "/dev/mqueue": ["nosuid", "noexec", "nodev"],
        "/dev/shm": ["nosuid", "noexec", "nodev", "mode=1777", "size=67108864"],
        "/etc/hosts": ["rbind", "rprivate"],
    }
    assert part(document, "linux", "sysctl") == {
        "net.ipv4.ip_unprivileged_port_start": "0",
        "net.ipv4.ping_group_range": "0 2147483647",
    }
    assert part(document, "linux", "namespaces") == [
        {"type": "mount"},
        {"type": "network", "path": "/run/netns/x"},
        {"type": "uts"},
        {"type": "pid"},
        {"type": "ipc"},
    ]
    assert part(document, "linux", "maskedPaths") == list(paths.masked())
    assert part(document, "linux", "readonlyPaths") == list(paths.READONLY)
    assert part(document, "linux", "resources") == {"devices": devices.default_rules()}
    assert "devices" not in part(document, "linux")  # type: ignore[operator]


def test_default_device_rules_are_the_checklists() -> None:
    rules = devices.default_rules()
    assert rules[0] == {"allow": False, "access": "rwm"}
    allowed = {(rule["major"], rule["minor"]) for rule in rules[1:] if rule["allow"]}
    assert allowed == {(1, 3), (1, 5), (1, 8), (1, 9), (5, 0), (5, 1)}
    assert rules[-1] == {"allow": False, "type": "c", "major": 10, "minor": 229, "access": "rwm"}


def test_privileged_opens_everything() -> None:
    document = build(
        privileged=True, seccomp=None, devices=devices.collect((), (), privileged=True)
    )
    assert "maskedPaths" not in part(document, "linux")  # type: ignore[operator]
    assert "readonlyPaths" not in part(document, "linux")  # type: ignore[operator]
    rules = part(document, "linux", "resources", "devices")
    assert isinstance(rules, list)
    assert rules[-1] == {"allow": True, "access": "rwm"}
    assert mounts_of(document)["/sys"] == ["nosuid", "noexec", "nodev"]
    assert mounts_of(document)["/sys/fs/cgroup"] == ["nosuid", "noexec", "nodev"]
    nodes = part(document, "linux", "devices")
    assert isinstance(nodes, list)
    made = {node["path"] for node in nodes}
    assert "/dev/null" in made
    assert not [path for path in made if path.startswith(("/dev/pts", "/dev/shm", "/dev/console"))]


def test_terminal_size_only_with_a_terminal() -> None:
    sized = replace(DEFAULT.process, console_size=(10, 20))
    assert "consoleSize" not in part(build(process=sized), "process")  # type: ignore[operator]
    document = build(process=replace(sized, terminal=True))
    assert part(document, "process", "consoleSize") == {"height": 10, "width": 20}
    zero = replace(sized, terminal=True, console_size=(0, 0))
    assert "consoleSize" not in part(build(process=zero), "process")  # type: ignore[operator]


def test_resources_as_dockerd_writes_them() -> None:
    limits = Resources(
        memory=20_000_000,
        memory_swap=40_000_000,
        memory_reservation=10_000_000,
        memory_swappiness=10,
        oom_kill_disable=True,
        cpu_shares=512,
        nano_cpus=500_000_000,
        cpuset_cpus="0",
        pids_limit=20,
        rlimits=(Rlimit("nofile", 100, 200), Rlimit("core", -1, -1)),
    )
    document = build(resources=limits)
    resources = part(document, "linux", "resources")
    assert isinstance(resources, dict)
    assert resources["cpu"] == {"shares": 512, "quota": 50000, "period": 100000, "cpus": "0"}
    assert resources["memory"] == {
        "limit": 20_000_000,
        "swap": 40_000_000,
        "reservation": 10_000_000,
        "swappiness": 10,
        "disableOOMKiller": True,
    }
    assert resources["pids"] == {"limit": 20}
    infinity = (1 << 64) - 1
    assert part(document, "process", "rlimits") == [
        {"type": "RLIMIT_NOFILE", "hard": 200, "soft": 100},
        {"type": "RLIMIT_CORE", "hard": infinity, "soft": infinity},
    ]


def test_block_device_limits() -> None:
    limits = Resources(
        blkio_weight=100,
        throttles=(
            Throttle("throttleReadBpsDevice", "/dev/a", 1),
            Throttle("throttleReadBpsDevice", "/dev/b", 2),
            Throttle("throttleWriteIOPSDevice", "/dev/a", 3),
        ),
    )
    document = build(resources=limits, block_devices={"/dev/a": (8, 0), "/dev/b": (8, 16)})
    assert part(document, "linux", "resources", "blockIO") == {
        "weight": 100,
        "throttleReadBpsDevice": [
            {"major": 8, "minor": 0, "rate": 1},
            {"major": 8, "minor": 16, "rate": 2},
        ],
        "throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 3}],
    }


def test_cgroup_version_2_has_neither_swappiness_nor_oom_switch() -> None:
    limits = Resources(memory=20 << 20, memory_swappiness=10, oom_kill_disable=True)
    document = build(resources=limits, cgroup_version=2)
    assert part(document, "linux", "resources", "memory") == {"limit": 20 << 20}


def test_host_namespaces() -> None:
    document = build(
        namespaces=Namespaces(network=HOST, ipc=HOST, uts=HOST, pid=HOST), domainname="d"
    )
    assert part(document, "linux", "namespaces") == [{"type": "mount"}]
    assert "hostname" not in document
    assert "sysctl" not in part(document, "linux")  # type: ignore[operator]


def test_private_cgroup_namespace_and_domain_name() -> None:
    document = build(namespaces=Namespaces(cgroup=None), domainname="dom")
    namespaces = part(document, "linux", "namespaces")
    assert isinstance(namespaces, list)
    assert {"type": "cgroup"} in namespaces
    parameters = part(document, "linux", "sysctl")
    assert isinstance(parameters, dict)
    assert parameters["kernel.domainname"] == "dom"


def test_init_is_bound_read_only_and_put_in_front() -> None:
    document = build(init_binary="/usr/bin/tini")
    assert part(document, "process", "args") == ["/sbin/docker-init", "--", "sleep", "1000"]
    assert mounts_of(document)["/sbin/docker-init"] == ["rbind", "rprivate", "ro"]


def test_a_mount_that_is_asked_for_takes_the_place_of_a_standard_one() -> None:
    document = build(tmpfs=(Tmpfs.parse("/dev/shm", "size=1m"), Tmpfs.parse("/run/a/b", "")))
    mounts = mounts_of(document)
    assert mounts["/dev/shm"] == ["nosuid", "noexec", "nodev", "rprivate", "size=1m"]
    over_dev = mounts_of(build(tmpfs=(Tmpfs.parse("/dev", ""),)))
    assert not [path for path in over_dev if path.startswith("/dev/")]


def test_parents_are_mounted_before_their_children() -> None:
    document = build(tmpfs=(Tmpfs.parse("/a/b", ""), Tmpfs.parse("/a", "")))
    order = list(mounts_of(document))
    assert order.index("/a") < order.index("/a/b")


def test_tmpfs_starts_from_safe_options_and_the_last_word_counts() -> None:
    assert Tmpfs.parse("/run", "rw,exec,size=65536k").to_oci()["options"] == [
        "nosuid",
        "nodev",
        "rprivate",
        "rw",
        "exec",
        "size=65536k",
    ]
    options = Tmpfs.parse("/x", "size=1,size=2,ro,rw,dev,suid,noatime,relatime").to_oci()["options"]
    assert options == ["noexec", "rprivate", "size=2", "rw", "dev", "suid", "relatime"]


def test_seccomp_goes_as_program_or_as_json() -> None:
    filtered = build(seccomp=Seccomp(json={"defaultAction": "X"}, bpf="QUJD"))
    assert filtered["annotations"] == {"run.oci.seccomp_bpf_data": "QUJD"}
    assert "seccomp" not in part(filtered, "linux")  # type: ignore[operator]
    as_json = build(seccomp=Seccomp(json={"defaultAction": "X"}), annotations={"a": "b"})
    assert part(as_json, "linux", "seccomp") == {"defaultAction": "X"}
    assert as_json["annotations"] == {"a": "b"}


def test_device_rules_of_a_user_come_last() -> None:
    rules = (DeviceRule.parse("c 13:* rwm"), DeviceRule.parse("a *:* r"))
    found = devices.collect((), rules, privileged=False).rules
    assert found[-2:] == (
        {"allow": True, "type": "c", "access": "rwm", "major": 13},
        {"allow": True, "type": "a", "access": "r"},
    )


def test_I4_two_documents_share_nothing() -> None:  # noqa: N802
    first, second = build(), build()
    pristine = copy.deepcopy(first)

    def spoil(value: object) -> None:
        if isinstance(value, list):
            for entry in value:
                spoil(entry)
            value.append("spoilt")
        elif isinstance(value, dict):
            for entry in value.values():
                spoil(entry)
            value["spoilt"] = "spoilt"

    spoil(second)
    assert first == pristine
    assert build() == pristine


def test_it_is_fast_and_is_json() -> None:
    json.dumps(build())
    runs = []
    for _ in range(20):
        start = time.perf_counter()
        oci_spec.build(DEFAULT)
        runs.append(time.perf_counter() - start)
    assert min(runs) < 0.0003


@pytest.mark.parametrize(
    ("env", "wanted"),
    [
        ((), ["HOSTNAME=box", "HOME=/home/a"]),
        (("HOME=/q",), ["HOSTNAME=box", "HOME=/q"]),
        (("HOSTNAME=hh", "B=1", "B=2"), ["HOSTNAME=hh", "B=1", "HOME=/home/a", "B=2"]),
        (("HOSTNAME",), ["HOME=/home/a"]),
        (("A", "C=1"), ["HOSTNAME=box", "C=1", "HOME=/home/a"]),
    ],
)
def test_environment(env: tuple[str, ...], wanted: list[str]) -> None:
    user = User(5, 5, (5,), "/home/a", "a")
    found = oci_spec.environment(env, hostname="box", terminal=False, user=user)
    assert list(found) == [oci_spec.DEFAULT_PATH, *wanted]


def test_environment_with_a_terminal() -> None:
    found = oci_spec.environment((), hostname="b", terminal=True, user=User())
    assert "TERM=xterm" in found
    own = oci_spec.environment(("TERM=zz",), hostname="b", terminal=True, user=User())
    assert [entry for entry in own if entry.startswith("TERM")] == ["TERM=zz"]
