"""Evaluating a filter: by the index if it can decide, otherwise by SQLite, otherwise in Python."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from indexer.filters.index import FieldIndex
from indexer.filters.tree import Filter

_CHUNK = 1 << 18
"""Rows read in one step of SQLite, during which other threads can run."""


def matching_rows(condition: Filter, index: FieldIndex) -> npt.NDArray[np.int64]:
    """Return the rows that match a filter, ascending.

    Rows that the index of declared fields leaves undecided are read, at about 1 µs each in SQLite, which lets other
    threads run meanwhile, and several in Python.
    """
    sure, possible = condition.bounds(index)
    undecided = np.flatnonzero(possible & ~sure)
    if not undecided.size:
        return np.flatnonzero(sure)
    found = sure.copy()
    for start in range(0, len(undecided), _CHUNK):
        rows = undecided[start : start + _CHUNK]
        verdicts = _verdicts(index.connection, condition, rows)
        found[verdicts[verdicts >= 0]] = True
        unsure = -1 - verdicts[verdicts < 0]
        found[np.fromiter(_decided_in_python(index.connection, condition, unsure), np.int64)] = True
    return np.flatnonzero(found)


def _verdicts(connection: sqlite3.Connection, condition: Filter, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return row for each row that matches and -1 - row for each that SQLite cannot decide.

    The result may hold further rows of the range that was read. SQLite returns it as one text, because a result row
    each would take longer and compete for the interpreter lock.
    """
    verdict, parameters = condition.sql()
    first, last = int(rows[0]), int(rows[-1])
    scattered = last - first + 1 > 2 * len(rows)
    where = "row IN (SELECT value FROM json_each(?))" if scattered else "row BETWEEN ? AND ?"
    chosen = (_listed(rows),) if scattered else (first, last)
    query = (
        f"SELECT group_concat(CASE {verdict} WHEN 1 THEN row WHEN 0 THEN NULL ELSE -1 - row END) "  # noqa: S608 - bound
        f"FROM documents WHERE {where}"
    )
    text = connection.execute(query, (*parameters, *chosen)).fetchone()[0]
    return np.fromstring(text or "", dtype=np.int64, sep=",")


def _decided_in_python(connection: sqlite3.Connection, condition: Filter, rows: npt.NDArray[np.int64]) -> Iterator[int]:
    if rows.size:
        query = "SELECT row, id, payload FROM documents WHERE row IN (SELECT value FROM json_each(?))"
        for row, identifier, payload in connection.execute(query, (_listed(rows),)):
            if condition.matches(identifier, json.loads(payload)):
                yield row


def _listed(rows: npt.NDArray[np.int64]) -> str:
    return json.dumps(rows.tolist())
