"""Every refusal of a create request, in the words dockerd 28.5 was seen to use."""

import re

import pytest

from pyd_api.errors import InvalidRequestError, NotFoundError, PydError, UnsupportedError
from pyd_guest.engine import create_request
from pyd_guest.engine.container_spec import ContainerSpec
from pyd_guest.runtime import capabilities
from pyd_guest.runtime.host import HostFacts

FACTS = HostFacts(
    cgroup_version=1,
    cpus=frozenset({0, 1}),
    memory_nodes=frozenset({0}),
    capabilities=capabilities.KNOWN,
    hostname="machine",
)


def create(**body: object) -> ContainerSpec:
    config, host = create_request.merge(
        {"Image": "x", "Cmd": ["true"], **body}, None, container_id="ab" * 32, facts=FACTS
    )
    return create_request.parse(config, host, FACTS)


def host(**fields: object) -> dict[str, object]:
    return {"HostConfig": fields}


# (body, dockerd's message)
DOCKERD: list[tuple[dict[str, object], str]] = [
    (host(Memory=1), "Minimum memory limit allowed is 6MB"),
    (host(Memory=-1), "Minimum memory limit allowed is 6MB"),
    (host(Memory=(6 << 20) - 1), "Minimum memory limit allowed is 6MB"),
    (
        host(Memory=6 << 20, MemorySwap=5),
        "Minimum memoryswap limit should be larger than memory limit, see usage",
    ),
    (
        host(MemorySwap=10_000_000),
        "You should always set the Memory limit when using Memoryswap limit, see usage",
    ),
    (
        host(Memory=10_000_000, MemoryReservation=20_000_000),
        "Minimum memory limit can not be less than memory reservation limit, see usage",
    ),
    (host(MemoryReservation=1), "Minimum memory reservation allowed is 6MB"),
    (
        host(MemorySwappiness=101),
        "Invalid value: 101, valid memory swappiness range is 0-100",
    ),
    (host(MemorySwappiness=-2), "Invalid value: -2, valid memory swappiness range is 0-100"),
    (
        host(NanoCpus=3_000_000_000),
        "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
    ),
    (
        host(NanoCpus=-1),
        "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
    ),
    (
        host(NanoCpus=1_000_000_000, CpuPeriod=1000),
        "Conflicting options: Nano CPUs and CPU Period cannot both be set",
    ),
    (
        host(NanoCpus=1_000_000_000, CpuQuota=1000),
        "Conflicting options: Nano CPUs and CPU Quota cannot both be set",
    ),
    (
        host(CpuPeriod=100),
        "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
    ),
    (host(CpuQuota=999), "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
    (host(CpuShares=-1), "invalid CPU shares (-1): value must be a positive integer"),
    (
        host(CpusetCpus="0-4294967295"),
        "Invalid value 0-4294967295 for cpuset cpus: value of out range, maximum is 8192",
    ),
    (
        host(CpusetCpus="0-9"),
        "Requested CPUs are not available - requested 0-9, available: 0-1",
    ),
    (host(CpusetCpus="a"), "Invalid value a for cpuset cpus: invalid format: a"),
    (host(CpusetCpus="1-0"), "Invalid value 1-0 for cpuset cpus: invalid format: 1-0"),
    (
        host(CpusetMems="5"),
        "Requested memory nodes are not available - requested 5, available: 0",
    ),
    (
        host(CpuRealtimeRuntime=10000, CpuRealtimePeriod=100),
        "cpu real-time runtime cannot be higher than cpu real-time period",
    ),
    (host(ShmSize=-1), "SHM size can not be less than 0"),
    (host(OomScoreAdj=5000), "Invalid value 5000, range for oom score adj is [-1000, 1000]"),
    (host(OomScoreAdj=-1001), "Invalid value -1001, range for oom score adj is [-1000, 1000]"),
    (host(CapAdd=["foo"]), 'invalid CapAdd: unknown capability: "CAP_FOO"'),
    (host(CapDrop=["foo"]), 'invalid CapDrop: unknown capability: "CAP_FOO"'),
    (host(CapAdd=[""]), 'invalid CapAdd: unknown capability: "CAP_"'),
    (host(SecurityOpt=["foo"]), 'invalid --security-opt 1: "foo"'),
    (host(SecurityOpt=["foo=bar"]), 'invalid --security-opt 2: "foo=bar"'),
    (host(SecurityOpt=["foo:bar"]), 'invalid --security-opt 2: "foo:bar"'),
    (
        host(SecurityOpt=["no-new-privileges=x"]),
        'invalid --security-opt 2: "no-new-privileges=x"',
    ),
    (
        host(Sysctls={"kernel.core_pattern": "x"}),
        'sysctl "kernel.core_pattern" is not in a separate kernel namespace',
    ),
    (
        host(Sysctls={"net.ipv4.ip_forward": "1"}, NetworkMode="host"),
        'sysctl "net.ipv4.ip_forward" not allowed in host network namespace',
    ),
    (
        host(Sysctls={"kernel.msgmax": "1"}, IpcMode="host"),
        'sysctl "kernel.msgmax" is not allowed in the hosts ipc namespace',
    ),
    (host(Tmpfs={"/x": "bad"}), 'invalid tmpfs option "bad"'),
    (host(Tmpfs={"/x": "huge=1"}), 'invalid tmpfs option "huge"'),
    (host(Tmpfs={"x": ""}), "invalid mount path: 'x' mount path must be absolute"),
    (host(Tmpfs={"/": ""}), "invalid specification: destination can't be '/'"),
    (host(Tmpfs={"/a/../..": ""}), "invalid specification: destination can't be '/'"),
    (
        host(PortBindings={"80/tcp": [{"HostPort": "8080x"}]}),
        'invalid port specification: "8080x"',
    ),
    (
        host(PortBindings={"99999/tcp": [{"HostPort": "80"}]}),
        'invalid port specification: "99999"',
    ),
    (host(PortBindings={"x/tcp": [{}]}), 'invalid port specification: "x"'),
    (
        host(PortBindings={"80/tcp": [{"HostPort": "8090-8081"}]}),
        'invalid port specification: "8090-8081"',
    ),
    (host(PortBindings={"80-82/tcp": [{}]}), 'invalid port specification: "80-82"'),
    (host(ExtraHosts=["a"]), 'bad format for add-host: "a"'),
    (host(ExtraHosts=[":1.2.3.4"]), 'bad format for add-host: ":1.2.3.4"'),
    (host(ExtraHosts=["a:1.2.3"]), 'invalid IP address in add-host: "1.2.3"'),
    (
        host(ExtraHosts=["a:1.2.3.4\nb"]),
        'invalid IP address in add-host: "1.2.3.4\\nb"',
    ),
    (host(Dns=["x"]), 'bad nameserver address x: ParseAddr("x"): unable to parse IP'),
    (
        host(RestartPolicy={"Name": "always"}, AutoRemove=True),
        "can't create 'AutoRemove' container with restart policy",
    ),
    (
        host(RestartPolicy={"Name": "foo"}),
        (
            "invalid restart policy: unknown policy 'foo'; use one of 'no', 'always', 'on-failure',"
            " or 'unless-stopped'"
        ),
    ),
    (
        host(RestartPolicy={"Name": "no", "MaximumRetryCount": 3}),
        "invalid restart policy: maximum retry count can only be used with 'on-failure'",
    ),
    (
        host(RestartPolicy={"Name": "on-failure", "MaximumRetryCount": -3}),
        "invalid restart policy: maximum retry count cannot be negative",
    ),
    ({"StopSignal": "FOO"}, "invalid signal: FOO"),
    ({"StopSignal": "0"}, "invalid signal: 0"),
    (
        host(NetworkMode="container:"),
        "invalid network mode: invalid container format container:<name|id>",
    ),
    (
        {**host(NetworkMode="container:a"), "Hostname": "b"},
        "conflicting options: hostname and the network mode",
    ),
    (
        host(NetworkMode="container:a", Dns=["1.1.1.1"]),
        "conflicting options: dns and the network mode",
    ),
    (
        host(NetworkMode="container:a", ExtraHosts=["a:1.1.1.1"]),
        "conflicting options: custom host-to-IP mapping and the network mode",
    ),
    (
        host(NetworkMode="container:a", PortBindings={"80/tcp": [{}]}),
        "conflicting options: port publishing and the container type network mode",
    ),
    (
        {**host(NetworkMode="container:a"), "ExposedPorts": {"80/tcp": {}}},
        "conflicting options: port exposing and the container type network mode",
    ),
    (
        host(NetworkMode="host", Links=["a:b"]),
        (
            "conflicting options: host type networking can't be used with links."
            " This would result in undefined behavior"
        ),
    ),
    (
        {**host(UTSMode="host"), "Hostname": "b"},
        "conflicting options: hostname and the UTS mode",
    ),
    (host(UTSMode="foo"), "invalid UTS mode: foo"),
    (host(IpcMode="foo"), "invalid IPC mode: foo"),
    (host(PidMode="foo"), "invalid PID mode: foo"),
    (host(PidMode="container:"), "invalid PID mode: container:"),
    (host(CgroupnsMode="foo"), "invalid cgroup namespace mode: foo"),
    (
        host(LogConfig={"Type": "foo"}),
        'error looking up logging plugin foo: plugin "foo" not found',
    ),
    (
        host(LogConfig={"Type": "json-file", "Config": {"foo": "bar"}}),
        "unknown log opt 'foo' for json-file log driver",
    ),
    (host(Runtime="foo"), "unknown or invalid runtime name: foo"),
    (host(Isolation="hyperv"), "invalid isolation (hyperv): linux only supports 'default'"),
    (
        host(IOMaximumIOps=5),
        "invalid option: QoS maximum IOPs configuration is not supported on linux",
    ),
    (
        host(Mounts=[{"Type": "foo"}]),
        'invalid mount config for type "foo": field Target must not be empty',
    ),
    (
        host(Mounts=[{"Type": "tmpfs", "Target": "/"}]),
        "invalid mount config for type \"tmpfs\": invalid specification: destination can't be '/'",
    ),
    (
        host(Mounts=[{"Type": "tmpfs", "Target": "x"}]),
        (
            "invalid mount config for type \"tmpfs\": invalid mount path: 'x' mount path must be"
            " absolute"
        ),
    ),
    (
        host(Mounts=[{"Type": "tmpfs", "Target": "/x", "Source": "/y"}]),
        'invalid mount config for type "tmpfs": field Source must not be specified',
    ),
    (
        host(Mounts=[{"Type": "tmpfs", "Target": "/x"}], Tmpfs={"/x": ""}),
        "Duplicate mount point: /x",
    ),
    (
        host(Annotations={"": "b"}),
        "invalid Annotations: the empty string is not permitted as an annotation key",
    ),
    (
        {"WorkingDir": "relative"},
        "the working directory 'relative' is invalid, it needs to be an absolute path",
    ),
    ({"Env": ["=A"]}, "invalid environment variable: =A"),
    ({"Env": [""]}, "invalid environment variable: "),
    ({"Cmd": []}, "no command specified"),
    ({"Cmd": None}, "no command specified"),
    ({"Cmd": None, "Entrypoint": [""]}, "no command specified"),
    ({"Healthcheck": {"Interval": 1}}, "Interval in Healthcheck cannot be less than 1ms"),
    ({"Healthcheck": {"Retries": -1}}, "Retries in Healthcheck cannot be negative"),
    ({"MacAddress": "x"}, "invalid config for network bridge: invalid MAC address x"),
    (
        {"NetworkingConfig": {"EndpointsConfig": {"bridge": {"Aliases": ["x"]}}}},
        (
            "invalid config for network bridge: invalid endpoint settings:\n"
            "network-scoped alias is supported only for containers in user defined networks"
        ),
    ),
    (
        {"Cmd": 5},
        "invalid JSON: json: cannot unmarshal number into Go value of type string",
    ),
    (
        {"Tty": "x"},
        "invalid JSON: json: cannot unmarshal string into Go struct field .Tty of type bool",
    ),
    (
        {"Env": "x"},
        "invalid JSON: json: cannot unmarshal string into Go struct field .Env of type []string",
    ),
    ({"Env": [5]}, "invalid JSON: json: cannot unmarshal number into .Env.0 of type string"),
    (
        {"Labels": ["a"]},
        (
            "invalid JSON: json: cannot unmarshal array into Go struct field .Labels of type"
            " map[string]string"
        ),
    ),
    (
        host(Memory="x"),
        (
            "invalid JSON: json: cannot unmarshal string into Go struct field .HostConfig.Memory of"
            " type int64"
        ),
    ),
    (
        host(Memory=1.5),
        (
            "invalid JSON: json: cannot unmarshal number 1.5 into Go struct field"
            " .HostConfig.Memory of type int64"
        ),
    ),
    (
        host(CpuShares=99999999999999999999),
        (
            "invalid JSON: json: cannot unmarshal number 99999999999999999999 into Go struct field"
            " .HostConfig.CpuShares of type int64"
        ),
    ),
    (
        {"HostConfig": 5},
        (
            "invalid JSON: json: cannot unmarshal number into Go struct field .HostConfig of type"
            " container.HostConfig"
        ),
    ),
    (
        host(BlkioWeight=-1),
        (
            "invalid JSON: json: cannot unmarshal number -1 into Go struct field"
            " .HostConfig.BlkioWeight of type uint16"
        ),
    ),
    (
        host(ConsoleSize=[-1, 2]),
        (
            "invalid JSON: json: cannot unmarshal number -1 into .HostConfig.ConsoleSize.0 of type"
            " uint"
        ),
    ),
]


@pytest.mark.parametrize(("body", "message"), DOCKERD)
def test_refused_in_dockerds_words(body: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        create(**body)
    assert caught.value.message == message


# What dockerd lets pass at create and fails, or misbehaves, later; pyd says so at once.
STRICTER: list[tuple[dict[str, object], str]] = [
    ({"Hostname": "a\nb"}, "invalid hostname"),
    ({"Hostname": "a" * 65}, "longer than 64 bytes"),
    ({"Hostname": "a\0b"}, "invalid hostname"),
    ({"Domainname": "a b"}, "invalid domainname"),
    ({"Env": ["A=a\0b"]}, "invalid environment variable"),
    ({"Env": ["A=" + "x" * (10 << 20)]}, "longer than 131071 bytes"),
    ({"Env": ["A=" + "x" * 130_000] * 60}, "longer than 6 MiB"),
    ({"Cmd": ["a\0b"]}, "invalid command"),
    ({"User": "a\0b"}, "invalid user"),
    ({"Labels": {"a": "x" * (2 << 20)}}, "Labels are larger than 1 MiB"),
    ({"WorkingDir": "/proc/self/fd/8"}, "inside a process's /proc"),
    ({"WorkingDir": "/x/../proc/1/root"}, "inside a process's /proc"),
    ({"ExposedPorts": {"x": {}}}, "invalid port specification"),
    ({"ExposedPorts": {"0/tcp": {}}}, "invalid exposed port"),
    ({"StopSignal": "99"}, "the linux daemon does not support signal 99"),
    (host(ExtraHosts=["a\n1.2.3.4 b:1.2.3.4"]), "bad format for add-host"),
    (host(ExtraHosts=["a b:1.2.3.4"]), "bad format for add-host"),
    (host(DnsSearch=["a b\nc"]), "invalid DNS search domain"),
    (host(DnsOptions=["a\nb"]), "invalid DNS option"),
    (host(Memory=10_000_000, MemorySwap=-2), "invalid memory swap limit"),
    (host(ShmSize=1 << 60), "SHM size can not be more"),
    (host(Ulimits=[{"Name": "foo", "Soft": 1, "Hard": 2}]), "invalid ulimit type: foo"),
    (host(Ulimits=[{"Name": "nofile", "Soft": 3, "Hard": 2}]), "ulimit soft limit must be less"),
    (host(Ulimits=[{"Name": "nofile", "Soft": -1, "Hard": 2}]), "ulimit soft limit must be less"),
    (host(SecurityOpt=["seccomp={bad"]), "Decoding seccomp profile failed"),
    (host(SecurityOpt=["seccomp={}"]), "Decoding seccomp profile failed: defaultAction"),
    (host(SecurityOpt=["seccomp=" + "[" * 100_000]), "Decoding seccomp profile failed"),
    (host(Sysctls={"net.ipv4/../x": "1"}), "is not in a separate kernel namespace"),
    (host(Sysctls={"kernel/core_pattern": "x"}), "is not in a separate kernel namespace"),
    (host(Sysctls={"user.max_user_namespaces": "1"}), "is not in a separate kernel namespace"),
    (host(Sysctls={"": "1"}), "is not in a separate kernel namespace"),
    (host(Sysctls={"kernel.domainname": "x"}, UTSMode="host"), "separate kernel namespace"),
    (host(Tmpfs={"/proc": ""}), "destination can't be inside /proc"),
    (host(Tmpfs={"/proc/self/attr": ""}), "destination can't be inside /proc"),
    (host(Tmpfs={"/a/../proc/x": ""}), "destination can't be inside /proc"),
    (host(Tmpfs={"/x": "size=x"}), 'invalid tmpfs option "size=x"'),
    (host(Tmpfs={"/x": "mode=9"}), 'invalid tmpfs option "mode=9"'),
    (host(PortBindings={"0/tcp": [{}]}), "invalid port specification"),
    (host(PortBindings={"80/foo": [{}]}), "invalid proto: foo"),
    (host(PortBindings={"80/tcp": [{"HostIp": "bad"}]}), "bad"),
    (host(DeviceCgroupRules=["foo"]), "invalid device cgroup rule format"),
    (host(Devices=[{"PathOnHost": "", "PathInContainer": "/x"}]), "invalid device path"),
    (host(Devices=[{"PathOnHost": "/dev/null", "CgroupPermissions": "xyz"}]), "permissions"),
    (host(BlkioDeviceReadBps=[{"Path": "vda", "Rate": 1}]), "invalid device path"),
    (host(MaskedPaths=["x"]), "invalid MaskedPaths"),
    (host(ReadonlyPaths=["/a/../b"]), "invalid ReadonlyPaths"),
    (host(CgroupParent="../../foo"), "invalid cgroup parent"),
    (host(UsernsMode="foo"), "invalid USER mode: foo"),
    (host(IpcMode="container:"), "invalid IPC mode"),
    (host(Annotations={"run.oci.handler": "x"}), "reserved"),
    (host(ConsoleSize=[100_000, 1]), "invalid console size"),
]


@pytest.mark.parametrize(("body", "part"), STRICTER)
def test_refused_earlier_than_dockerd_does(body: dict[str, object], part: str) -> None:
    with pytest.raises(InvalidRequestError, match=re.escape(part)) as caught:
        create(**body)
    assert len(caught.value.message) < 500
    assert "\0" not in caught.value.message


LATER: list[tuple[dict[str, object], str]] = [
    (host(Binds=["/tmp:/x"]), "HostConfig.Binds"),
    (host(VolumesFrom=["x"]), "HostConfig.VolumesFrom"),
    (host(VolumeDriver="x"), "HostConfig.VolumeDriver"),
    (host(Mounts=[{"Type": "bind", "Source": "/tmp", "Target": "/x"}]), "HostConfig.Mounts"),
    (host(Mounts=[{"Type": "volume", "Target": "/x"}]), "HostConfig.Mounts"),
    (host(StorageOpt={"size": "1G"}), "HostConfig.StorageOpt"),
    (host(Links=["x"]), "HostConfig.Links"),
    (host(RestartPolicy={"Name": "always"}), "RestartPolicy"),
    (host(LogConfig={"Type": "syslog"}), "LogConfig.Type"),
    (host(LogConfig={"Type": "json-file", "Config": {"max-size": "1m"}}), "LogConfig.Config"),
    (host(DeviceRequests=[{"Driver": "nvidia", "Count": 1}]), "HostConfig.DeviceRequests"),
    (host(CpuRealtimeRuntime=1000), "HostConfig.CpuRealtime"),
    (host(KernelMemoryTCP=1), "HostConfig.KernelMemoryTCP"),
    (host(PidMode="container:x"), "PidMode"),
    (host(IpcMode="container:x"), "IpcMode"),
    (host(Cgroup="x"), "HostConfig.Cgroup"),
    ({"Volumes": {"/x": {}}}, "Volumes"),
    ({"Healthcheck": {"Test": ["CMD", "true"]}}, "Healthcheck"),
    (
        {"NetworkingConfig": {"EndpointsConfig": {"bridge": {"DriverOpts": {"a": "b"}}}}},
        "EndpointsConfig.bridge.DriverOpts",
    ),
]


@pytest.mark.parametrize(("body", "field"), LATER)
def test_what_is_not_there_yet_is_named(body: dict[str, object], field: str) -> None:
    with pytest.raises(UnsupportedError, match=re.escape(field)):
        create(**body)


def test_a_second_network_that_does_not_exist_is_404() -> None:
    with pytest.raises(NotFoundError, match="network nope not found"):
        create(NetworkingConfig={"EndpointsConfig": {"nope": {}}})


def test_whether_the_network_exists_is_asked_at_the_start() -> None:
    create(**host(NetworkMode="nope"))


def test_every_refusal_is_a_client_error() -> None:
    for body, _ in DOCKERD + STRICTER:
        with pytest.raises(PydError) as caught:
            create(**body)
        assert caught.value.status == 400
