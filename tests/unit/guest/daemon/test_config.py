import json
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from pyd_api.errors import InvalidRequestError
from pyd_guest.daemon.config import Config, Value, from_settings
from pyd_guest.daemon.flags import parse


def file_of(directory: Path, content: object) -> Path:
    path = directory / "daemon.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_defaults(tmp_path: Path) -> None:
    config = from_settings({}, file_of(tmp_path, ""))
    assert config == Config(hosts=("unix:///run/pyd/pyd.sock",), pidfile=Path("/run/pyd/pyd.pid"))


def test_the_socket_and_the_pidfile_follow_the_exec_root(tmp_path: Path) -> None:
    config = from_settings({"exec-root": "/x"}, file_of(tmp_path, {}))
    assert config.hosts == ("unix:///x/pyd.sock",)
    assert config.pidfile == Path("/x/pyd.pid")


def test_file_and_flags_together(tmp_path: Path) -> None:
    path = file_of(
        tmp_path,
        {"hosts": ["unix:///a.sock"], "bip": "10.1.0.1/16", "default-runtime": "runc"},
    )
    config = parse(
        ["--config-file", str(path), "--data-root", "/d", "--bridge", "b0", "-D", "-G", "g"]
    ).config
    assert config == Config(
        hosts=("unix:///a.sock",),
        group="g",
        data_root=Path("/d"),
        pidfile=Path("/run/pyd/pyd.pid"),
        bridge="b0",
        bip=IPv4Interface("10.1.0.1/16"),
        runtime="runc",
        log_level="debug",
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"foo": 1}, "the following directives don't match any configuration option: foo"),
        (
            {"foo": 1, "bar": {}},
            "the following directives don't match any configuration option: bar, foo",
        ),
        ({"data-root": 5}, "invalid value for data-root: string is needed"),
        ({"hosts": "x"}, "invalid value for hosts: []string is needed"),
        ({"hosts": [1]}, "invalid value for hosts: []string is needed"),
        ({"debug": "x"}, "invalid value for debug: bool is needed"),
        ("{bad", "invalid JSON: "),
        ("[]", "invalid JSON: an object is needed"),
        ("[" * 100_000, "invalid JSON: "),
        (" " * (1024 * 1024 + 1), "the file is larger than 1048576 bytes"),
        (
            {"hosts": ["unix:///a.sock"]},
            ("the following directives are specified both as a flag and in the configuration "
            "file: hosts: (from flag: [unix:///b.sock], from file: [unix:///a.sock])"),
        ),
        (
            {"debug": True, "data-root": "/x"},
            ("the following directives are specified both as a flag and in the configuration "
            "file: data-root: (from flag: /y, from file: /x), "
            "debug: (from flag: true, from file: true)"),
        ),
    ],
)  # fmt: skip
def test_bad_files(tmp_path: Path, content: object, words: str) -> None:
    path = file_of(tmp_path, content)
    flags: dict[str, Value] = {}
    if "both as a flag" in words:
        flags = {"hosts": ["unix:///b.sock"], "debug": True, "data-root": "/y"}
    with pytest.raises(InvalidRequestError) as raised:
        from_settings(flags, path)
    prefix = f"unable to configure the pyd daemon with file {path}: "
    assert raised.value.message.startswith(prefix + words)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match=r"open .*none: no such file or directory"):
        from_settings({}, tmp_path / "none")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"log-level": "zzz"}, "invalid logging level: zzz"),
        ({"bip": "zz"}, "invalid CIDR address: zz"),
        ({"bip": "10.0.0.1"}, "an address with its prefix is needed"),
        ({"bip": "10.0.0.0/24"}, "an address with its prefix is needed"),
        ({"bridge": "a" * 16}, "invalid bridge name"),
        ({"bridge": "a/b"}, "invalid bridge name"),
        ({"bridge": "a b"}, "invalid bridge name"),
        ({"data-root": "x"}, "not an absolute path"),
        ({"exec-root": "/x/../y"}, "not an absolute path"),
        ({"default-runtime": "kata"}, "unknown runtime 'kata': must be one of crun, runc"),
        ({"tlsverify": True}, "tlsverify: listening with TLS is not supported yet"),
        ({"tlscert": "/x"}, "tlscert: listening with TLS is not supported yet"),
    ],
)
def test_bad_values(tmp_path: Path, flags: dict[str, Value], words: str) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        from_settings(flags, file_of(tmp_path, "{}"))
    assert words in raised.value.message


@pytest.mark.parametrize(
    "arguments", [["x"], ["--nosuch"], ["-H"], ["--tls=maybe"], ["--debug", "x"], ["--data"]]
)
def test_bad_command_lines(arguments: list[str]) -> None:
    with pytest.raises(InvalidRequestError):
        parse(arguments)


def test_insecure_tcp_is_said_aloud() -> None:
    assert parse(["--tls=false", "-H", "tcp://0.0.0.0:1"]).config.insecure_tcp
    assert not parse(["-H", "tcp://127.0.0.1:1", "-H", "unix:///x"]).config.insecure_tcp
    assert parse(["--validate"]).validate_only
