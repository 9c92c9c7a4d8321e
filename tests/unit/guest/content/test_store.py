from pathlib import Path

import pytest

from pyd_api.digest import Digest, digest_of
from pyd_api.errors import InvalidRequestError, NotFoundError
from pyd_guest.content.store import BlobStore


def files(root: Path) -> list[str]:
    return sorted(path.name for path in root.rglob("*") if path.is_file())


def test_a_blob_is_there_once_it_is_published(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
    with blobs.ingest() as ingest:
        ingest.write(b"one ")
        ingest.write(memoryview(b"two"))
        ingest.verify(digest_of(b"one two"), 7)
        assert not blobs.has(ingest.digest)
        ingest.sync()
        blobs.publish([ingest])
    assert blobs.read(digest_of(b"one two"), limit=7) == b"one two"
    assert files(tmp_path) == [digest_of(b"one two")[7:]]
    with blobs.open(digest_of(b"one two")) as file:
        assert file.read() == b"one two"
    blobs.remove(digest_of(b"one two"))
    blobs.remove(digest_of(b"one two"))
    assert files(tmp_path) == []


def test_what_is_not_published_goes(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
    with pytest.raises(ZeroDivisionError), blobs.ingest() as ingest:
        ingest.write(b"x")
        raise ZeroDivisionError
    with blobs.ingest() as ingest:
        ingest.write(b"wrong")
        ingest.seal()
        with pytest.raises(InvalidRequestError, match="digest mismatch"):
            ingest.verify(digest_of(b"right"))
        with pytest.raises(InvalidRequestError, match="6 were announced"):
            ingest.verify(ingest.digest, 6)
        with pytest.raises(InvalidRequestError, match="larger than 2"):
            ingest.read(limit=2)
    assert files(tmp_path) == []


def test_restart_forgets(tmp_path: Path) -> None:
    with BlobStore(tmp_path).ingest() as ingest:
        ingest.write(b"half")
        ingest.restart()
        ingest.write(b"x")
        assert (ingest.size, ingest.digest) == (1, digest_of(b"x"))
        assert ingest.path.read_bytes() == b"x"


def test_recovery_keeps_what_is_named(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
    kept, gone = blobs.add(b"kept"), blobs.add(b"gone")
    (tmp_path / "ingest" / "left").write_bytes(b"half")
    blobs.recover([kept])
    assert blobs.has(kept)
    assert not blobs.has(gone)
    assert files(tmp_path) == [kept[7:]]


@pytest.mark.parametrize(
    "digest", ["sha256:../../x", "", "sha256:" + "A" * 64, "sha512:" + "0" * 64, "x" * (1 << 20)]
)
def test_b3_digests_are_checked_before_they_name_a_file(tmp_path: Path, digest: str) -> None:
    with pytest.raises(InvalidRequestError, match="invalid digest"):
        BlobStore(tmp_path).path(Digest(digest))


def test_reading_is_limited_and_absence_is_named(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
    digest = blobs.add(b"12345")
    with pytest.raises(InvalidRequestError, match="larger than 4"):
        blobs.read(digest, limit=4)
    with pytest.raises(NotFoundError, match="no such blob"):
        blobs.open(digest_of(b"other"))
