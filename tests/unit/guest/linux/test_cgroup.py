import pytest

from pyd_guest.linux import cgroup

_LEGACY = """\
25 20 0:22 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
26 25 0:23 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
27 25 0:24 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
28 25 0:25 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
40 20 0:40 / /mnt/else rw - cgroup cgroup rw,pids
"""
_UNIFIED = "29 25 0:26 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"


@pytest.mark.parametrize(("extra", "layout"), [("", "legacy"), (_UNIFIED, "hybrid")])
def test_v1_layouts(extra: str, layout: str) -> None:
    found = cgroup.probe(_LEGACY + extra)
    assert found.layout == layout
    assert found.version == "1"
    assert found.controllers == {"memory", "cpu", "cpuacct"}
    assert (found.unified_mount is not None) is bool(extra)


def test_this_machine_has_one_of_the_layouts() -> None:
    assert cgroup.probe().layout in ("unified", "legacy", "hybrid")


def test_quicken_never_fails() -> None:
    cgroup.quicken()
