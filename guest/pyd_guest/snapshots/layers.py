"""Committed layers: one directory each, a row each, shared by every image that has them.

::

    layers/<short>/fs/           what the layer adds, in overlayfs form
    layers/<short>/layer.json    {"version": 1, "chain_id", "parent", "diff_id", "size", "blob"}
    layers/<short>.init/fs/      the engine-made layer over it (see init_layer.py)

``short`` is random and brief, since the names of up to 128 layers must fit into one page of mount
options. A directory without a row is a leftover; a row without a directory is a damaged layer that
the next load or pull of its image makes again. docs/design/image-store.md describes the format.
"""

import json
import os
import secrets
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyd_api.digest import ChainID, DiffID, Digest, parse_digest
from pyd_api.errors import InternalError, InvalidRequestError
from pyd_guest.snapshots.sweeper import Sweeper
from pyd_guest.state.database import Database

FORMAT_VERSION = 1
DEPTH_MAX = 125  # layers of one image, as dockerd; leaves room in the mount options
_OPAQUE_XATTR = "trusted.overlay.opaque"
_ANCESTORS = """WITH RECURSIVE up (chain_id, parent, short, depth) AS (
    SELECT chain_id, parent, short, 0 FROM layers WHERE chain_id = ?
    UNION ALL SELECT l.chain_id, l.parent, l.short, up.depth + 1
    FROM layers l JOIN up ON l.chain_id = up.parent
) SELECT chain_id, short FROM up ORDER BY depth"""


@dataclass(frozen=True, slots=True)
class Layer:
    """One committed layer."""

    chain_id: ChainID
    parent: ChainID | None
    diff_id: DiffID
    size: int
    blob: Digest | None  # the blob it was unpacked from


@dataclass(frozen=True, slots=True)
class Staged:
    """An unpacked layer in the temporary directory, not reachable yet."""

    layer: Layer
    path: Path
    short: str


class LayerStore:
    """Rows and directories of layers; safe to use from many threads."""

    def __init__(self, root: Path, db: Database, sweeper: Sweeper) -> None:
        self.root = root
        root.mkdir(mode=0o700, exist_ok=True)
        self._db = db
        self._sweeper = sweeper

    def has(self, chain: ChainID) -> bool:
        """Tell whether the layer is whole: row and directory."""
        rows = self._db.query("SELECT short FROM layers WHERE chain_id = ?", chain)
        return bool(rows) and (self.root / rows[0][0] / "fs").is_dir()

    def ancestry(self, chain: ChainID) -> list[tuple[ChainID, str]]:
        """List (chain, short) from ``chain`` down to the base.

        Raises InternalError when the layer is not known.
        """
        rows = self._db.query(_ANCESTORS, chain)
        if not rows:
            raise InternalError(f"layer {chain} is missing", hint="pull or load the image again")
        return [(ChainID(row[0]), row[1]) for row in rows]

    def lowers(self, chain: ChainID) -> list[str]:
        """List the shorts of the layers that are seen through ``chain``, topmost first.

        Raises InternalError that names a layer whose directory is gone.
        """
        shorts = []
        for ancestor, short in self.ancestry(chain):
            fs = self.root / short / "fs"
            if not fs.is_dir():
                raise InternalError(
                    f"layer {ancestor} is damaged: its directory is missing",
                    hint="pull or load the image again",
                )
            shorts.append(short)
            if _is_opaque(fs):  # overlayfs looks at the mark on every directory but this one
                break
        return shorts

    def sizes(self, chain: ChainID) -> list[tuple[DiffID, int]]:
        """List (DiffID, size) from ``chain`` down to the base."""
        found = []
        for ancestor, _ in self.ancestry(chain):
            rows = self._db.query("SELECT diff_id, size FROM layers WHERE chain_id = ?", ancestor)
            found += [(DiffID(row[0]), int(row[1])) for row in rows]
        return found

    def all_sizes(self) -> dict[ChainID, int]:
        """Return the size of every layer."""
        rows = self._db.query("SELECT chain_id, size FROM layers")
        return {ChainID(row[0]): int(row[1]) for row in rows}

    def path(self, chain: ChainID) -> Path:
        """Name the directory with what ``chain`` adds; raises InternalError when unknown."""
        return self.root / self.ancestry(chain)[0][1] / "fs"

    def stage(self, layer: Layer, path: Path) -> Staged:
        """Describe the layer unpacked at ``path``/fs, so that it can be placed."""
        staged = Staged(layer, path, self._new_short())
        document = {
            "version": FORMAT_VERSION,
            "chain_id": layer.chain_id,
            "parent": layer.parent,
            "diff_id": layer.diff_id,
            "size": layer.size,
            "blob": layer.blob,
        }
        (path / "layer.json").write_text(json.dumps(document))
        return staged

    def place(self, staged: Sequence[Staged]) -> None:
        """Rename synced layers into place, durably; a failure takes all of them back."""
        placed: list[Path] = []
        try:
            for one in staged:
                target = self.root / one.short
                one.path.rename(target)
                placed.append(target)
            _sync_directory(self.root)
        except BaseException:
            self.displace(staged)
            raise

    def displace(self, staged: Iterable[Staged]) -> None:
        """Undo `place`."""
        for one in staged:
            self._sweeper.discard(self.root / one.short)

    def insert(self, connection: sqlite3.Connection, staged: Iterable[Staged]) -> list[str]:
        """Write the rows, within the caller's transaction.

        A damaged layer gets its new place; return the old ones, to `drop` after the commit.
        """
        replaced = []
        for one in staged:
            layer = one.layer
            replaced += connection.execute(
                "SELECT short FROM layers WHERE chain_id = ?", (layer.chain_id,)
            ).fetchall()
            connection.execute(
                """INSERT INTO layers (chain_id, parent, diff_id, short, size)
                VALUES (?, ?, ?, ?, ?)
                ON CONFLICT (chain_id) DO UPDATE SET short = excluded.short""",
                (layer.chain_id, layer.parent, layer.diff_id, one.short, layer.size),
            )
        return [row[0] for row in replaced]

    def total_size(self, connection: sqlite3.Connection, chain: ChainID | None) -> int:
        """Sum the sizes of ``chain`` and everything below it, within a transaction."""
        total, at = 0, chain
        while at is not None:
            row = connection.execute(
                "SELECT parent, size FROM layers WHERE chain_id = ?", (at,)
            ).fetchone()
            if row is None:
                raise InternalError(f"layer {at} is missing", hint="pull or load the image again")
            at, total = row[0], total + int(row[1])
        return total

    def chains(self, connection: sqlite3.Connection) -> list[ChainID]:
        """List all committed layers, within a transaction."""
        return [ChainID(row[0]) for row in connection.execute("SELECT chain_id FROM layers")]

    def delete(
        self, connection: sqlite3.Connection, keep: Iterable[ChainID]
    ) -> list[tuple[Layer, str]]:
        """Delete the rows that are not below ``keep``; list them, topmost first.

        Call `drop` for each once the transaction is through.
        """
        rows = {
            row[0]: (row[1], row[2], row[3], row[4])
            for row in connection.execute(
                "SELECT chain_id, parent, diff_id, short, size FROM layers"
            )
        }
        live: set[str] = set()
        for chain in keep:
            at: str | None = chain
            while at is not None and at not in live and at in rows:
                live.add(at)
                at = rows[at][0]
        depths: dict[str, int] = {}
        for chain in rows:
            path: list[str] = []
            at = chain
            while at is not None and at not in depths:
                path.append(at)
                at = rows[at][0]
            depth = depths[at] if at is not None else -1
            for offset, one in enumerate(reversed(path), start=1):
                depths[one] = depth + offset
        gone = sorted((c for c in rows if c not in live), key=lambda c: -depths[c])
        result = []
        for chain in gone:
            parent, diff_id, short, size = rows[chain]
            connection.execute("DELETE FROM layers WHERE chain_id = ?", (chain,))
            layer = Layer(
                ChainID(chain),
                ChainID(parent) if parent else None,
                DiffID(diff_id),
                size,
                self._blob(short),
            )
            result.append((layer, short))
        return result

    def drop(self, short: str) -> None:
        """Take a deleted layer's directories away."""
        self._sweeper.discard(self.root / f"{short}.init")
        self._sweeper.discard(self.root / short)

    def blobs(self) -> set[Digest]:
        """Name the blobs that committed layers came from."""
        rows = self._db.query("SELECT short FROM layers")
        return {blob for (short,) in rows if (blob := self._blob(short)) is not None}

    def recover(self) -> None:
        """Take away directories without a row (at start only)."""
        known = {row[0] for row in self._db.query("SELECT short FROM layers")}
        for path in self.root.iterdir():
            if path.name.partition(".")[0] not in known and path.name != "none.init":
                self._sweeper.discard(path)

    def _blob(self, short: str) -> Digest | None:
        try:
            document = json.loads((self.root / short / "layer.json").read_bytes())
            blob = document["blob"]
            return parse_digest(blob) if blob is not None else None
        except (OSError, ValueError, KeyError, TypeError, InvalidRequestError):
            return None  # a damaged layer; its blob is fetched again with it

    def _new_short(self) -> str:
        while (self.root / (short := secrets.token_hex(3))).exists():
            pass
        return short


def _is_opaque(directory: Path) -> bool:
    try:
        return os.getxattr(directory, _OPAQUE_XATTR) == b"y"
    except OSError:
        return False


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
