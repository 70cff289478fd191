"""The write-ahead journal of an index: upserts and deletes in order, on disk before they are acknowledged.

An acknowledged update therefore survives a kill or a power failure: opening the index replays the journal.
``INDEX/journal/journal.sqlite`` holds the operations; ``INDEX/journal/latest`` holds the number of the last one in
eight bytes that every process maps, so that a search sees within a fraction of a microsecond whether there is a new
one.

All generations share one journal. Operations after a generation's start apply to it; its start is the beginning of its
build, or the last operation that a compaction merged into it. Publishing an earlier generation again therefore
loses no acknowledged update.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from indexer.errors import BundleCorruptError, BundleStorageError, PrunedError
from indexer.storage.fsync import fsync
from indexer.storage.journal_file import (
    FILE_NAME,
    FOLDER,
    Latest,
    as_bundle_error,
    checksum,
    connect,
    create,
    has_checksums,
)

PAGE = 4096
"""Operations read or pruned together."""
_MOST_VARIABLES = 500


class Operation(NamedTuple):
    """One upsert or delete.

    Attributes:
        sequence: position in the journal; numbers have no gaps.
        id: of the document.
        payload: as JSON; None for a delete.
        vector: bytes of the vector in its storage type; None for a delete.
        model: content hash of the model of the vector; None for a delete.
    """

    sequence: int
    id: str
    payload: str | None
    vector: bytes | None
    model: str | None


class Writing:
    """A write transaction; see :meth:`Journal.writing`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def upsert(self, documents: Iterable[tuple[str, str, bytes]], model: str) -> None:
        """Append an upsert for each (id, payload as JSON, stored vector)."""
        rows = ((*document, model) for document in documents)
        query = "INSERT INTO operations (id, payload, vector, model, checksum) VALUES (?, ?, ?, ?, ?)"
        self._connection.executemany(query, ((*row, checksum(*row)) for row in rows))

    def delete(self, ids: Iterable[str]) -> None:
        """Append a delete for each id."""
        query = "INSERT INTO operations (id, checksum) VALUES (?, ?)"
        self._connection.executemany(
            query, ((identifier, checksum(identifier, None, None, None)) for identifier in ids)
        )

    def latest(self, ids: Sequence[str], after: int, model: str) -> dict[str, bool]:
        """Return which of ``ids`` operations after ``after`` changed, and whether the document exists since the
        last."""
        found: dict[str, bool] = {}
        for start in range(0, len(ids), _MOST_VARIABLES):
            part = ids[start : start + _MOST_VARIABLES]
            marks = ",".join("?" * len(part))
            query = (
                f"SELECT id, payload IS NOT NULL FROM operations WHERE id IN ({marks}) "  # noqa: S608 - only marks
                "AND sequence > ? AND (payload IS NULL OR model = ?) ORDER BY sequence"
            )
            rows = self._connection.execute(query, (*part, after, model))
            found.update((identifier, bool(exists)) for identifier, exists in rows)
        return found


class Journal:
    """Reads and writes the journal of an index. Thread-safe; not to be shared with a forked process."""

    def __init__(self, root: str | Path) -> None:
        """Use the journal of an index directory; nothing is opened or created yet."""
        self._path = Path(root) / FOLDER / FILE_NAME
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._checksum = "NULL"
        self._latest = Latest(self._path.with_name("latest"))

    def close(self) -> None:
        """Close the files; the next use opens them again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            self._latest.close()

    @property
    def signal(self) -> int:
        """A number that changes with every operation acknowledged by any process; cheap to read."""
        return self._latest.value

    def exists(self) -> bool:
        """Return whether there is a journal."""
        return self._connection is not None or self._path.exists()

    @property
    def last(self) -> int:
        """The number of the last operation; 0 if there was none."""
        return self._number("SELECT seq FROM sqlite_sequence WHERE name = 'operations'")

    @property
    def size_bytes(self) -> int:
        """Bytes on disk."""
        return sum(path.stat().st_size for path in self._path.parent.glob(f"{FILE_NAME}*"))

    def start_of(self, generation: str) -> int:
        """Return the number of the last operation that does not apply to a generation."""
        with self._lock, as_bundle_error(self._path):
            connection = self._reading()
            query = f"SELECT sequence, {self._checksum} FROM starts WHERE generation = ?"  # noqa: S608 - a column
            row = None if connection is None else connection.execute(query, (generation,)).fetchone()
        if row is None:
            return 0
        if row[1] is not None and row[1] != checksum(generation, row[0]):
            raise self._damaged(f"the start of generation {generation} does not match its checksum")
        return int(row[0])

    def start(self, generation: str, sequence: int | None = None) -> None:
        """Record that only operations after ``sequence``, or after the present ones, apply to a generation."""
        self._latest.make()
        if not self.exists():
            return  # all operations to come apply to it
        with self._lock, self._transaction() as connection:
            number = self.last if sequence is None else sequence
            row = (generation, number, checksum(generation, number))
            query = "INSERT OR REPLACE INTO starts (generation, sequence, checksum) VALUES (?, ?, ?)"
            connection.execute(query, row)

    def pages(self, after: int, until: int | None = None) -> Iterator[list[Operation]]:
        """Read the operations after ``after``, up to ``until`` if given, in order and in pages.

        Raises:
            PrunedError: some of them were pruned.
            BundleCorruptError: an operation is missing or does not match its checksum.
        """
        while page := self._page(after, until):
            yield page
            after = page[-1].sequence

    def copy_to(self, root: Path) -> None:
        """Copy the journal as of one moment to another index directory; other processes may write meanwhile."""
        copy = root / FOLDER / FILE_NAME
        copy.parent.mkdir(parents=True)
        with self._lock, as_bundle_error(copy):
            connection = self._reading()
            if connection is None:
                return
            with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as target:
                # In one step, which sees one state of the source; a backup in steps restarts with every write.
                connection.backup(target)
            last = self.last
        # A number too high is harmless: readers look into the database once more.
        Latest(copy.with_name("latest")).value = last
        for path in (copy, copy.parent):
            fsync(path)

    def verify(self) -> int:
        """Verify the database and all checksums, and return the number of operations.

        Raises:
            BundleCorruptError: it is damaged.
        """
        with self._lock, as_bundle_error(self._path):
            connection = self._reading()
            if connection is None:
                return 0
            found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if found != "ok":
                raise self._damaged(found)
            for (generation,) in connection.execute("SELECT generation FROM starts").fetchall():
                self.start_of(generation)
            return sum(map(len, self.pages(self._pruned)))

    def counts(self, after: int, model: str) -> tuple[int, int, int]:
        """Count the operations after ``after``: upserts of a model, deletes, and upserts of other models."""
        query = (
            "SELECT count(CASE WHEN model = ? THEN 1 END), count(CASE WHEN payload IS NULL THEN 1 END), count(*) "
            "FROM operations WHERE sequence > ?"
        )
        with self._lock, as_bundle_error(self._path):
            connection = self._reading()
            if connection is None:
                return 0, 0, 0
            upserts, deletes, total = connection.execute(query, (model, after)).fetchone()
        return upserts, deletes, total - upserts - deletes

    def latest(self, after: int, model: str) -> dict[str, bool]:
        """Return the ids that operations after ``after`` changed, and whether the document exists since the last."""
        query = (
            "SELECT id, payload IS NOT NULL, max(sequence) FROM operations "
            "WHERE sequence > ? AND (payload IS NULL OR model = ?) GROUP BY id"
        )
        with self._lock, as_bundle_error(self._path):
            connection = self._reading()
            rows = [] if connection is None else connection.execute(query, (after, model)).fetchall()
        return {identifier: bool(exists) for identifier, exists, _ in rows}

    @contextlib.contextmanager
    def writing(self) -> Iterator[Writing]:
        """Write operations in one transaction: after the block all are on disk, after an exception none is.

        Raises:
            BundleBusyError: other processes held the write lock for a minute.
            BundleStorageError: the disk is full, read-only or failing.
            BundleError: the journal cannot be written.
        """
        with self._lock:
            self._reading()  # refuses to replace a journal that has disappeared
            with _as_storage_error(self._path):
                create(self._path)
            with self._transaction() as connection:
                before = self.last
                yield Writing(connection)
                number = self.last
            # Each writer signals the number of its own last operation, so a late signal cannot hide a later one.
            if number > before:
                with _as_storage_error(self._path):
                    self._latest.value = number

    def prune(self, until: int, generations: Iterable[str]) -> None:
        """Delete the operations up to ``until``, and the starts of all generations but the given ones."""
        if not self.exists():
            return
        with self._lock:
            # In steps, so that no writer waits for all of it.
            for sequence in range(self._pruned, until, PAGE):
                to = min(until, sequence + PAGE)
                with self._transaction() as connection:
                    connection.execute("DELETE FROM operations WHERE sequence <= ?", (to,))
                    connection.execute("UPDATE pruned SET sequence = ?", (to,))
            with self._transaction() as connection:
                marks = ",".join("?" * len(kept := list(generations)))
                connection.execute(f"DELETE FROM starts WHERE generation NOT IN ({marks})", kept)  # noqa: S608
            with as_bundle_error(self._path):
                connection.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE);")

    def _page(self, after: int, until: int | None) -> list[Operation]:
        with self._lock, as_bundle_error(self._path):
            connection = self._reading()
            if connection is None:
                return []
            query = (
                f"SELECT sequence, id, payload, vector, model, {self._checksum} FROM operations "  # noqa: S608 - a column
                "WHERE sequence > ? AND sequence <= coalesce(?, sequence) ORDER BY sequence LIMIT ?"
            )
            # In this order: new operations are not reported as missing, and operations pruned in between are noticed.
            last = self.last if until is None else min(until, self.last)
            rows = connection.execute(query, (after, until, PAGE)).fetchall()
            pruned = self._pruned
        if pruned > after:
            raise PrunedError(f"{self._path} holds operations from {pruned + 1} on, those after {after} are needed")
        # Numbers have no gaps.
        for number, row in enumerate(rows, start=after + 1):
            if row[0] != number or (row[5] is not None and row[5] != checksum(*row[1:5])):
                raise self._damaged(f"operation {number} is missing or does not match its checksum")
        if len(rows) < min(PAGE, last - after):
            raise self._damaged(f"operation {after + len(rows) + 1} is missing")
        return [Operation(*row[:5]) for row in rows]

    def _damaged(self, problem: str) -> BundleCorruptError:
        return BundleCorruptError(
            f"{self._path} is damaged: {problem}. Restore the index from a snapshot; without one, move the folder "
            f"{self._path.parent} away, which loses the updates since the last compaction"
        )

    @property
    def _pruned(self) -> int:
        return self._number("SELECT sequence FROM pruned")

    def _number(self, query: str, *values: str) -> int:
        with self._lock, as_bundle_error(self._path):
            connection = self._reading()
            row = None if connection is None else connection.execute(query, values).fetchone()
            return 0 if row is None else int(row[0])

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._reading()
        assert connection is not None
        with as_bundle_error(self._path):
            connection.execute("BEGIN IMMEDIATE")
            with connection:
                yield connection

    def _reading(self) -> sqlite3.Connection | None:
        """Return the connection, or None without a journal."""
        if self._connection is None and not self._path.exists():
            # The signal file is created after the journal, and both are only moved together.
            if self._latest.value and not self._path.exists():
                raise self._damaged(f"it is missing, and held {self._latest.value} operations")
            return None
        if self._connection is None:
            with as_bundle_error(self._path):
                self._connection = connect(self._path)
                self._checksum = "checksum" if has_checksums(self._connection) else "NULL"
        return self._connection


@contextlib.contextmanager
def _as_storage_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BundleStorageError(f"cannot write {path}: {error}") from error
