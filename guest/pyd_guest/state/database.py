"""The state database: SQLite in WAL mode, one connection, one writer at a time.

A transaction that has returned survives a power cut (``synchronous=FULL``). Readers use the same
connection under the same lock: the daemon is the only client, and a query takes microseconds.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

from pyd_api.errors import InternalError
from pyd_guest.state.migrations import MIGRATIONS

Row = tuple[Any, ...]  # what sqlite3 returns; each caller knows its own columns


class Database:
    """One open state database."""

    def __init__(self, path: Path) -> None:
        """Open or create ``path`` and bring its schema up to date.

        Raises InternalError, and changes nothing, when a newer pyd has written it.
        """
        self._lock = RLock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        path.chmod(0o600)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._migrate(path)

    def _migrate(self, path: Path) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            self.close()
            raise InternalError(
                f"{path} has schema version {version}, this pyd knows {len(MIGRATIONS)}",
                hint="run the newer pyd that wrote it, or choose another --data-root",
            )
        for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
            with self.transaction() as connection:
                for statement in statements:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the only write transaction; commit at the end, roll back on any exception.

        Raises InternalError when the disk is full or fails; nothing is written then.
        """
        with self._lock:
            with _explained():
                self._connection.execute("BEGIN IMMEDIATE")
            try:
                with _explained():
                    yield self._connection
                    self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite may have rolled back by itself
                    self._connection.execute("ROLLBACK")
                raise

    def query(self, sql: str, *arguments: object) -> list[Row]:
        """Run one SELECT and return all its rows."""
        with self._lock, _explained():
            return self._connection.execute(sql, arguments).fetchall()

    def close(self) -> None:
        """Close the connection; the last one folds the WAL into the file."""
        with self._lock:
            self._connection.close()


@contextmanager
def _explained() -> Iterator[None]:
    """Turn a failure of the disk or the file into words; a broken constraint is the caller's."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise InternalError(f"the state database failed: {error}") from error
