import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from indexer.errors import (
    BundleBusyError,
    BundleCorruptError,
    BundleError,
    BundleFormatError,
    BundleStorageError,
)
from indexer.storage.journal_file import (
    FORMAT_VERSION,
    Latest,
    as_bundle_error,
    checksum,
    connect,
    create,
    has_checksums,
)


@pytest.fixture
def path(tmp_path):
    """Of an empty database."""
    create(tmp_path / "journal" / "journal.sqlite")
    return tmp_path / "journal" / "journal.sqlite"


def tables(path):
    connection = connect(path)
    try:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    finally:
        connection.close()


def test_a_database_is_created_once_and_never_replaced(path):
    connection = connect(path)
    connection.execute("INSERT INTO operations (id) VALUES ('a')")
    create(path)
    assert connection.execute("SELECT sequence, id FROM operations").fetchall() == [(1, "a")]
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_a_killed_creation_is_repeated(tmp_path):
    path = tmp_path / "journal" / "journal.sqlite"
    path.parent.mkdir()
    path.with_name("journal.sqlite.partial").write_bytes(b"half")
    create(path)
    assert {"operations", "starts", "pruned"} <= tables(path)
    assert not path.with_name("journal.sqlite.partial").exists()


def test_writers_that_create_at_once_share_one_database(tmp_path):
    path = tmp_path / "journal" / "journal.sqlite"
    with ThreadPoolExecutor(4) as pool:  # the lock of a file holds between threads as between processes
        list(pool.map(create, [path] * 8))
    assert "operations" in tables(path)
    assert {file.name for file in path.parent.iterdir()} == {"journal.sqlite", ".lock"}


def test_another_format_version_is_refused(path):
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=9")
    connection.close()
    with pytest.raises(BundleFormatError, match=rf"format version 9, this program reads {FORMAT_VERSION}"):
        connect(path)


def test_a_read_only_copy_is_opened_without_writing(path, monkeypatch):
    before = {file.name for file in path.parent.iterdir()}
    monkeypatch.setattr(os, "access", lambda *_: False)
    connection = connect(path)
    assert connection.execute("SELECT count(*) FROM operations").fetchone() == (0,)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("INSERT INTO operations (id) VALUES ('a')")
    connection.close()
    assert {file.name for file in path.parent.iterdir()} == before


def test_columns_of_checksums_are_added_to_a_file_without_them(path, monkeypatch):
    connection = connect(path)
    assert has_checksums(connection)
    for table in ("operations", "starts"):
        connection.execute(f"ALTER TABLE {table} DROP COLUMN checksum")
    connection.close()
    monkeypatch.setattr(os, "access", lambda *_: False)
    connection = connect(path)
    assert not has_checksums(connection)  # read-only
    connection.close()
    monkeypatch.undo()
    connection = connect(path)
    assert has_checksums(connection)
    connection.execute("INSERT INTO operations (id, checksum) VALUES ('a', 5)")
    connection.close()


def test_a_checksum_tells_apart_what_is_stored():
    rows = [("a", None, None, None), ("a", "", None, None), ("a", "-", None, None), ("a", None, b"", None), ("a", 1)]
    assert len({checksum(*row) for row in rows}) == len(rows)
    assert checksum("a", "{}", b"v", "m") == checksum("a", "{}", b"v", "m") != checksum("b", "{}", b"v", "m")


class TestLatest:
    def test_readers_see_what_another_writes(self, tmp_path):
        reader, writer = Latest(tmp_path / "journal" / "latest"), Latest(tmp_path / "journal" / "latest")
        assert reader.value == 0
        writer.value = 7
        assert reader.value == writer.value == 7
        writer.value = 2**40
        assert reader.value == 2**40
        reader.close()
        assert reader.value == 2**40

    def test_a_file_that_is_not_yet_written_counts_as_none(self, tmp_path):
        (tmp_path / "latest").write_bytes(b"")
        latest = Latest(tmp_path / "latest")
        assert latest.value == 0
        (tmp_path / "latest").write_bytes((3).to_bytes(8, "little"))
        assert latest.value == 3

    def test_making_it_twice_keeps_the_number(self, tmp_path):
        latest = Latest(tmp_path / "latest")
        latest.value = 4
        latest.make()
        assert latest.value == 4


def operational(name):
    error = sqlite3.OperationalError("it failed")
    if name:
        error.sqlite_errorname = name
    return error


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (
            operational("SQLITE_BUSY_SNAPSHOT"),
            BundleBusyError,
            "other processes have been writing to .* for 60 seconds",
        ),
        (operational("SQLITE_LOCKED"), BundleBusyError, "other processes"),
        (operational("SQLITE_FULL"), BundleStorageError, "cannot read or write .*: it failed"),
        (operational("SQLITE_IOERR_FSYNC"), BundleStorageError, "cannot read or write"),
        (operational("SQLITE_ERROR"), BundleError, "cannot read or write"),
        (operational(None), BundleCorruptError, "is damaged: it failed"),
        (sqlite3.DatabaseError("not a database"), BundleCorruptError, "is damaged: not a database"),
        (sqlite3.IntegrityError("a bug"), sqlite3.IntegrityError, "a bug"),
        (ValueError("a bug"), ValueError, "a bug"),
    ],
    ids=repr,
)
def test_errors_of_the_database_are_translated(error, kind, message, tmp_path):
    with pytest.raises(kind, match=message) as found, as_bundle_error(tmp_path):
        raise error
    assert type(found.value) is kind
