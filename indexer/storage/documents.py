"""The documents of a generation: id and payload by row number, in an SQLite file.

The file also records how far a build has read its corpus, in the same transactions as the documents; that is how a
build survives a kill.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from indexer.corpus import Place
from indexer.errors import BundleCorruptError
from indexer.filters import Field, FieldIndex, Filter, filterable_fields, matching_rows, parse_field, write_field_index
from models.data.unicode import is_unicode

FILE_NAME = "documents.sqlite"
REJECTED = "rejected.jsonl"
"""Name of the file that lists the rejected rows."""
_MOST_VARIABLES = 500

_SCHEMA = """
CREATE TABLE documents (row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, payload TEXT NOT NULL);
CREATE TABLE rejected (source TEXT NOT NULL, line INTEGER NOT NULL, reason TEXT NOT NULL);
CREATE TABLE progress (file INTEGER NOT NULL, row INTEGER NOT NULL, complete INTEGER NOT NULL);
INSERT INTO progress VALUES (0, 0, 0);
"""


class StoredDocument(NamedTuple):
    """A stored document: its id and its payload."""

    id: str
    payload: dict[str, Any]


class Rejected(NamedTuple):
    """A row of the corpus that was not indexed, and the reason."""

    source: str
    line: int
    reason: str


class DocumentWriter:
    """Writes documents batch by batch, each in one transaction with the place in the corpus it reaches.

    After a kill at any moment the file therefore says which documents it holds, and where reading continues. Opening an
    unfinished file resumes it.
    """

    def __init__(self, path: str | Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        try:
            if not self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                self._connection.executescript(f"PRAGMA journal_mode=WAL; BEGIN; {_SCHEMA} COMMIT;")
            self._connection.executescript("PRAGMA synchronous=FULL; PRAGMA cache_size=-65536;")
        except BaseException:
            self._connection.close()  # the traceback would keep it, and its lock, alive
            raise

    def __enter__(self) -> DocumentWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    @property
    def count(self) -> int:
        """Number of committed documents."""
        return int(self._connection.execute("SELECT coalesce(max(row) + 1, 0) FROM documents").fetchone()[0])

    @property
    def rejected_count(self) -> int:
        """Number of rejected rows."""
        return int(self._connection.execute("SELECT count(*) FROM rejected").fetchone()[0])

    @property
    def place(self) -> Place:
        """Where reading the corpus continues."""
        return Place(*self._connection.execute("SELECT file, row FROM progress").fetchone())

    @property
    def complete(self) -> bool:
        """Whether the whole corpus was read."""
        return bool(self._connection.execute("SELECT complete FROM progress").fetchone()[0])

    def known(self, ids: Sequence[str]) -> set[str]:
        """Return those of ``ids`` that are ids of committed documents."""
        return {row[0] for row in _look_up(self._connection, "SELECT id FROM documents WHERE id", ids)}

    def commit(self, documents: Sequence[StoredDocument], rejected: Iterable[Rejected], place: Place) -> None:
        """Append documents and rejected rows and record the place reached, in one transaction."""
        first = self.count
        rows = [(first + i, doc.id, payload_json(doc.payload)) for i, doc in enumerate(documents)]
        self._connection.execute("BEGIN")
        with self._connection:
            self._connection.executemany("INSERT INTO documents VALUES (?, ?, ?)", rows)
            self._connection.executemany("INSERT INTO rejected VALUES (?, ?, ?)", rejected)
            self._connection.execute("UPDATE progress SET file = ?, row = ?", (place.file, place.row))

    def finish(self, filterable: Iterable[str] = ()) -> None:
        """Index the filterable fields, mark the corpus as complete, and merge the write-ahead log into the file.

        Args:
            filterable: field names as in filters. Filters on other fields read every document.

        Raises:
            InvalidOptionError: a field name is invalid.
        """
        fields = [parse_field(name, "filterable") for name in filterable]
        self._connection.execute("BEGIN")
        with self._connection:
            if fields:
                write_field_index(self._connection, fields)
            self._connection.execute("UPDATE progress SET complete = 1")
        self._connection.execute("PRAGMA journal_mode=DELETE")

    def rejected(self) -> Iterator[Rejected]:
        """Stream the rejected rows in corpus order."""
        for row in self._connection.execute("SELECT source, line, reason FROM rejected ORDER BY rowid"):
            yield Rejected(*row)


class Documents:
    """Reads a finished document file. Thread-safe, with one connection per thread."""

    def __init__(self, path: str | Path) -> None:
        """Use a file written by :class:`DocumentWriter`; each thread opens it at its first read.

        Raises:
            BundleCorruptError: the file is missing.
        """
        self._path = Path(path)
        if not self._path.exists():
            raise BundleCorruptError(f"{path} is missing")
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._facts: tuple[dict[Field, int], int] | None = None

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            for connection in self._open:
                connection.close()
            self._open.clear()
            self._local = threading.local()

    def fetch(self, rows: Sequence[int]) -> list[StoredDocument]:
        """Return the documents of ``rows``, in that order.

        Raises:
            BundleCorruptError: a row is missing, or the file cannot be read.
        """
        found: dict[int, StoredDocument] = {}
        wanted = list(dict.fromkeys(int(row) for row in rows))
        try:
            query = "SELECT row, id, payload FROM documents WHERE row"
            for row, identifier, payload in _look_up(self._connection(), query, wanted):
                found[row] = StoredDocument(identifier, json.loads(payload))
            return [found[int(row)] for row in rows]
        except (sqlite3.DatabaseError, ValueError, KeyError) as error:
            raise BundleCorruptError(f"{self._path}: cannot read documents {wanted[:5]}…: {error!r}") from error

    @property
    def filterable(self) -> list[str]:
        """The names of the indexed fields."""
        return [str(field) for field in self._fields_and_rows(self._connection())[0]]

    def matching(self, condition: Filter) -> npt.NDArray[np.int64]:
        """Return the rows that match a filter, ascending.

        Indexed fields are looked up; documents are read only if the index leaves them undecided.

        Raises:
            BundleCorruptError: the file cannot be read.
        """
        try:
            connection = self._connection()
            fields, rows = self._fields_and_rows(connection)
            return matching_rows(condition, FieldIndex(connection, fields, rows))
        except (sqlite3.DatabaseError, ValueError) as error:
            raise BundleCorruptError(f"{self._path}: cannot filter documents: {error!r}") from error

    def row_of(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the row of each of ``ids`` that exists.

        Raises:
            BundleCorruptError: the file cannot be read.
        """
        # Other values are not valid ids, and SQLite refuses them.
        known = [identifier for identifier in ids if is_unicode(identifier)]
        try:
            return dict(_look_up(self._connection(), "SELECT id, row FROM documents WHERE id", known))
        except sqlite3.DatabaseError as error:
            raise BundleCorruptError(f"{self._path}: cannot look up ids: {error!r}") from error

    def ids(self) -> list[str]:
        """Return all ids in row order."""
        return [row[0] for row in self._connection().execute("SELECT id FROM documents ORDER BY row")]

    def _fields_and_rows(self, connection: sqlite3.Connection) -> tuple[dict[Field, int], int]:
        """Return the indexed fields and the number of rows, read once."""
        if self._facts is None:
            rows = connection.execute("SELECT coalesce(max(row) + 1, 0) FROM documents").fetchone()[0]
            self._facts = filterable_fields(connection), rows
        return self._facts

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            # immutable: a published generation never changes, so neither locks nor a writable directory are needed.
            uri = f"{self._path.resolve().as_uri()}?mode=ro&immutable=1"
            connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
            with self._lock:
                self._open.append(connection)
            self._local.connection = connection
        return connection


def _look_up(connection: sqlite3.Connection, query: str, values: Sequence[str] | Sequence[int]) -> Iterator[Any]:
    """Run a query that ends in a column name, restricted to the given values of that column."""
    for start in range(0, len(values), _MOST_VARIABLES):
        part = values[start : start + _MOST_VARIABLES]
        yield from connection.execute(f"{query} IN ({','.join('?' * len(part))})", part)


def payload_json(payload: dict[str, Any]) -> str:
    """Return a payload as stored JSON.

    Raises:
        ValueError, TypeError, RecursionError: it holds a value that JSON cannot represent.
    """
    return json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
