"""Reading archives: real ones as tarfile writes them, hostile ones made block by block."""

import tarfile

import pytest

from pyd_api.errors import InvalidRequestError
from pyd_guest.snapshots.tar_reader import HARD_LINK, SYMBOLIC_LINK, TarReader
from support.tarballs import Member, directory, header, link, padded, tar


def read(data: bytes, piece: int = 1000) -> list[tuple[bytes, bytes, bytes]]:
    reader = TarReader(data[i : i + piece] for i in range(0, len(data), piece))
    return [(e.name, e.kind, b"".join(map(bytes, reader.payload()))) for e in reader]


def pax(**records: str) -> bytes:
    body = b""
    for key, value in records.items():
        text = f" {key.replace('__', '.')}={value}\n".encode()
        length = len(text) + len(str(len(text) + 2))
        body += str(length).encode() + text
    return header(b"pax", kind=b"x", length=len(body)) + padded(body)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("piece", [1, 511, 512, 1 << 20])
def test_reads_every_format_in_pieces_of_any_size(form: int, piece: int) -> None:
    name = "d/" + "n" * 90
    data = tar(directory("d"), Member(name, b"x" * 1500), link("l", name), form=form)
    assert [(name.rstrip(b"/"), *rest) for name, *rest in read(data, piece)] == [
        (b"d", b"5", b""),
        (name.encode(), b"0", b"x" * 1500),
        (b"l", SYMBOLIC_LINK, b""),
    ]


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_links(form: int) -> None:
    name, target = "a/" * 120 + "name", "t" * 300
    data = tar(Member(name, b"1"), link("l", target), form=form)
    reader = TarReader([data])
    entries = list(reader)
    assert [e.name for e in entries] == [name.encode(), b"l"]
    assert entries[1].link == target.encode()


def test_numbers_in_base_256_and_pax_times() -> None:
    data = tar(Member("f", mtime=0, uid=1 << 22, pax={"mtime": "-1.5"}), form=tarfile.PAX_FORMAT)
    (entry,) = TarReader([data])
    assert (entry.uid, entry.mtime_ns) == (1 << 22, -1_500_000_000)
    (entry,) = TarReader([tar(Member("f", uid=1 << 22), form=tarfile.GNU_FORMAT)])
    assert entry.uid == 1 << 22


def test_an_archive_may_end_without_zero_blocks() -> None:
    assert read(header(b"f", length=1) + padded(b"x")) == [(b"f", b"0", b"x")]


def test_links_carry_no_payload_whatever_their_size_says() -> None:
    data = header(b"l", kind=b"1", length=700) + header(b"g", length=1) + padded(b"y")
    assert read(data) == [(b"l", HARD_LINK, b""), (b"g", b"0", b"y")]


def test_global_headers_change_nothing() -> None:
    body = b"20 path=elsewhere..\n"
    data = header(b"g", kind=b"g", length=len(body)) + padded(body) + header(b"f")
    assert read(data) == [(b"f", b"0", b"")]


def test_xattrs_come_from_pax_records() -> None:
    data = tar(Member("f", pax={"SCHILY.xattr.user.a": "b"}))
    (entry,) = TarReader([data])
    assert entry.xattrs == {b"user.a": b"b"}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<html>" + bytes(600), "bad header checksum"),
        (b'{"a": 1}' * 100, "bad header checksum"),
        (b"hello", "unexpected end"),
        (header(b"f", length=5000) + bytes(512), "unexpected end"),
        (header(b"f", size=b"\xff" * 12), "size"),
        (header(b"f", size=b"-1234567890\0"), "bad number"),
        (header(b"f", size=b"77777777777x"), "bad number"),
        (header(b"f", size=b"\x80" + b"\x7f" * 11), "size"),
        (header(b"x", kind=b"x", length=1 << 30), "archive header of"),
        (header(b"x", kind=b"x", size=b"\xff" * 12), "archive header of"),
        (header(b"x", kind=b"L", length=2 << 20), "archive header of"),
        (header(b"x", kind=b"g") * 1000, "too many archive headers"),
        (header(b"x", kind=b"x", length=9) + padded(b"0 path=x\n") + header(b"f"), "bad pax"),
        (header(b"x", kind=b"x", length=9) + padded(b"99 path=x") + header(b"f"), "bad pax"),
        (header(b"x", kind=b"x", length=9) + padded(b"-1 path=x") + header(b"f"), "bad pax"),
        (pax(size="-1") + header(b"f"), "bad number in a pax header"),
        (pax(size="9" * 30) + header(b"f"), "bad number in a pax header"),
        (pax(uid="4294967295") + header(b"f"), "out of range"),
        (pax(path="a\0b") + header(b"f"), "null byte"),
        (pax(path="a" * 5000) + header(b"f"), "more than 4096"),
        (pax(path="x"), "unexpected end"),
        (header(b"f", kind=b"Z"), "unknown type"),
        (bytes(1024) + b"x" * (17 << 20), "more data after the end"),
    ],
)
def test_a16_bad_headers_are_refused(data: bytes, words: str) -> None:
    with pytest.raises(InvalidRequestError, match=words):
        read(data, 1 << 20)


def sparse_header(
    name: bytes, extents: list[tuple[int, int]], real: int, stored: int, more: bool = False
) -> bytes:
    block = bytearray(header(name, kind=b"S", length=stored))
    block[257:265] = b"ustar  \0"
    block[345:500] = bytes(155)
    for n, (offset, length) in enumerate(extents):
        block[386 + 24 * n : 410 + 24 * n] = b"%011o\0%011o\0" % (offset, length)
    block[482] = more
    block[483:495] = b"%011o\0" % real
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def test_old_gnu_sparse_files() -> None:
    data = sparse_header(b"s", [(4096, 3), (9000, 0)], 9000, 3) + padded(b"abc")
    reader = TarReader([data])
    for entry in reader:
        assert (entry.size, entry.extents) == (9000, ((4096, 3), (9000, 0)))
        assert b"".join(map(bytes, reader.payload())) == b"abc"


@pytest.mark.parametrize("version", ["0.1", "1.0"])
def test_pax_sparse_files(version: str) -> None:
    if version == "0.1":
        head = pax(GNU__sparse__map="100,3", GNU__sparse__size="1000", GNU__sparse__name="s")
        data = head + header(b"x", length=3) + padded(b"abc")
    else:
        head = pax(
            GNU__sparse__major="1",
            GNU__sparse__minor="0",
            GNU__sparse__name="s",
            GNU__sparse__realsize="1000",
        )
        data = head + header(b"x", length=515) + padded(b"1\n100\n3\n") + padded(b"abc")
    reader = TarReader([data])
    for entry in reader:
        assert (entry.name, entry.size, entry.extents) == (b"s", 1000, ((100, 3),))
        assert b"".join(map(bytes, reader.payload())) == b"abc"


@pytest.mark.parametrize(
    "data",
    [
        sparse_header(b"s", [(1 << 32, 3)], 9000, 3) + padded(b"abc"),
        sparse_header(b"s", [(4096, 3), (0, 1)], 9000, 4) + padded(b"abcd"),
        sparse_header(b"s", [(0, 3)], 9000, 2) + padded(b"ab"),
        pax(GNU__sparse__map="0,3", GNU__sparse__size="9" * 18) + header(b"x", length=3),
        pax(GNU__sparse__map="0", GNU__sparse__size="9") + header(b"x", length=3),
        pax(GNU__sparse__major="7", GNU__sparse__realsize="9") + header(b"x", length=3),
        pax(GNU__sparse__major="1", GNU__sparse__minor="0", GNU__sparse__realsize="9")
        + header(b"x", length=512)
        + padded(b"99999999\n"),
        pax(GNU__sparse__major="1", GNU__sparse__minor="0", GNU__sparse__realsize="9")
        + header(b"x", length=512)
        + padded(b"9\n"),
        b"".join(
            [
                sparse_header(b"s", [], 9000, 0, more=True),
                (b"%011o\0%011o\0" % (0, 0) * 21 + b"\1").ljust(512, b"\0") * 4000,
            ]
        ),
    ],
)
def test_a15_sparse_lies_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        read(data, 1 << 20)
