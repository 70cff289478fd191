"""The index of the declared (filterable) fields: each value with its rows, in the order of the values.

``field_values`` holds where the rows of a value start in one long array of row numbers, which ``postings`` holds in
parts of equal length. The rows of a value, and of a range of values, are therefore contiguous: equality and range read
4 bytes per matching row, instead of about 30 and a Python object for each row of a table.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from indexer.filters.fields import ID, OTHER, Field, Scalar, parse_field
from indexer.filters.tree import Interval, Mask

_PART = 1 << 14
_BATCH = 1 << 14
_ROW = np.dtype("<u4")

_SCHEMA = (
    "CREATE TABLE filterable (field INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    "CREATE TABLE field_values (field INTEGER NOT NULL, value NOT NULL, first INTEGER NOT NULL, "
    "count INTEGER NOT NULL, PRIMARY KEY (field, value)) WITHOUT ROWID",
    "CREATE TABLE postings (field INTEGER NOT NULL, part INTEGER NOT NULL, rows BLOB NOT NULL, "
    "PRIMARY KEY (field, part))",
)


def write_field_index(connection: sqlite3.Connection, fields: Iterable[Field]) -> None:
    """Index fields of all documents, in the caller's transaction. The id is skipped, because it has an index already.

    Memory holds one batch, however many documents there are: SQLite sorts, on disk if necessary.
    """
    declared = [field for field in dict.fromkeys(fields) if field != ID]
    for statement in _SCHEMA:
        connection.execute(statement)
    connection.executemany("INSERT INTO filterable VALUES (?, ?)", enumerate(map(str, declared)))
    connection.execute("CREATE TEMP TABLE entries (field INTEGER, value, rows BLOB)")
    connection.executemany("INSERT INTO entries VALUES (?, ?, ?)", _entries(connection, declared))
    # Entries were inserted in ascending order of rows.
    ordered = connection.execute("SELECT field, value, rows FROM entries ORDER BY field, value, rowid")
    for field, of_field in groupby(ordered, key=itemgetter(0)):
        _write_field(connection, field, of_field)
    connection.execute("DROP TABLE entries")


def filterable_fields(connection: sqlite3.Connection) -> dict[Field, int]:
    """Return the declared fields with their numbers; none in a file of an older version."""
    if not connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'filterable'").fetchone()[0]:
        return {}
    return {parse_field(name): field for field, name in connection.execute("SELECT field, name FROM filterable")}


@dataclass(frozen=True, slots=True)
class FieldIndex:
    """Reads the index, and the index of ids, through one connection.

    Attributes:
        connection: a connection to the document file.
        fields: the result of :func:`filterable_fields`.
        rows: number of documents in the file.
    """

    connection: sqlite3.Connection
    fields: Mapping[Field, int]
    rows: int

    def having(self, field: Field, intervals: Sequence[Interval]) -> Mask | None:
        """Return the rows with a value of the field in an interval; None if the field is not declared."""
        mask = np.zeros(self.rows, bool)
        if field == ID:
            for interval in intervals:
                mask[self._of_ids(interval)] = True
        elif field in self.fields:
            number = self.fields[field]
            for rows in self._rows(number, sorted(self._slice(number, interval) for interval in intervals)):
                mask[rows] = True
        else:
            return None
        return mask

    def _of_ids(self, interval: Interval) -> npt.NDArray[np.int64]:
        above, low, below, high = interval
        # SQLite returns all rows as one text in one step, without a Python object per row.
        query = f"SELECT group_concat(row) FROM documents WHERE id {above} ? AND id {below} ?"  # noqa: S608 - two operators
        text = self.connection.execute(query, (low if isinstance(low, str) else "", high)).fetchone()[0]
        return np.fromstring(text or "", dtype=np.int64, sep=",")

    def _slice(self, number: int, interval: Interval) -> tuple[int, int]:
        """Return the first and last position of the rows of an interval."""
        above, low, below, high = interval
        query = (
            "SELECT min(first), max(first + count) FROM (SELECT * FROM ("  # noqa: S608 - only comparison operators are inserted
            f"SELECT first, count FROM field_values WHERE field = ? AND value {above} ? AND value {below} ? "
            "ORDER BY value LIMIT 1) UNION ALL SELECT * FROM ("
            f"SELECT first, count FROM field_values WHERE field = ? AND value {above} ? AND value {below} ? "
            "ORDER BY value DESC LIMIT 1))"
        )
        first, end = self.connection.execute(query, (number, low, high) * 2).fetchone()
        return (0, 0) if first is None else (first, end)

    def _rows(self, number: int, slices: Iterable[tuple[int, int]]) -> Iterator[npt.NDArray[np.uint32]]:
        """Read sorted slices part by part."""
        loaded, rows = -1, np.zeros(0, _ROW)
        for first, end in slices:
            for part in range(first // _PART, -(-end // _PART)):
                if part != loaded:
                    query = "SELECT rows FROM postings WHERE field = ? AND part = ?"
                    loaded, rows = (
                        part,
                        np.frombuffer(self.connection.execute(query, (number, part)).fetchone()[0], _ROW),
                    )
                yield rows[max(first - part * _PART, 0) : end - part * _PART]


def _entries(connection: sqlite3.Connection, fields: Sequence[Field]) -> Iterator[tuple[int, Scalar, bytes]]:
    """Yield each field's values with their rows in batches, so that a frequent value takes one entry per batch."""
    documents = connection.execute("SELECT row, payload FROM documents ORDER BY row")
    while batch := documents.fetchmany(_BATCH):
        found: dict[tuple[int, Scalar], list[int]] = {}
        for row, text in batch:
            payload = json.loads(text)
            for number, field in enumerate(fields):
                values = field.scalars("", payload)
                if values is not None:
                    for value in dict.fromkeys(values or [OTHER]):
                        found.setdefault((number, value), []).append(row)
        for (number, value), rows in found.items():
            yield number, value, np.array(rows, _ROW).tobytes()


def _write_field(connection: sqlite3.Connection, field: int, entries: Iterable[tuple[int, Scalar, bytes]]) -> None:
    """Write the rows of one field, given in the order of its values."""
    pending, first, part = bytearray(), 0, 0
    size = _PART * _ROW.itemsize
    for value, of_value in groupby(entries, key=itemgetter(1)):
        count = 0
        for _, _, rows in of_value:
            count += len(rows) // _ROW.itemsize
            pending += rows
            while len(pending) >= size:
                connection.execute("INSERT INTO postings VALUES (?, ?, ?)", (field, part, bytes(pending[:size])))
                del pending[:size]
                part += 1
        connection.execute("INSERT INTO field_values VALUES (?, ?, ?, ?)", (field, value, first, count))
        first += count
    if pending:
        connection.execute("INSERT INTO postings VALUES (?, ?, ?)", (field, part, bytes(pending)))
