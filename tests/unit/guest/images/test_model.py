import json

import pytest

from pyd_api.digest import DiffID, chain_id
from pyd_api.errors import InvalidRequestError
from pyd_guest.images.model import parse_config
from pyd_guest.images.wire import config_shape, unix_time

ONE, TWO = DiffID("sha256:" + "1" * 64), DiffID("sha256:" + "2" * 64)
ROOTFS = {"type": "layers", "diff_ids": [ONE, TWO]}


def parse(**fields: object) -> object:
    return parse_config(json.dumps({"rootfs": ROOTFS, **fields}).encode())


def test_a_full_config() -> None:
    config = parse_config(
        json.dumps(
            {
                "architecture": "arm64",
                "variant": "v8",
                "os": "linux",
                "author": "me",
                "created": "2026-01-02T03:04:05.678901234Z",
                "config": {
                    "Cmd": [],
                    "Entrypoint": ["e"],
                    "Env": ["A=1"],
                    "User": "1:2",
                    "WorkingDir": "/w",
                    "Labels": {"a": "b"},
                    "ExposedPorts": {"1/tcp": {}},
                    "Volumes": {"/v": {}},
                    "StopSignal": "SIGUSR1",
                    "StopTimeout": 5,
                    "Healthcheck": {"Test": ["NONE"]},
                    "Shell": ["/s"],
                    "OnBuild": ["RUN x"],
                    "ArgsEscaped": True,
                    "Hostname": "kept out",
                },
                "history": [{"created_by": "a"}, {"empty_layer": True, "comment": "c"}, {}],
                "rootfs": ROOTFS,
            }
        ).encode()
    )
    first = chain_id(None, ONE)
    assert config.chain_ids == (first, chain_id(first, TWO))
    assert config.top == config.chain_ids[1]
    assert (config.cmd, config.entrypoint) == ((), ("e",))
    assert [line.empty_layer for line in config.history] == [False, True, False]
    shape = config_shape(config)
    assert shape["Healthcheck"] == {"Test": ["NONE"]}
    assert shape["ArgsEscaped"] is True
    assert "Hostname" not in shape
    assert unix_time(config.created) == 1767323045


def test_an_empty_config() -> None:
    config = parse_config(b'{"rootfs": {"type": "layers"}, "config": null, "history": null}')
    assert (config.top, config.chain_ids, config.env) == (None, (), None)
    assert config_shape(config) == {
        "Cmd": None,
        "Entrypoint": None,
        "Env": None,
        "Labels": None,
        "OnBuild": None,
        "User": "",
        "Volumes": None,
        "WorkingDir": "",
    }


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"rootfs": None}, "no rootfs"),
        ({"rootfs": []}, "rootfs is not an object"),
        ({"rootfs": {"type": "layers", "diff_ids": ["sha256:x"]}}, "bad diff id"),
        ({"rootfs": {"type": "layers", "diff_ids": [5]}}, "not a list of strings"),
        ({"rootfs": {"type": "layers", "diff_ids": [ONE] * 126}}, "126 layers"),
        ({"rootfs": {"type": "blocks"}}, "rootfs.type"),
        ({"layers": []}, "also a manifest"),
        ({"history": [{}]}, "history has 1 layers, rootfs has 2"),
        ({"history": [5]}, "history is not"),
        ({"os": 5}, "os is not a string"),
        ({"config": []}, "config is not an object"),
        ({"config": {"Env": "A=1"}}, "Env is not a list"),
        ({"config": {"Cmd": ["a", None]}}, "Cmd is not a list"),
        ({"config": {"Labels": {"a": 1}}}, "Labels is not a map"),
        ({"config": {"Volumes": ["/v"]}}, "Volumes is not an object"),
        ({"config": {"StopTimeout": "5"}}, "StopTimeout is not a number"),
        ({"config": {"Healthcheck": "x"}}, "Healthcheck is not an object"),
    ],
)
def test_wrong_types_are_named(fields: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidRequestError, match=words):
        parse(**fields)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:10Z", 10),
        ("1970-01-01T01:00:10+01:00", 10),
        ("", -62135596800),
        ("nonsense", -62135596800),
        ("1970-01-01T00:00:10", 10),
    ],
)
def test_times(text: str, seconds: int) -> None:
    assert unix_time(text) == seconds
