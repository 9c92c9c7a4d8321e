"""The body of a create request: what Docker's client 28 sends for the same words (recorded)."""
# ruff: noqa: E501 - tables of command lines and messages, one row a line

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pyd_host.cli.container.create_flags import CREATE_FLAGS
from pyd_host.cli.container.create_request import build_body
from pyd_host.cli.errors import CommandError, UsageError
from pyd_host.cli.flags import parse

ENDPOINT = {
    "IPAMConfig": None, "Links": None, "Aliases": None, "MacAddress": "", "DriverOpts": None,
    "GwPriority": 0, "NetworkID": "", "EndpointID": "", "Gateway": "", "IPAddress": "",
    "IPPrefixLen": 0, "IPv6Gateway": "", "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0,
    "DNSNames": None,
}  # fmt: skip


def body_of(*words: str) -> dict[str, object]:
    values, rest = parse(CREATE_FLAGS, [*words, "img", "cmd", "-x"], interspersed=False)
    return build_body(values, rest[0], rest[1:], (0, 0))


def flatten(value: object, path: str = "") -> dict[str, object]:
    if not isinstance(value, dict) or not value:
        return {path: value}
    found: dict[str, object] = {}
    for key, item in value.items():
        found.update(flatten(item, f"{path}|{key}" if path else key))
    return found


def changes(*words: str) -> dict[str, object]:
    """Return what the words change against no words, by path; None for what is gone."""
    before, after = flatten(body_of()), flatten(body_of(*words))
    gone: dict[str, object] = dict.fromkeys(before.keys() - after.keys(), "gone")
    return gone | {key: value for key, value in after.items() if before.get(key, "-") != value}


def test_without_flags_every_field_is_at_its_default() -> None:
    body = body_of()
    assert body["Cmd"] == ["cmd", "-x"]
    assert body["NetworkingConfig"] == {"EndpointsConfig": {"default": ENDPOINT}}
    recorded = json.loads(
        '{"Hostname":"","Domainname":"","User":"","AttachStdin":false,"AttachStdout":true,'
        '"AttachStderr":true,"Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":null,'
        '"Cmd":["cmd","-x"],"Image":"img","Volumes":{},"WorkingDir":"","Entrypoint":null,'
        '"OnBuild":null,"Labels":{}}'
    )
    assert {key: body[key] for key in recorded} == recorded
    assert set(body) == {*recorded, "HostConfig", "NetworkingConfig"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("-i", {"AttachStdin": True, "OpenStdin": True, "StdinOnce": True}),
        ("-t", {"Tty": True}),
        ("-a stdout", {"AttachStderr": False}),
        ("-a stdin", {"AttachStdin": True, "AttachStdout": False, "AttachStderr": False}),
        ("-i -a stdout", {"AttachStdin": True, "OpenStdin": True, "StdinOnce": True, "AttachStderr": False}),
        ("-e A=1 -e NOT_SET_HERE", {"Env": ["A=1", "NOT_SET_HERE"]}),
        ("-w /x -u a:b", {"WorkingDir": "/x", "User": "a:b"}),
        ("--entrypoint x", {"Entrypoint": ["x"]}),
        ("--entrypoint=", {"Entrypoint": [""]}),
        ("-h hh --domainname dd", {"Hostname": "hh", "Domainname": "dd"}),
        ("-l a=b=c -l d", {"Labels": "gone", "Labels|a": "b=c", "Labels|d": ""}),
        ("--stop-signal TERM --stop-timeout 0", {"StopSignal": "TERM", "StopTimeout": 0}),
        ("--rm", {"HostConfig|AutoRemove": True}),
        ("--init", {"HostConfig|Init": True}),
        ("--init=false", {"HostConfig|Init": False}),
        ("-P", {"HostConfig|PublishAllPorts": True}),
        ("--privileged --read-only", {"HostConfig|Privileged": True, "HostConfig|ReadonlyRootfs": True}),
        ("--cap-add net_admin --cap-drop all", {"HostConfig|CapAdd": ["CAP_NET_ADMIN"], "HostConfig|CapDrop": ["ALL"]}),
        ("--security-opt no-new-privileges", {"HostConfig|SecurityOpt": ["no-new-privileges"]}),
        ("--security-opt systempaths=unconfined", {"HostConfig|MaskedPaths": [], "HostConfig|ReadonlyPaths": [], "HostConfig|SecurityOpt": []}),
        ("--tmpfs /x --tmpfs /y:size=1m", {"HostConfig|Tmpfs|/x": "", "HostConfig|Tmpfs|/y": "size=1m"}),
        ("--shm-size 64m -m 64m --memory-swap -1", {"HostConfig|ShmSize": 64 << 20, "HostConfig|Memory": 64 << 20, "HostConfig|MemorySwap": -1}),
        ("--cpus 1.5 -c 512", {"HostConfig|NanoCpus": 1_500_000_000, "HostConfig|CpuShares": 512}),
        ("--pids-limit 10 --oom-score-adj 5", {"HostConfig|PidsLimit": 10, "HostConfig|OomScoreAdj": 5}),
        ("--ulimit nofile=10:20 --ulimit nproc=5", {"HostConfig|Ulimits": [{"Name": "nofile", "Hard": 20, "Soft": 10}, {"Name": "nproc", "Hard": 5, "Soft": 5}]}),
        ("--sysctl net.a=c", {"HostConfig|Sysctls|net.a": "c"}),
        ("--add-host a:1.2.3.4 --add-host b=::1 --add-host c:host-gateway", {"HostConfig|ExtraHosts": ["a:1.2.3.4", "b:::1", "c:host-gateway"]}),
        ("--dns 1.1.1.1 --dns-search x --dns-option y --dns-opt z", {"HostConfig|Dns": ["1.1.1.1"], "HostConfig|DnsSearch": ["x"], "HostConfig|DnsOptions": ["y", "z"]}),
        ("--device /dev/null --device /dev/null:/dev/x:r --device /dev/a:rw", {"HostConfig|Devices": [
            {"PathOnHost": "/dev/null", "PathInContainer": "/dev/null", "CgroupPermissions": "rwm"},
            {"PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "r"},
            {"PathOnHost": "/dev/a", "PathInContainer": "/dev/a", "CgroupPermissions": "rw"}]}),
        ("--device vendor.com/gpu=all", {"HostConfig|DeviceRequests": [{"Driver": "cdi", "Count": 0, "DeviceIDs": ["vendor.com/gpu=all"], "Capabilities": None, "Options": None}]}),
        ("--gpus all", {"HostConfig|DeviceRequests": [{"Driver": "", "Count": -1, "DeviceIDs": None, "Capabilities": [["gpu"]], "Options": {}}]}),
        ("--restart on-failure:3", {"HostConfig|RestartPolicy|Name": "on-failure", "HostConfig|RestartPolicy|MaximumRetryCount": 3}),
        ("--log-driver local --log-opt a=b", {"HostConfig|LogConfig|Type": "local", "HostConfig|LogConfig|Config": "gone", "HostConfig|LogConfig|Config|a": "b"}),
        ("--ipc host --pid container:x --uts host --userns host --cgroupns private", {"HostConfig|IpcMode": "host", "HostConfig|PidMode": "container:x", "HostConfig|UTSMode": "host", "HostConfig|UsernsMode": "host", "HostConfig|CgroupnsMode": "private"}),
        ("--runtime crun --annotation a=b", {"HostConfig|Runtime": "crun", "HostConfig|Annotations|a": "b"}),
        ("-v /a:/b:ro -v name:/x", {"HostConfig|Binds": ["/a:/b:ro", "name:/x"]}),
        ("-v /a", {"Volumes": "gone", "Volumes|/a": {}}),
        ("--mount type=bind,src=/a,dst=/b,ro", {"HostConfig|Mounts": [{"Type": "bind", "Source": "/a", "Target": "/b", "ReadOnly": True}]}),
        ("--mount type=tmpfs,dst=/b,tmpfs-size=1m,tmpfs-mode=755", {"HostConfig|Mounts": [{"Type": "tmpfs", "Target": "/b", "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o755}}]}),
        ("--mount type=volume,src=n,dst=/b,volume-nocopy,volume-label=a=b,volume-driver=local,volume-opt=a=b", {"HostConfig|Mounts": [{"Type": "volume", "Source": "n", "Target": "/b", "VolumeOptions": {"NoCopy": True, "Labels": {"a": "b"}, "DriverConfig": {"Name": "local", "Options": {"a": "b"}}}}]}),
        ("--mount dst=/x", {"HostConfig|Mounts": [{"Type": "volume", "Target": "/x"}]}),
        ("--volumes-from x:ro --link a:b", {"HostConfig|VolumesFrom": ["x:ro"], "HostConfig|Links": ["a:b"]}),
        ("--health-cmd foo --health-interval 1s --health-retries 2", {"Healthcheck|Test": ["CMD-SHELL", "foo"], "Healthcheck|Interval": 10**9, "Healthcheck|Retries": 2}),
        ("--no-healthcheck", {"Healthcheck|Test": ["NONE"]}),
        ("--blkio-weight-device /dev/sda:100 --device-read-bps /dev/sda:1mb --device-write-iops /dev/sda:10", {"HostConfig|BlkioWeightDevice": [{"Path": "/dev/sda", "Weight": 100}], "HostConfig|BlkioDeviceReadBps": [{"Path": "/dev/sda", "Rate": 1 << 20}], "HostConfig|BlkioDeviceWriteIOps": [{"Path": "/dev/sda", "Rate": 10}]}),
    ],
)  # fmt: skip
def test_a_flag_changes_just_its_fields(words: str, expected: dict[str, object]) -> None:
    assert changes(*words.split()) == expected


@pytest.mark.parametrize(
    ("words", "exposed", "bindings"),
    [
        ("-p 80", ["80/tcp"], {"80/tcp": [("", "")]}),
        ("-p 8080:80/udp", ["80/udp"], {"80/udp": [("", "8080")]}),
        ("-p 127.0.0.1:8080:80", ["80/tcp"], {"80/tcp": [("127.0.0.1", "8080")]}),
        ("-p 127.0.0.1::80", ["80/tcp"], {"80/tcp": [("127.0.0.1", "")]}),
        ("-p [::1]:8080:80", ["80/tcp"], {"80/tcp": [("::1", "8080")]}),
        ("-p 8000-8001:80-81", ["80/tcp", "81/tcp"], {"80/tcp": [("", "8000")], "81/tcp": [("", "8001")]}),
        ("-p 8000-8002:80", ["80/tcp"], {"80/tcp": [("", "8000-8002")]}),
        ("-p 1:80 -p 2:80", ["80/tcp"], {"80/tcp": [("", "1"), ("", "2")]}),
        ("-p published=8080,target=80,protocol=udp", ["80/udp"], {"80/udp": [("", "8080")]}),
        ("--expose 80 --expose 90-91/udp", ["80/tcp", "90/udp", "91/udp"], {}),
    ],
)  # fmt: skip
def test_ports(words: str, exposed: list[str], bindings: dict[str, list[tuple[str, str]]]) -> None:
    body = body_of(*words.split())
    host = body["HostConfig"]
    assert isinstance(host, dict)
    assert body["ExposedPorts"] == {name: {} for name in exposed}
    assert host["PortBindings"] == {
        name: [{"HostIp": ip, "HostPort": port} for ip, port in pairs]
        for name, pairs in bindings.items()
    }


@pytest.mark.parametrize(
    ("words", "mode", "endpoints"),
    [
        ("--network host", "host", {}),
        ("--net none", "none", {}),
        ("--network foo", "foo", {}),
        ("--network foo --network-alias z --ip 1.2.3.4", "foo", {"foo": {"Aliases": ["z"], "IPAMConfig": {"IPv4Address": "1.2.3.4"}}}),
        ("--network name=foo,alias=bar,ip=1.2.3.4", "foo", {"foo": {"Aliases": ["bar"], "IPAMConfig": {"IPv4Address": "1.2.3.4"}}}),
        ("--network foo --network bar", "foo", {"foo": {}, "bar": {}}),
        ("--mac-address 92:d0:c6:0a:29:33", "default", {"default": {"MacAddress": "92:d0:c6:0a:29:33"}}),
    ],
)  # fmt: skip
def test_networks(words: str, mode: str, endpoints: dict[str, dict[str, object]]) -> None:
    body = body_of(*words.split())
    host = body["HostConfig"]
    assert isinstance(host, dict)
    assert host["NetworkMode"] == mode
    expected = {name: ENDPOINT | parts for name, parts in endpoints.items()}
    assert body["NetworkingConfig"] == {"EndpointsConfig": expected}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("-p foo", "invalid containerPort: foo"),
        ("-p 70000", "invalid containerPort: 70000"),
        ("-p 1:2:3:4", "invalid IP address: 1:2"),
        ("-p x:80", "invalid hostPort: x"),
        ("-p 80/foo", "invalid proto: foo"),
        ("-p 1-3:80-81", "invalid ranges specified for container and host Ports: 80-81 and 1-3"),
        ("--expose foo", 'invalid range format for --expose: foo, error: strconv.ParseUint: parsing "foo": invalid syntax'),
        ("--memory-swappiness 200", "invalid value: 200. Valid memory swappiness range is 0-100"),
        ("--no-healthcheck --health-cmd x", "--no-healthcheck conflicts with --health-* options"),
        ("--rm --restart always", "conflicting options: cannot specify both --restart and --rm"),
        ("--security-opt foo", 'Invalid --security-opt: "foo"'),
        ("--security-opt seccomp=/nope", "opening seccomp profile (/nope) failed: open /nope: no such file or directory"),
        ("--env-file /nope", "open /nope: no such file or directory"),
        ("--mac-address zz", "zz is not a valid mac address"),
        ("--log-driver none --log-opt a=b", "invalid logging opts for driver none"),
        ("--network-alias x", "network-scoped aliases are only supported for user-defined networks"),
        ("--network host --network foo", "conflicting options: cannot attach both user-defined and non-user-defined network-modes"),
        ("--network foo --network foo", 'network "foo" is specified multiple times'),
        ("--pid foo", "--pid: invalid PID mode"),
        ("--uts foo", "--uts: invalid UTS mode"),
        ("--cgroupns foo", "--cgroupns: invalid CGROUP mode"),
        ("--storage-opt x", "invalid storage option"),
        ("--restart always:x", "invalid restart policy format: maximum retry count must be an integer"),
    ],
)  # fmt: skip
def test_a_bad_value_is_refused_before_the_engine_is_asked(words: str, message: str) -> None:
    with pytest.raises(CommandError) as caught:
        body_of(*words.split())
    assert (caught.value.message, caught.value.status) == (message, 125)


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("-e", "=", '"-e, --env" flag: invalid environment variable: ='),
        ("-l", "", '"-l, --label" flag: invalid label \'\': empty name'),
        ("--mount", "foo", "\"--mount\" flag: invalid field 'foo' must be a key=value pair"),
        ("--mount", "type=bind", '"--mount" flag: target is required'),
        ("--mount", "foo=bar", "\"--mount\" flag: unexpected key 'foo' in 'foo=bar'"),
        ("--ulimit", "x", '"--ulimit" flag: invalid ulimit argument: x'),
        ("--ulimit", "nofile=5:3", '"--ulimit" flag: ulimit soft limit must be less than or equal to hard limit: 5 > 3'),
        ("--add-host", "x", '"--add-host" flag: bad format for add-host: "x"'),
        ("--sysctl", "a.b=c", "\"--sysctl\" flag: sysctl 'a.b=c' is not allowed"),
        ("--dns", "foo", '"--dns" flag: IP address is not correctly formatted: foo'),
        ("--gpus", "foo", '"--gpus" flag: invalid count (foo): value must be either "all" or an integer: invalid syntax'),
        ("-a", "foo", '"-a, --attach" flag: valid streams are STDIN, STDOUT and STDERR'),
        ("--device-read-bps", "x", '"--device-read-bps" flag: bad format: x'),
    ],
)  # fmt: skip
def test_a_bad_argument_names_its_flag(flag: str, value: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        body_of(flag, value)
    assert caught.value.message == f'invalid argument "{value}" for {message}'


def test_files_of_variables_and_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_HERE", "yes")
    file = tmp_path / "env"
    file.write_text("A=1\n# comment\n\nNOT_SET\nFROM_HERE\n  C=a b\n")
    assert body_of("--env-file", str(file), "-e", "Z=1")["Env"] == [
        "A=1", "FROM_HERE=yes", "C=a b", "Z=1",
    ]  # fmt: skip
    assert body_of("--label-file", str(file))["Labels"] == {"A": "1", "C": "a b"}


@pytest.mark.parametrize("content", ["=x\n", "a b=c\n", b"\xff=1\n"])
def test_a_bad_file_is_named(tmp_path: Path, content: str | bytes) -> None:
    file = tmp_path / "env"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(CommandError, match=str(file)):
        body_of("--env-file", str(file))


def test_a_seccomp_profile_travels_compacted(tmp_path: Path) -> None:
    profile = tmp_path / "p.json"
    profile.write_text('{ "defaultAction" : "SCMP_ACT_ALLOW" }')
    host = body_of("--security-opt", f"seccomp={profile}")["HostConfig"]
    assert isinstance(host, dict)
    assert host["SecurityOpt"] == ['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}']


def test_relative_directories_are_those_seen_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    host = body_of("-v", ".:/x", "-v", "./a:/y")["HostConfig"]
    assert isinstance(host, dict)
    assert host["Binds"] == [f"{tmp_path}:/x", f"{tmp_path}/a:/y"]


def test_help_lists_every_flag(pyd: Callable[..., object]) -> None:
    from pyd_host.cli.usage import options

    text = options(flag for flag in CREATE_FLAGS if not flag.hidden)
    assert all(f"--{flag.name}" in text for flag in CREATE_FLAGS if not flag.hidden)
    assert max(len(line) for line in text.splitlines()) <= 80
