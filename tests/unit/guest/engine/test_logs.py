from collections.abc import Iterable
from pathlib import Path

import pytest

from pyd_api.framing import STDERR, STDOUT, frame
from pyd_guest.engine.logs import (
    Clock,
    LogReader,
    Record,
    Renderer,
    Selection,
    find_tail,
    format_time,
    parse,
)

BASE = 1795526253  # 2026-11-24T13:17:33Z


def line(text: bytes, stream: str = "stdout", tag: str = "F", at: float = 0) -> bytes:
    stamp = format_time(BASE * 10**9 + int(at * 10**9)).decode().replace("Z", "+00:00")
    return f"{stamp} {stream} {tag} ".encode() + text + b"\n"


def write(path: Path, lines: Iterable[bytes]) -> Path:
    with path.open("ab") as log:
        log.writelines(lines)
    return path


def read(path: Path, selection: Selection | None = None, **options: int | None) -> bytes:
    renderer = Renderer(selection or Selection(), tty=True)
    out = b""
    with LogReader(path, **options) as reader:
        while records := reader.read():
            out += renderer.render(records)
    return out


@pytest.mark.parametrize(
    ("stamp", "nanoseconds"),
    [
        (b"2026-11-24T13:17:33.123456789+00:00", 123456789),
        (b"2026-11-24T13:17:33.1+00:00", 100_000_000),
        (b"2026-11-24T13:17:33+00:00", 0),
        (b"2026-11-24T13:17:33.123456789Z", 123456789),
        (b"2026-11-24T15:17:33.5+02:00", 500_000_000),
        (b"2026-11-24T07:47:33.5-05:30", 500_000_000),
    ],
)
def test_time_stamps(stamp: bytes, nanoseconds: int) -> None:
    clock = Clock()
    for _ in range(2):
        assert clock.time_ns(stamp) == BASE * 10**9 + nanoseconds


@pytest.mark.parametrize(
    "text",
    [
        b"", b"x", b"2026-11-24T13:17:33.1+00:00 stdout F", b"zzz stdout F text",
        b"2026-11-24T13:17:33.1+00:00 stdin F x", b"2026-11-24T13:17:33.1+00:00 stdout X x",
        b"2026-11-24T13:17:33.1 stdout F x", b"\xff\xfe\x00",
    ],
)  # fmt: skip
def test_damaged_lines_are_skipped(text: bytes) -> None:
    assert parse(text, Clock()) is None


def test_g14_any_bytes_come_back(tmp_path: Path) -> None:
    text = bytes(byte for byte in range(256) if byte != 10)
    log = write(tmp_path / "log", [line(text), line(b""), line(b"  two  spaces ")])
    assert read(log) == text + b"\n\n  two  spaces \n"


def test_pieces_become_one_line(tmp_path: Path) -> None:
    log = write(
        tmp_path / "log",
        [line(b"a" * 8192, tag="P"), line(b"err", "stderr"), line(b"b"), line(b"c", tag="P")],
    )
    assert read(log, Selection(stderr=False)) == b"a" * 8192 + b"b\nc"


def test_the_missing_log_is_empty(tmp_path: Path) -> None:
    assert read(tmp_path / "none") == b""


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, b""), (1, b"4\n"), (2, b"3\n4\n"), (4, b"1\n2\n3\n4\n"), (99, b"1\n2\n3\n4\n")],
)
def test_tail(tmp_path: Path, count: int, expected: bytes) -> None:
    log = write(tmp_path / "log", [line(b"%d" % number) for number in range(1, 5)])
    assert read(log, tail=count) == expected


def test_tail_counts_pieces_as_one_line(tmp_path: Path) -> None:
    pieces = [line(b"x" * 100, tag="P")] * 3 + [line(b"end")]
    log = write(tmp_path / "log", [line(b"first"), *pieces, line(b"open", tag="P")])
    assert read(log, tail=1) == b"open"
    assert read(log, tail=2) == b"x" * 300 + b"end\nopen"
    assert read(log, tail=3) == b"first\n" + b"x" * 300 + b"end\nopen"


def test_tail_ignores_a_line_that_is_being_written(tmp_path: Path) -> None:
    log = write(tmp_path / "log", [line(b"1"), line(b"2"), line(b"3")[:-3]])
    assert read(log, tail=1) == b"2\n"


def test_tail_of_many_blocks(tmp_path: Path) -> None:
    log = write(tmp_path / "log", (line(b"%06d" % number * 50) for number in range(2000)))
    assert read(log, tail=1500).count(b"\n") == 1500
    assert read(log, tail=1500).startswith(b"000500")
    with log.open("rb") as file:
        assert find_tail(file.fileno(), 5000) == 0


def test_since_and_until_are_inclusive(tmp_path: Path) -> None:
    log = write(tmp_path / "log", [line(b"%d" % number, at=number / 4) for number in range(8)])
    base = BASE * 10**9
    assert read(log, Selection(since_ns=base + 10**9)) == b"4\n5\n6\n7\n"
    assert read(log, Selection(until_ns=base + 250_000_000)) == b"0\n1\n"
    renderer = Renderer(Selection(until_ns=base), tty=True)
    renderer.render([Record(base + 1, STDOUT, partial=False, text=b"x")])
    assert renderer.finished


def test_timestamps_and_frames() -> None:
    renderer = Renderer(Selection(timestamps=True), tty=False)
    time_ns = BASE * 10**9 + 42
    stamp = b"2026-11-24T13:17:33.000000042Z "
    records = [
        Record(time_ns, STDOUT, partial=True, text=b"a"),
        Record(time_ns, STDERR, partial=False, text=b"e"),
        Record(time_ns, STDOUT, partial=False, text=b"b"),
    ]
    assert renderer.render(records) == (
        frame(STDOUT, stamp + b"a") + frame(STDERR, stamp + b"e\n") + frame(STDOUT, b"b\n")
    )


def test_reading_goes_on_where_it_ended(tmp_path: Path) -> None:
    log = write(tmp_path / "log", [line(b"1"), line(b"2")[:30]])
    with LogReader(log) as reader:
        assert [record.text for record in reader.read()] == [b"1"]
        assert reader.read() == []
        write(log, [line(b"2")[30:], line(b"3")])
        assert [record.text for record in reader.read()] == [b"2", b"3"]
        assert reader.read() == []


def test_rotation_is_followed(tmp_path: Path) -> None:
    log = write(tmp_path / "log", [line(b"1")])
    with LogReader(log, tail=1) as reader:
        assert len(reader.read()) == 1
        log.rename(tmp_path / "log.1")
        assert reader.read() == []
        write(log, [line(b"2"), line(b"3")])
        assert [record.text for record in reader.read()] == [b"2", b"3"]
        with log.open("wb"):
            pass
        assert reader.read() == []
        write(log, [line(b"4")])
        assert [record.text for record in reader.read()] == [b"4"]


def test_a_log_that_appears_later(tmp_path: Path) -> None:
    with LogReader(tmp_path / "log", tail=0) as reader:
        assert reader.read() == []


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "secret", [line(b"1")])
    (tmp_path / "log").symlink_to(tmp_path / "secret")
    with LogReader(tmp_path / "log") as reader, pytest.raises(OSError, match="symbolic links"):
        reader.read()
