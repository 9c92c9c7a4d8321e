"""Flags are read as pflag reads them, and refused in its words."""
# ruff: noqa: E501 - tables of command lines and messages, one row a line

import pytest

from pyd_host.cli.errors import UsageError
from pyd_host.cli.flags import Flag, parse, parse_bytes, parse_duration, parse_nano_cpus

FLAGS = (
    Flag("all", "a", "bool", ""),
    Flag("interactive", "i", "bool", ""),
    Flag("last", "n", "int", "", -1),
    Flag("env", "e", "list", ""),
    Flag("filter", "f", "filter", ""),
    Flag("memory", "m", "bytes", ""),
    Flag("name", "", "string", ""),
)


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["-a"], "all", True),
        (["--all"], "all", True),
        (["--all=false"], "all", False),
        (["-a=0"], "all", False),
        (["-ai"], "interactive", True),
        (["-n", "3"], "last", 3),
        (["-n3"], "last", 3),
        (["-n=3"], "last", 3),
        (["-ain3"], "last", 3),
        (["--last=0x10"], "last", 16),
        (["--last", "-1"], "last", -1),
        (["--last", "010"], "last", 8),
        (["--name", "x"], "name", "x"),
        (["--name="], "name", ""),
        (["--name", "--all"], "name", "--all"),
        (["-m", "1g"], "memory", 1 << 30),
        (["-e", "A=1", "-eB=2", "--env=C"], "env", ["A=1", "B=2", "C"]),
    ],
)
def test_a_flag_has_its_value(words: list[str], name: str, value: object) -> None:
    values, rest = parse(FLAGS, words, interspersed=True)
    got = {bool: values.flag, int: values.number, str: values.text, list: values.texts}
    assert got[type(value)](name) == value
    assert rest == []
    assert values.given(name)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--bogus"], "unknown flag: --bogus"),
        (["--bogus=1"], "unknown flag: --bogus"),
        (["-z"], "unknown shorthand flag: 'z' in -z"),
        (["-az"], "unknown shorthand flag: 'z' in -z"),
        (["--name"], "flag needs an argument: --name"),
        (["-e"], "flag needs an argument: 'e' in -e"),
        (["-n", "x"], 'invalid argument "x" for "-n, --last" flag: strconv.ParseInt: parsing "x": invalid syntax'),
        (["-n", "9" * 30], f'invalid argument "{"9" * 30}" for "-n, --last" flag: strconv.ParseInt: parsing "{"9" * 30}": value out of range'),
        (["--all=maybe"], 'invalid argument "maybe" for "-a, --all" flag: strconv.ParseBool: parsing "maybe": invalid syntax'),
        (["-f", "foo"], 'invalid argument "foo" for "-f, --filter" flag: bad format of filter (expected name=value)'),
        (["-m", "x"], "invalid argument \"x\" for \"-m, --memory\" flag: invalid size: 'x'"),
        (["---a"], "bad flag syntax: ---a"),
    ],
)  # fmt: skip
def test_a_bad_flag_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(FLAGS, words, interspersed=True)
    assert (caught.value.message, caught.value.status) == (message, 125)


def test_flags_and_arguments_mix_unless_a_program_follows() -> None:
    words = ["a", "-a", "b", "--", "-i"]
    values, rest = parse(FLAGS, words, interspersed=True)
    assert (rest, values.flag("all")) == (["a", "b", "-i"], True)
    values, rest = parse(FLAGS, words, interspersed=False)
    assert (rest, values.flag("all")) == (["a", "-a", "b", "--", "-i"], False)
    assert parse(FLAGS, ["--", "-a"], interspersed=False)[1] == ["-a"]
    assert parse(FLAGS, ["-"], interspersed=True)[1] == ["-"]


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("1", 1), ("1b", 1), ("1k", 1024), ("1.5kb", 1536), ("64MiB", 64 << 20), ("2 GB", 2 << 30)],
)  # fmt: skip
def test_sizes(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "k", "-1", "1x", "1kk", "1 2", "1i", "one", "1e3", "٣"])
def test_bad_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="invalid size"):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("text", "nanos"),
    [("0", 0), ("1s", 10**9), ("1m30s", 90 * 10**9), ("1.5h", 5400 * 10**9), ("-2ms", -2 * 10**6)],
)
def test_durations(text: str, nanos: int) -> None:
    assert parse_duration(text) == nanos


@pytest.mark.parametrize("text", ["", "x", "5", "s", "1.2.3s", "1y", "-"])
def test_bad_durations(text: str) -> None:
    with pytest.raises(ValueError, match="time: "):
        parse_duration(text)


def test_cpus_are_exact() -> None:
    assert parse_nano_cpus("1.5") == 1_500_000_000
    assert parse_nano_cpus(".000000001") == 1
    for bad in ("", ".", "x", "-1", "1e3"):
        with pytest.raises(ValueError, match="as a rational number"):
            parse_nano_cpus(bad)
    with pytest.raises(ValueError, match="too precise"):
        parse_nano_cpus("0.0000000001")
