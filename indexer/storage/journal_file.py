"""The files of the journal: an SQLite database that survives a crash, and eight bytes that signal new operations.

The database runs in WAL mode with ``synchronous=FULL``: every commit is on the disk before it returns.
"""

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
"""Prefixes of SQLite's names of errors that the disk causes."""
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
    """Create an empty database if there is none; several processes may try at once."""
    if path.exists():
        return
    folder = path.parent
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return
        # Complete before it gets its name, in case the process is killed.
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
    """Open the database; on a read-only disk as immutable.

    Raises:
        BundleFormatError: another format version.
    """
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
    """Return whether rows have checksums; add the column to a file that predates it, for later rows."""
    query = "SELECT count(*) FROM pragma_table_info('starts') WHERE name = 'checksum'"
    if connection.execute(query).fetchone()[0]:
        return True
    try:
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            if not connection.execute(query).fetchone()[0]:
                # Older programs name their columns, so a further one does not disturb them.
                connection.execute("ALTER TABLE operations ADD COLUMN checksum INTEGER")
                connection.execute("ALTER TABLE starts ADD COLUMN checksum INTEGER")
    except sqlite3.OperationalError:
        return False  # read-only
    return True


def checksum(*parts: str | bytes | int | None) -> int:
    """Return the CRC-32 checksum of a row."""
    value = 0
    for part in parts:
        content = part if isinstance(part, bytes) else b"-" if part is None else f"+{part}\0".encode()
        value = zlib.crc32(content, value)
    return value


@contextlib.contextmanager
def as_bundle_error(path: Path) -> Iterator[None]:
    """Translate errors of SQLite into BundleError and its subclasses.

    Args:
        path: the file in use, for the message.

    Raises:
        BundleBusyError: other processes held the lock for a minute.
        BundleStorageError: the disk is full, read-only or failing, or the file cannot be opened.
        BundleCorruptError: the file is damaged.
        BundleError: any other operational error.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        if not hasattr(error, "sqlite_errorname"):
            # Raised by the Python module: a text is not UTF-8.
            raise BundleCorruptError(f"{path} is damaged: {error}") from error
        if error.sqlite_errorname.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise BundleBusyError(
                f"other processes have been writing to {path} for {_WAIT_SECONDS:.0f} seconds"
            ) from error
        if error.sqlite_errorname.startswith(_STORAGE):
            raise BundleStorageError(f"cannot read or write {path}: {error}") from error
        raise BundleError(f"cannot read or write {path}: {error}") from error
    except sqlite3.DatabaseError as error:
        if type(error) is not sqlite3.DatabaseError:
            raise  # a bug, not a damaged file
        raise BundleCorruptError(f"{path} is damaged: {error}") from error


class Latest:
    """The number of the last operation in a memory-mapped file, which readers poll without a system call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._map: mmap.mmap | None = None
        self._numbers = _NOTHING

    @property
    def value(self) -> int:
        """The number; 0 without a file."""
        if self._map is None:
            self._open()
        return self._numbers[0]

    @value.setter
    def value(self, number: int) -> None:
        self.make()
        with self._path.open("r+b", buffering=0) as file:
            file.write(number.to_bytes(_LATEST_BYTES, sys.byteorder))

    def make(self) -> None:
        """Create the file if there is none."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError), self._path.open("xb", buffering=0) as file:
            file.write(bytes(_LATEST_BYTES))

    def close(self) -> None:
        """Unmap the file."""
        self._numbers, self._map = _NOTHING, None

    def _open(self) -> None:
        with contextlib.suppress(FileNotFoundError), self._path.open("rb") as file:
            # Another process may have created it and not written to it yet.
            if os.fstat(file.fileno()).st_size >= _LATEST_BYTES:
                mapped = mmap.mmap(file.fileno(), _LATEST_BYTES, prot=mmap.PROT_READ)
                self._map, self._numbers = mapped, memoryview(mapped).cast("Q")
