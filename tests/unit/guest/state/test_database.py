import sqlite3
from pathlib import Path

import pytest

from pyd_api.errors import InternalError
from pyd_guest.state.database import Database
from pyd_guest.state.migrations import MIGRATIONS


def test_a_transaction_is_kept_by_the_next_open(tmp_path: Path) -> None:
    database = Database(tmp_path / "state.db")
    with database.transaction() as connection:
        connection.execute("INSERT INTO containers VALUES ('a', 'n', 1.0, '{}', '{}')")
    database.close()
    again = Database(tmp_path / "state.db")
    assert again.query("SELECT id, name FROM containers") == [("a", "n")]
    again.close()


def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    database = Database(tmp_path / "state.db")
    with pytest.raises(sqlite3.IntegrityError), database.transaction() as connection:
        connection.execute("INSERT INTO containers VALUES ('a', 'n', 1.0, '{}', '{}')")
        connection.execute("INSERT INTO containers VALUES ('b', 'n', 1.0, '{}', '{}')")
    assert database.query("SELECT * FROM containers") == []
    database.close()


def test_g9_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    Database(path).close()
    with sqlite3.connect(path) as raw:
        raw.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    raw.close()
    before = path.read_bytes()
    with pytest.raises(InternalError, match="schema version"):
        Database(path)
    assert path.read_bytes() == before


def test_the_file_is_private(tmp_path: Path) -> None:
    Database(tmp_path / "state.db").close()
    assert (tmp_path / "state.db").stat().st_mode & 0o777 == 0o600
