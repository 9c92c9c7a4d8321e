"""Laws of the archive reader, of names and of documents: whatever comes in, an answer comes out."""

import io
import json
import tarfile

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pyd_api.errors import InvalidRequestError, PydError
from pyd_guest.images.changes import apply_changes
from pyd_guest.images.documents import parse_manifest
from pyd_guest.images.listing import glob
from pyd_guest.images.model import parse_config
from pyd_guest.snapshots.apply import clean
from pyd_guest.snapshots.decompress import chunks
from pyd_guest.snapshots.tar_reader import TarReader
from support.tarballs import Member, link, tar

NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="\0/"),
    min_size=1,
    max_size=150,
).filter(lambda name: name not in (".", ".."))
FORMATS = st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])


@given(
    st.lists(st.tuples(NAMES, st.binary(max_size=2000)), max_size=5),
    FORMATS,
    st.integers(1, 5000),
    st.integers(0, 1 << 33),
)
def test_what_tarfile_writes_is_read_back(
    files: list[tuple[str, bytes]], form: int, piece: int, mtime: int
) -> None:
    data = tar(*(Member(name, body, mtime=mtime) for name, body in files), form=form)
    reader = TarReader(data[i : i + piece] for i in range(0, len(data), piece))
    found = [(e.name, b"".join(map(bytes, reader.payload())), e.mtime_ns) for e in reader]
    assert found == [(name.encode(), body, mtime * 10**9) for name, body in files]


SAMPLE = tar(Member("a" * 120, b"x" * 700, pax={"SCHILY.xattr.user.a": "b"}), link("l", "t" * 200))


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.integers(0, len(SAMPLE) - 1), st.integers(0, 255)), max_size=12),
    st.integers(0, len(SAMPLE)),
)
def test_damaged_archives_are_refused_or_read(changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(SAMPLE)
    for at, value in changes:
        data[at] = value
    reader = TarReader([bytes(data[:cut])])
    try:
        for entry in reader:
            assert 0 <= entry.size <= 1 << 40
            for _ in reader.payload():
                pass
    except InvalidRequestError:
        return


@given(
    st.binary(max_size=3000),
    st.sampled_from([b"", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"BZh9"]),
)
def test_noise_is_no_compressed_stream(noise: bytes, magic: bytes) -> None:
    try:
        out = b"".join(chunks(io.BytesIO(magic + noise)))
    except InvalidRequestError:
        return
    assert magic or out == noise


@given(st.binary(max_size=200))
@example(b"../x")
@example(b"a/../../x")
@example(b"//a/./b/..")
def test_clean_names_never_leave_the_root(name: bytes) -> None:
    for clamp in (True, False):
        try:
            path = clean(name, clamp=clamp)
        except InvalidRequestError:
            assert not clamp
            continue
        assert not path.startswith(b"/")
        assert all(part not in (b"", b".", b"..") for part in path.split(b"/")) or path == b""
        assert clean(path) == path


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda below: (
        st.lists(below, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "schemaVersion",
                    "mediaType",
                    "config",
                    "layers",
                    "manifests",
                    "digest",
                    "size",
                    "rootfs",
                    "diff_ids",
                    "type",
                    "history",
                    "Env",
                    "Labels",
                ]
            ),
            below,
            max_size=6,
        )
    ),
    max_leaves=12,
)


@given(JSON | st.binary(max_size=100))
def test_documents_are_refused_or_read(document: object) -> None:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    for parse in (parse_manifest, parse_config):
        try:
            parse(data)
        except InvalidRequestError:
            continue


@given(st.text("ab*?", max_size=8), st.text("ab/", max_size=8))
def test_glob_agrees_with_a_plain_definition(pattern: str, text: str) -> None:
    def slow(p: str, t: str) -> bool:
        if not p:
            return not t
        if p[0] == "*":
            return slow(p[1:], t) or (bool(t) and t[0] != "/" and slow(p, t[1:]))
        return bool(t) and (p[0] == t[0] or (p[0] == "?" and t[0] != "/")) and slow(p[1:], t[1:])

    assert glob(pattern, text) == slow(pattern, text)


@given(
    st.lists(
        st.text(max_size=40)
        | st.builds(
            "{} {}".format,
            st.sampled_from(["CMD", "env", "EXPOSE", "LABEL", "VOLUME", "WORKDIR", "USER"]),
            st.text(max_size=30),
        ),
        max_size=4,
    )
)
def test_changes_are_refused_or_applied(changes: list[str]) -> None:
    try:
        config = apply_changes(changes)
    except PydError:
        return
    assert all(isinstance(key, str) for key in config)
