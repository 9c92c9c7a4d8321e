"""Small parsers: mount targets and options, sysctls, ulimits, device rules."""

from pathlib import Path

import pytest

from pyd_api.errors import InvalidRequestError
from pyd_guest.runtime import devices, mounts, paths, sysctls, ulimits
from pyd_guest.runtime.devices import DeviceMapping, DeviceRule
from pyd_guest.runtime.mounts import Tmpfs
from pyd_guest.runtime.sysctls import OwnNamespaces

OWN = OwnNamespaces(network=True, ipc=True, uts=True)
SHARED = OwnNamespaces(network=False, ipc=False, uts=False)


@pytest.mark.parametrize(
    "target", ["", "x", "./x", "../x", "/", "//", "/.", "/a/..", "/proc", "/proc/", "/proc/self/x",
               "/a/../proc/x", "//proc", "/x\0y"]
)  # fmt: skip
def test_D3_bad_targets(target: str) -> None:  # noqa: N802
    with pytest.raises(InvalidRequestError):
        mounts.clean_target(target)


@pytest.mark.parametrize(
    ("target", "clean"),
    [("/a", "/a"), ("/a/../b//c/", "/b/c"), ("/process", "/process"), ("/sys/x", "/sys/x")],
)
def test_D3_good_targets(target: str, clean: str) -> None:  # noqa: N802
    assert mounts.clean_target(target) == clean


@pytest.mark.parametrize(
    "option", ["bind", "remount", "rshared", "size", "size=", "size=-1", "mode=777777", "uid=x",
               "mpol=;", "lowerdir=/", "size=1 2", "nosuchthing", "context=x"]
)  # fmt: skip
def test_tmpfs_options_that_are_none(option: str) -> None:
    with pytest.raises(InvalidRequestError, match="invalid tmpfs option"):
        Tmpfs.parse("/x", option)


def test_tmpfs_options_that_are() -> None:
    text = "rw,size=10%,mode=1777,uid=0,gid=5,nr_inodes=10k,nr_blocks=5,mpol=bind:0-1,noatime"
    assert Tmpfs.parse("/x", text).options == tuple(text.split(","))


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("kernel.msgmax", "kernel.msgmax"),
        ("kernel/msgmax", "kernel.msgmax"),
        ("kernel.shm_rmid_forced", "kernel.shm_rmid_forced"),
        ("fs.mqueue.msg_max", "fs.mqueue.msg_max"),
        ("net.ipv4.ip_forward", "net.ipv4.ip_forward"),
        ("net/ipv4/conf/eth0.1/forwarding", "net.ipv4.conf.eth0/1.forwarding"),
        ("kernel.domainname", "kernel.domainname"),
    ],
)
def test_D9_parameters_of_an_own_namespace(given: str, name: str) -> None:  # noqa: N802
    assert sysctls.check({given: "1"}, OWN) == {name: "1"}
    with pytest.raises(InvalidRequestError):
        sysctls.check({given: "1"}, SHARED)


@pytest.mark.parametrize(
    "given", ["", "net", "net.", "kernel.core_pattern", "kernel/core_pattern", "net.ipv4/../x",
              "net/../kernel/core_pattern", "net..ipv4", "user.max_user_namespaces", "vm.x",
              "fs.mqueue", "fs.suid_dumpable", "kernel.shmmax.x", "kernel.hostname", "net.ipv4 .x",
              "/net/ipv4/x", "net.ipv4\n.x", "kernel.msgmax/../core_pattern"]
)  # fmt: skip
def test_D9_everything_else(given: str) -> None:  # noqa: N802
    with pytest.raises(InvalidRequestError):
        sysctls.check({given: "1"}, OWN)


def test_D9_values_stay_on_one_line() -> None:  # noqa: N802
    with pytest.raises(InvalidRequestError, match="invalid value"):
        sysctls.check({"net.ipv4.ip_forward": "1\n2"}, OWN)


@pytest.mark.parametrize(
    ("name", "soft", "hard"),
    [("foo", 1, 2), ("", 1, 2), ("nofile", 3, 2), ("nofile", -1, 5), ("nofile", -2, 5)],
)
def test_D10_ulimits(name: str, soft: int, hard: int) -> None:  # noqa: N802
    with pytest.raises(InvalidRequestError):
        ulimits.check(name, soft, hard)
    assert ulimits.check("NoFile", 1, 1).name == "nofile"


@pytest.mark.parametrize(
    "rule", ["", "foo", "c 1:1", "c 1:1 x", "c 1:1 rwmr", "x 1:1 r", "c -1:1 r", "c  1:1 r",
             "c 99999999999:1 r", "c 1:1 r\n", "c *:1:2 r"]
)  # fmt: skip
def test_device_rules_that_are_none(rule: str) -> None:
    with pytest.raises(InvalidRequestError, match="invalid device cgroup rule format"):
        DeviceRule.parse(rule)


def test_a_device_is_looked_up_on_the_host() -> None:
    found = devices.collect((DeviceMapping("/dev/null", "/dev/x", "r"),), (), privileged=False)
    (node,) = found.nodes
    assert (node["path"], node["type"], node["major"], node["minor"]) == ("/dev/x", "c", 1, 3)
    assert found.rules[-1] == {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "r"}


def test_a_device_that_is_not_there_or_is_no_device(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    for path, words in ((str(tmp_path / "nope"), "no such file"), (str(plain), "not a device")):
        with pytest.raises(InvalidRequestError, match=words):
            devices.collect((DeviceMapping(path, "/dev/x"),), (), privileged=False)


def test_throttled_devices_are_block_devices(tmp_path: Path) -> None:
    for path, words in (
        (str(tmp_path / "nope"), "no such file"),
        ("/dev/null", "not a block device"),
    ):
        with pytest.raises(InvalidRequestError, match=words):
            devices.block_numbers([path])
    assert devices.block_numbers([]) == {}


def test_a_link_to_a_device_and_a_directory_of_devices(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/null")
    found = devices.collect(
        (DeviceMapping(str(tmp_path / "link"), "/dev/x"), DeviceMapping(str(tmp_path), "/dev/d")),
        (),
        privileged=False,
    )
    assert [node["path"] for node in found.nodes] == ["/dev/x"]  # links in it are not followed


def test_D13_masked_paths_name_each_throttle(tmp_path: Path) -> None:  # noqa: N802
    for cpu in (0, 1, 10):
        (tmp_path / f"cpu{cpu}").mkdir()
    (tmp_path / "cpu0/thermal_throttle").mkdir()
    (tmp_path / "cpu10/thermal_throttle").mkdir()
    (tmp_path / "cpufreq").mkdir()
    found = paths.masked(tmp_path)
    assert found[-2:] == (
        f"{tmp_path}/cpu0/thermal_throttle",
        f"{tmp_path}/cpu10/thermal_throttle",
    )
    newer = {"/sys/devices/virtual/powercap", "/proc/interrupts"}
    assert newer <= set(found)
