"""The files of the journal: an SQLite database (WAL, every commit synced), and eight bytes to look at."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import sqlite3
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from indexer.errors import (
    BundleBusyError,
    BundleCorruptError,
    BundleError,
    BundleFormatError,
    BundleStorageError,
)
from indexer.storage.fsync import fsync

FOLDER = "journal"
FILE_NAME = "journal.sqlite"
FORMAT_VERSION: Final = 1
_WAIT_SECONDS = 60.0
_STORAGE = ("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_IOERR", "SQLITE_CANTOPEN")
"""What the disk is to blame for, by the beginnings of SQLite's names."""
_LATEST_BYTES = 8
_NOTHING = memoryview(bytes(_LATEST_BYTES)).cast("Q")

_SCHEMA = """
PRAGMA auto_vacuum=INCREMENTAL;
PRAGMA journal_mode=WAL;
BEGIN;
CREATE TABLE operations (sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, payload TEXT, vector BLOB,
    model TEXT, checksum INTEGER);
CREATE INDEX operations_by_id ON operations (id, sequence);
CREATE TABLE starts (generation TEXT PRIMARY KEY, sequence INTEGER NOT NULL, checksum INTEGER);
CREATE TABLE pruned (sequence INTEGER NOT NULL);
INSERT INTO pruned VALUES (0);
COMMIT;
"""


def create(path: Path) -> None:
    """Make an empty database where there is none, whichever of several processes comes first."""
    if path.exists():
        return
    folder = path.parent
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return
        # Whole before it has its name, whenever the process is killed.
        partial = path.with_name(path.name + ".partial")
        partial.unlink(missing_ok=True)
        with as_bundle_error(path):
            connection = sqlite3.connect(partial, isolation_level=None)
            connection.executescript(_SCHEMA)
            connection.execute(f"PRAGMA user_version={FORMAT_VERSION}")
            connection.close()
        fsync(partial)
        partial.rename(path)
        fsync(folder)
        fsync(folder.parent)


def connect(path: Path) -> sqlite3.Connection:
    """Open the database; a copy on a read-only disk too, where nobody writes."""
    uri = f"{path.resolve().as_uri()}?mode=rw"
    if not os.access(path.parent, os.W_OK) and not path.with_name(path.name + "-wal").exists():
        uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=_WAIT_SECONDS)
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found != FORMAT_VERSION:
        connection.close()
        raise BundleFormatError(
            f"{path} has format version {found}, this program reads {FORMAT_VERSION}: use the version that wrote it"
        )
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def has_checksums(connection: sqlite3.Connection) -> bool:
    """Tell whether rows have checksums; where the file is of before there were any, let later ones have them."""
    query = "SELECT count(*) FROM pragma_table_info('starts') WHERE name = 'checksum'"
    if connection.execute(query).fetchone()[0]:
        return True
    try:
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            if not connection.execute(query).fetchone()[0]:
                # A column more disturbs no program that reads or writes the others, now or later.
                connection.execute("ALTER TABLE operations ADD COLUMN checksum INTEGER")
                connection.execute("ALTER TABLE starts ADD COLUMN checksum INTEGER")
    except sqlite3.OperationalError:
        return False  # it cannot be written
    return True


def checksum(*parts: str | bytes | int | None) -> int:
    """Return a checksum (CRC-32) of what is in a row."""
    value = 0
    for part in parts:
        content = part if isinstance(part, bytes) else b"-" if part is None else f"+{part}\0".encode()
        value = zlib.crc32(content, value)
    return value


@contextlib.contextmanager
def as_bundle_error(path: Path) -> Iterator[None]:
    """Turn errors of the database into ours."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if not hasattr(error, "sqlite_errorname"):
            # Not SQLite's own: a text that is none.
            raise BundleCorruptError(f"{path} is damaged: {error}") from error
        if error.sqlite_errorname.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise BundleBusyError(f"others have been writing to {path} for {_WAIT_SECONDS:.0f} seconds") from error
        if error.sqlite_errorname.startswith(_STORAGE):
            raise BundleStorageError(f"cannot read or write {path}: {error}") from error
        raise BundleError(f"cannot read or write {path}: {error}") from error
    except sqlite3.DatabaseError as error:
        if type(error) is not sqlite3.DatabaseError:
            raise  # not the file is wrong but the program
        raise BundleCorruptError(f"{path} is damaged: {error}") from error


class Latest:
    """Eight bytes in a file, which readers map: they look at them without a system call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._map: mmap.mmap | None = None
        self._numbers = _NOTHING

    @property
    def value(self) -> int:
        """The number; 0 while there is none."""
        if self._map is None:
            self._open()
        return self._numbers[0]

    @value.setter
    def value(self, number: int) -> None:
        self.make()
        with self._path.open("r+b", buffering=0) as file:
            file.write(number.to_bytes(_LATEST_BYTES, sys.byteorder))

    def make(self) -> None:
        """Make the file where there is none."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError), self._path.open("xb", buffering=0) as file:
            file.write(bytes(_LATEST_BYTES))

    def close(self) -> None:
        """Give up the mapping."""
        self._numbers, self._map = _NOTHING, None

    def _open(self) -> None:
        with contextlib.suppress(FileNotFoundError), self._path.open("rb") as file:
            # Another process may have made it and not written into it yet.
            if os.fstat(file.fileno()).st_size >= _LATEST_BYTES:
                mapped = mmap.mmap(file.fileno(), _LATEST_BYTES, prot=mmap.PROT_READ)
                self._map, self._numbers = mapped, memoryview(mapped).cast("Q")
