"""From a ContainerSpec to the runtime's input."""

import pytest

from pyd_api.errors import InvalidRequestError
from pyd_guest.engine import runtime_request
from pyd_guest.engine.container_spec import ContainerSpec, NetworkSpec, SecuritySpec
from pyd_guest.engine.runtime_request import Placement
from pyd_guest.runtime import capabilities
from pyd_guest.runtime.devices import DeviceMapping
from pyd_guest.runtime.host import HostFacts
from pyd_guest.runtime.mounts import Bind
from pyd_guest.runtime.oci_spec import HOST
from pyd_guest.runtime.users import User

FACTS = HostFacts(1, frozenset({0}), frozenset({0}), capabilities.KNOWN, "machine")
PLACE = Placement(
    container_id="ab" * 32,
    rootfs="/run/r",
    user=User(5, 6, (6,), "/home/x", "x"),
    netns="/run/netns/n",
    hosts="/d/hosts",
    hostname="/d/hostname",
    resolv_conf="/d/resolv.conf",
    init_binary="/usr/bin/tini",
)
SPEC = ContainerSpec(image="x", argv=("true",), hostname="box", cgroupns_mode="host")


def test_the_default_container() -> None:
    found = runtime_request.runtime_input(SPEC, PLACE, FACTS)
    assert found.cgroups_path == "/pyd/" + "ab" * 32
    assert found.namespaces.network == "/run/netns/n"
    assert found.namespaces.cgroup == HOST
    assert found.namespaces.pid is None
    assert found.binds == (
        Bind("/d/resolv.conf", "/etc/resolv.conf"),
        Bind("/d/hostname", "/etc/hostname"),
        Bind("/d/hosts", "/etc/hosts"),
    )
    assert found.init_binary is None
    assert found.mount_shm
    assert found.process.capabilities == capabilities.DEFAULT
    assert "HOME=/home/x" in found.process.env


def test_shared_with_the_host() -> None:
    spec = ContainerSpec(
        image="x",
        argv=("true",),
        init=True,
        ipc_mode="host",
        pid_mode="host",
        uts_mode="host",
        cgroup_parent="/my/parent/",
        network=NetworkSpec(mode="host"),
    )
    found = runtime_request.runtime_input(spec, PLACE, FACTS)
    spaces = found.namespaces
    assert (spaces.network, spaces.ipc, spaces.pid, spaces.uts) == (HOST,) * 4
    assert spaces.cgroup is None
    assert Bind("/dev/shm", "/dev/shm") in found.binds
    assert not found.mount_shm
    assert found.init_binary == "/usr/bin/tini"
    assert found.cgroups_path == "/my/parent/" + "ab" * 32


def test_apparmor_only_where_the_kernel_has_it() -> None:
    spec = ContainerSpec(image="x", argv=("true",), security=SecuritySpec(apparmor="mine"))
    assert runtime_request.apparmor_profile(spec, FACTS) == ""
    with_apparmor = HostFacts(
        1, FACTS.cpus, FACTS.memory_nodes, FACTS.capabilities, "machine", apparmor=True
    )
    assert runtime_request.apparmor_profile(spec, with_apparmor) == "mine"


def test_a_device_that_is_not_there() -> None:
    security = SecuritySpec(devices=(DeviceMapping("/dev/nope", "/dev/x"),))
    spec = ContainerSpec(image="x", argv=("true",), security=security)
    with pytest.raises(InvalidRequestError, match='custom device "/dev/nope": no such file'):
        runtime_request.runtime_input(spec, PLACE, FACTS)
