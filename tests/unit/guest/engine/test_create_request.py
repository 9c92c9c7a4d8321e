"""What a create request becomes: the shapes that dockerd 28.5 was seen to show."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from pyd_api.errors import InvalidRequestError, UnsupportedError
from pyd_guest.engine import create_request
from pyd_guest.engine.container_spec import ContainerSpec
from pyd_guest.network.endpoint import PortRequest
from pyd_guest.runtime import capabilities, paths
from pyd_guest.runtime.host import HostFacts
from pyd_guest.runtime.mounts import Tmpfs

FACTS = HostFacts(
    cgroup_version=1,
    cpus=frozenset({0, 1}),
    memory_nodes=frozenset({0}),
    capabilities=capabilities.KNOWN,
    hostname="machine",
)
CONTAINER_ID = "ab" * 32


@dataclass(frozen=True)
class FakeImage:
    entrypoint: Sequence[str] | None = ("sh", "-c")
    cmd: Sequence[str] | None = ("echo", "img")
    env: Sequence[str] | None = ("A=1", "B=2", "PATH=/x:/bin")
    user: str = "alice"
    working_dir: str = "/srv"
    labels: Mapping[str, str] | None = field(default_factory=lambda: {"l1": "a", "l2": "b"})
    exposed_ports: Sequence[str] | None = ("80/tcp", "53/udp")
    volumes: Sequence[str] | None = ("/data",)
    stop_signal: str | None = "SIGINT"
    healthcheck: Mapping[str, object] | None = field(
        default_factory=lambda: {"Test": ["CMD-SHELL", "true"], "Interval": 5_000_000_000}
    )


def merge(
    image: FakeImage | None = None, /, **body: object
) -> tuple[dict[str, object], dict[str, object]]:
    return create_request.merge(
        {"Image": "x", **body}, image, container_id=CONTAINER_ID, facts=FACTS
    )


def create(image: FakeImage | None = None, /, **body: object) -> ContainerSpec:
    return create_request.parse(*merge(image, **body), FACTS)


def test_smallest_request_is_shown_as_dockerd_shows_it() -> None:
    config, host = merge(Cmd=["true"])
    assert list(config.items()) == [
        ("Hostname", CONTAINER_ID[:12]),
        ("Domainname", ""),
        ("User", ""),
        ("AttachStdin", False),
        ("AttachStdout", False),
        ("AttachStderr", False),
        ("Tty", False),
        ("OpenStdin", False),
        ("StdinOnce", False),
        ("Env", None),
        ("Cmd", ["true"]),
        ("Image", "x"),
        ("Volumes", None),
        ("WorkingDir", ""),
        ("Entrypoint", None),
        ("OnBuild", None),
        ("Labels", {}),
    ]
    no_lists = (
        "Binds PortBindings VolumesFrom CapAdd CapDrop Dns DnsOptions DnsSearch ExtraHosts GroupAdd"
        " Links SecurityOpt BlkioWeightDevice BlkioDeviceReadBps BlkioDeviceWriteBps"
        " BlkioDeviceReadIOps BlkioDeviceWriteIOps Devices DeviceCgroupRules DeviceRequests"
        " MemorySwappiness PidsLimit Ulimits"
    )
    zeros = (
        "OomScoreAdj CpuShares Memory NanoCpus BlkioWeight CpuPeriod CpuQuota CpuRealtimePeriod"
        " CpuRealtimeRuntime MemoryReservation MemorySwap CpuCount CpuPercent IOMaximumIOps"
        " IOMaximumBandwidth"
    )
    empties = (
        "ContainerIDFile VolumeDriver Cgroup PidMode UTSMode UsernsMode Isolation CgroupParent"
        " CpusetCpus CpusetMems"
    )
    assert host == {
        **dict.fromkeys(no_lists.split()),
        **dict.fromkeys(zeros.split(), 0),
        **dict.fromkeys(empties.split(), ""),
        **dict.fromkeys(
            "AutoRemove Privileged PublishAllPorts ReadonlyRootfs OomKillDisable".split(),
            False,
        ),
        "LogConfig": {"Type": "json-file", "Config": {}},
        "NetworkMode": "bridge",
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "ConsoleSize": [0, 0],
        "CgroupnsMode": "host",
        "IpcMode": "private",
        "ShmSize": 67108864,
        "Runtime": "crun",
        "MaskedPaths": list(paths.masked()),
        "ReadonlyPaths": list(paths.READONLY),
    }


def test_everything_absent_and_everything_null_are_the_same() -> None:
    absent = merge(Cmd=["true"])
    nulls = dict.fromkeys(
        "Env Labels Entrypoint ExposedPorts Volumes Healthcheck StopTimeout HostConfig"
        " NetworkingConfig User Tty OnBuild Shell StopSignal".split()
    )
    assert merge(Cmd=["true"], **nulls) == absent
    all_null: dict[str, object] = dict.fromkeys(absent[1])
    assert merge(Cmd=["true"], HostConfig=all_null) == absent


def test_image_fills_what_the_request_leaves_open() -> None:
    config, _ = merge(FakeImage())
    assert config["User"] == "alice"
    assert config["ExposedPorts"] == {"53/udp": {}, "80/tcp": {}}
    assert config["Env"] == ["A=1", "B=2", "PATH=/x:/bin"]
    assert config["Cmd"] == ["echo", "img"]
    assert config["Entrypoint"] == ["sh", "-c"]
    assert config["Healthcheck"] == {"Test": ["CMD-SHELL", "true"], "Interval": 5_000_000_000}
    assert config["Volumes"] == {"/data": {}}
    assert config["WorkingDir"] == "/srv"
    assert config["OnBuild"] is None
    assert config["Labels"] == {"l1": "a", "l2": "b"}
    assert config["StopSignal"] == "SIGINT"


def test_request_wins_and_maps_are_united() -> None:
    config, _ = merge(
        FakeImage(),
        Cmd=["true"],
        Env=["B=9", "C=3", "A", "D"],
        Labels={"l1": "z", "l3": "c"},
        ExposedPorts={"90/tcp": {}},
        User="root",
        WorkingDir="/w",
        StopSignal="KILL",
    )
    assert config["Env"] == ["B=9", "C=3", "A", "D", "PATH=/x:/bin"]
    assert config["Labels"] == {"l1": "z", "l2": "b", "l3": "c"}
    assert config["ExposedPorts"] == {"53/udp": {}, "80/tcp": {}, "90/tcp": {}}
    assert (config["User"], config["WorkingDir"], config["StopSignal"]) == ("root", "/w", "KILL")


@pytest.mark.parametrize(
    ("body", "entrypoint", "cmd"),
    [
        ({"Cmd": None}, ["sh", "-c"], ["echo", "img"]),
        ({"Cmd": []}, ["sh", "-c"], ["echo", "img"]),
        ({"Cmd": ["x"]}, ["sh", "-c"], ["x"]),
        ({"Cmd": "x y"}, ["sh", "-c"], ["x y"]),
        ({"Entrypoint": ["e"]}, ["e"], None),
        ({"Entrypoint": "e f"}, ["e f"], None),
        ({"Entrypoint": ["e"], "Cmd": []}, ["e"], []),
        ({"Entrypoint": [""], "Cmd": ["x"]}, None, ["x"]),
        ({"Entrypoint": "", "Cmd": ["x"]}, None, ["x"]),
        ({"Entrypoint": []}, [], ["echo", "img"]),
        ({"Entrypoint": [], "Cmd": ["x"]}, [], ["x"]),
    ],
)
def test_entrypoint_and_cmd(body: dict[str, object], entrypoint: object, cmd: object) -> None:
    config, host = merge(FakeImage(), **body)
    assert (config["Entrypoint"], config["Cmd"]) == (entrypoint, cmd)
    spec = create_request.parse(config, host, FACTS)
    assert list(spec.argv) == [*(entrypoint or []), *(cmd or [])]  # type: ignore[misc]


def test_own_health_check_is_refused_but_none_is_not() -> None:
    config, _ = merge(FakeImage(), Healthcheck={"Test": ["NONE"]})
    assert config["Healthcheck"] == {"Test": ["NONE"], "Interval": 5_000_000_000}
    with pytest.raises(UnsupportedError):
        merge(FakeImage(), Healthcheck={"Test": ["CMD", "x"]})


def test_an_image_with_volumes_and_health_check_can_be_used() -> None:
    spec = create(FakeImage())
    assert spec.volume_paths == ("/data",)
    assert any("/data" in warning for warning in spec.warnings)
    assert any("health check" in warning for warning in spec.warnings)


def test_a_tmpfs_over_an_image_volume_takes_its_place() -> None:
    spec = create(FakeImage(), HostConfig={"Tmpfs": {"/data": ""}})
    assert spec.volume_paths == ()
    assert spec.tmpfs == (Tmpfs("/data"),)


def test_names_of_fields_match_in_any_case_and_unknown_ones_are_ignored() -> None:
    config, host = create_request.merge(
        {"image": "x", "CMD": ["true"], "hostconfig": {"memory": 10 << 20}, "FooBar": 5},
        None,
        facts=FACTS,
    )
    assert config["Cmd"] == ["true"]
    assert host["Memory"] == 10 << 20
    assert "FooBar" not in config


def test_a_lone_surrogate_becomes_a_replacement_character() -> None:
    spec = create(Cmd=["\ud800"], Env=["A=é\udfff"])
    json.dumps([*spec.argv, *spec.env]).encode()
    assert "�" in spec.argv[0]
    [*map(str.encode, (*spec.argv, *spec.env))]


def test_I4_nothing_is_shared_between_two_containers() -> None:  # noqa: N802
    image = FakeImage(env=["A=1"], cmd=["c"], entrypoint=["e"], labels={"l": "1"})
    body: dict[str, object] = {
        "Labels": {"own": "1"},
        "HostConfig": {"CapAdd": ["KILL"], "PortBindings": {"80/tcp": [{"HostPort": "1"}]}},
    }
    first = merge(image, **body)
    pristine = json.dumps(first)
    second = merge(image, **body)

    def spoil(value: object) -> None:
        if isinstance(value, list):
            for entry in value:
                spoil(entry)
            value.append("spoilt")
        elif isinstance(value, dict):
            for entry in value.values():
                spoil(entry)
            value["spoilt"] = "spoilt"

    spoil(second[0])
    spoil(second[1])
    assert json.dumps(first) == pristine
    assert json.dumps(merge(image, **body)) == pristine
    assert (image.env, image.cmd, image.labels) == (["A=1"], ["c"], {"l": "1"})


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"Memory": 6 << 20}, {"Memory": 6 << 20, "MemorySwap": 12 << 20}),
        ({"Memory": 10_000_000, "MemorySwap": -1}, {"MemorySwap": -1}),
        ({"MemorySwappiness": -1}, {"MemorySwappiness": None}),
        ({"PidsLimit": -5}, {"PidsLimit": None}),
        ({"PidsLimit": 0}, {"PidsLimit": None}),
        ({"PidsLimit": 10}, {"PidsLimit": 10}),
        ({"OomKillDisable": None}, {"OomKillDisable": False}),
        ({"ShmSize": 0}, {"ShmSize": 64 << 20}),
        ({"NetworkMode": "default"}, {"NetworkMode": "bridge"}),
        (
            {"RestartPolicy": {"Name": ""}},
            {"RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}},
        ),
        ({"LogConfig": {"Type": ""}}, {"LogConfig": {"Type": "json-file", "Config": {}}}),
        ({"ConsoleSize": [1]}, {"ConsoleSize": [1, 0]}),
        ({"ConsoleSize": [1, 2, 3]}, {"ConsoleSize": [1, 2]}),
        ({"CapAdd": []}, {"CapAdd": [], "CapDrop": None}),
        ({"Privileged": True}, {"MaskedPaths": None, "SecurityOpt": ["label=disable"]}),
        (
            {"Privileged": True, "SecurityOpt": ["seccomp=builtin"]},
            {"SecurityOpt": ["seccomp=builtin", "label=disable"]},
        ),
        ({"PidMode": "host"}, {"SecurityOpt": ["label=disable"]}),
        ({"MaskedPaths": [], "ReadonlyPaths": []}, {"MaskedPaths": [], "ReadonlyPaths": []}),
        ({"Init": True}, {"Init": True}),
        ({"Annotations": {"a": "b"}}, {"Annotations": {"a": "b"}}),
    ],
)
def test_host_config_as_shown(given: dict[str, object], shown: dict[str, object]) -> None:
    _, host = merge(Cmd=["true"], HostConfig=given)
    assert {name: host[name] for name in shown} == shown


@pytest.mark.parametrize("empty", [None, {}])
@pytest.mark.parametrize("name", ["Sysctls", "Tmpfs", "StorageOpt", "Annotations"])
def test_empty_optional_fields_are_left_out(name: str, empty: object) -> None:
    _, host = merge(Cmd=["true"], HostConfig={name: empty, "Mounts": [], "Init": None})
    assert not {name, "Mounts", "Init"} & host.keys()


def test_hostname_of_the_machine_with_its_network() -> None:
    assert merge(Cmd=["x"], HostConfig={"NetworkMode": "host"})[0]["Hostname"] == "machine"
    config, _ = merge(Cmd=["x"], HostConfig={"NetworkMode": "host"}, Hostname="own")
    assert config["Hostname"] == "own"


def test_cgroup_namespace_is_private_on_version_2() -> None:
    facts = HostFacts(2, FACTS.cpus, FACTS.memory_nodes, FACTS.capabilities, "machine")
    _, host = create_request.merge({"Image": "x", "Cmd": ["x"]}, None, facts=facts)
    assert host["CgroupnsMode"] == "private"


MAC = "02:42:ac:11:00:09"


@pytest.mark.parametrize("network", ["bridge", "default"])
def test_the_endpoints_mac_address_is_shown_in_config(network: str) -> None:
    networking = {"EndpointsConfig": {network: {"MacAddress": MAC, "GwPriority": 0}}}
    assert merge(Cmd=["x"], NetworkingConfig=networking)[0]["MacAddress"] == MAC
    assert create(Cmd=["x"], NetworkingConfig=networking).network.mac_address == MAC
    assert create(Cmd=["x"], MacAddress=MAC).network.mac_address == MAC
    other = {"EndpointsConfig": {network: {"MacAddress": "02:42:ac:11:00:0a"}}}
    with pytest.raises(InvalidRequestError, match="must match the endpoint-specific MAC address"):
        merge(Cmd=["x"], MacAddress=MAC, NetworkingConfig=other)


def test_a_mac_address_without_a_bridge_is_dropped() -> None:
    for mode in ("host", "none"):
        config, _ = merge(Cmd=["x"], MacAddress=MAC, HostConfig={"NetworkMode": mode})
        assert "MacAddress" not in config


def test_working_directory_is_cleaned() -> None:
    assert merge(Cmd=["x"], WorkingDir="/a/../b/")[0]["WorkingDir"] == "/b"
    assert create(Cmd=["x"]).cwd == "/"


def test_a_full_request_becomes_values() -> None:
    spec = create(
        Cmd=["true"],
        Tty=True,
        OpenStdin=True,
        StopSignal="SIGRTMIN+3",
        StopTimeout=0,
        Labels={"a": None},
        ExposedPorts={"90-91/udp": {}},
        HostConfig={
            "AutoRemove": True,
            "NetworkMode": "bridge",
            "PortBindings": {
                "80": [{"HostPort": "8080"}],
                "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "1000-1005"}, {}],
                "99/tcp": None,
            },
            "ExtraHosts": ["a:1.2.3.4", "b:::1", "h:host-gateway"],
            "Dns": ["1.2.3.4"],
            "CapAdd": ["cap_net_admin", "sys_time"],
            "CapDrop": ["all"],
            "SecurityOpt": ["no-new-privileges", "seccomp:unconfined", "label:type:x"],
            "Ulimits": [
                {"Name": "NOFILE", "Soft": 3, "Hard": 5},
                {"Name": "core", "Soft": -1, "Hard": -1},
                {"Name": "nofile", "Soft": 4, "Hard": 6},
            ],
            "ConsoleSize": [24, 80],
            "Sysctls": {"net/core/somaxconn": "10"},
            "Mounts": [
                {"Type": "tmpfs", "Target": "/m", "TmpfsOptions": {"SizeBytes": 5, "Mode": 0o700}}
            ],
            "LogConfig": {"Type": "none", "Config": {"max-size": "1m"}},
        },
    )
    assert spec.stop_signal == 37
    assert spec.stop_timeout_s == 0
    assert spec.labels == (("a", ""),)
    assert spec.console_size == (24, 80)
    assert spec.log_driver == "none"
    assert spec.network.exposed == ("90/udp", "91/udp")
    assert set(spec.network.ports) == {
        PortRequest.parse("80/tcp", host_port="8080"),
        PortRequest.parse("53/udp", host_ip="127.0.0.1", host_port="1000-1005"),
        PortRequest.parse("53/udp"),
    }
    assert spec.network.extra_hosts == (("a", "1.2.3.4"), ("b", "::1"), ("h", "host-gateway"))
    assert spec.security.cap_add == ("CAP_NET_ADMIN", "CAP_SYS_TIME")
    assert spec.security.cap_drop == ("ALL",)
    assert spec.security.no_new_privileges
    assert spec.security.seccomp == "unconfined"
    assert [(limit.name, limit.soft) for limit in spec.resources.rlimits] == [
        ("nofile", 4),
        ("core", -1),
    ]
    assert spec.tmpfs == (Tmpfs("/m", ("size=5", "mode=700")),)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            {"HostConfig": {"NetworkMode": "host", "PortBindings": {"80/tcp": [{}]}}},
            "Published ports are discarded when using host network mode",
        ),
        (
            {"HostConfig": {"OomKillDisable": True}},
            "OOM killer is disabled for the container, but no memory limit is set",
        ),
        (
            {"HostConfig": {"CpuPercent": 50}},
            "linux does not support CPU percent. Percent discarded.",
        ),
        (
            {"HostConfig": {"BlkioWeight": 500}},
            "Your kernel does not support Block I/O weight or the cgroup is not mounted.",
        ),
    ],
)
def test_warnings_in_dockerds_words(body: dict[str, object], words: str) -> None:
    assert any(words in warning for warning in create(Cmd=["x"], **body).warnings)


def test_a_stored_container_is_read_on_a_smaller_machine() -> None:
    config, host = merge(
        Cmd=["x"],
        HostConfig={
            "CpusetCpus": "0-1",
            "NanoCpus": 2_000_000_000,
            "CapAdd": ["SYS_ADMIN"],
            "Runtime": "runc",
        },
    )
    smaller = HostFacts(
        1, frozenset({0}), frozenset({0}), ("CAP_KILL",), "machine", runtimes=("crun",)
    )
    with pytest.raises(InvalidRequestError):
        create_request.parse(config, host, smaller)
    assert create_request.restore(config, host, smaller).runtime == "runc"


def test_a_merged_request_parses_again_after_storage() -> None:
    config, host = merge(FakeImage())
    stored_config, stored_host = json.loads(json.dumps([config, host]))
    assert create_request.parse(stored_config, stored_host, FACTS) == create_request.parse(
        config, host, FACTS
    )
