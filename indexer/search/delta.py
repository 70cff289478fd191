"""The difference between a generation and the current documents: rows added and rows removed by updates."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from indexer.errors import BundleCorruptError
from indexer.kernels.rows import Rows
from indexer.kernels.rowset import RowSet
from indexer.storage.documents import Documents, StoredDocument
from indexer.storage.journal import PAGE, Operation
from indexer.storage.vectors import StoredVectors, encode
from models.nesting import Vectors, truncate

Mask = npt.NDArray[np.bool_]

_FIRST_CAPACITY = 64


@dataclass(frozen=True, slots=True)
class DeltaView:
    """An immutable snapshot of a :class:`Delta`.

    Added rows are numbered from N, the number of rows of the generation, in the order of their operations.

    Attributes:
        version: unique to this snapshot.
        first: N.
        vectors: vectors of the added rows, including rows removed since.
        rows: the added rows that still exist, ascending.
        hidden: mask of the generation's rows that were removed or replaced, shape (N,).
        hidden_count: number of hidden rows.
    """

    version: int
    first: int
    vectors: StoredVectors
    rows: Rows
    hidden: Mask
    hidden_count: int
    _documents: Sequence[tuple[str, str]]

    def __len__(self) -> int:
        """Number of current documents."""
        return self.first - self.hidden_count + len(self.rows)

    @property
    def changes(self) -> int:
        """Number of added rows plus number of hidden rows."""
        return len(self.rows) + self.hidden_count

    @property
    def untouched(self) -> bool:
        """Whether the documents are exactly those of the generation."""
        return not self.hidden_count and not len(self.vectors)

    def visible(self, rows: RowSet | None) -> RowSet:
        """Return those of the generation's ``rows`` (all if None) that are not hidden."""
        if rows is None:
            return RowSet(np.flatnonzero(~self.hidden), self.first)
        return RowSet(rows.rows[~self.hidden[rows.rows]], self.first) if self.hidden_count else rows

    def nearest(self, queries: Vectors, rows: Rows, dims: int, keep: int, threads: int) -> tuple[Vectors, Rows]:
        """Find the nearest added rows by a scan.

        Args:
            queries: shape (n, D).
            rows: the subset of :attr:`rows` to search.
            dims: prefix size to rank by.
            keep: rows per query.
            threads: threads to use for more than one query.

        Returns:
            as :meth:`StoredVectors.rank`, with rows numbered from N.
        """
        prefixes = truncate(queries, dims)
        if len(queries) > 1 and len(rows) == len(self.vectors):
            scores, found = self.vectors.nearest(prefixes, dims, keep, threads)
        else:
            scores, found = self.vectors.rank(prefixes, rows[None] - self.first, dims, keep, threads)
        found[found >= 0] += self.first
        return scores, found

    def fetch(self, row: int) -> StoredDocument:
        """Return the document of an added row."""
        identifier, payload = self._documents[row - self.first]
        return StoredDocument(identifier, json.loads(payload))

    def ids(self) -> list[str]:
        """Return the ids of all added rows, including rows removed since."""
        return [identifier for identifier, _ in self._documents[: len(self.vectors)]]


class Delta:
    """Applies operations to a generation. Not thread-safe, but its views are."""

    def __init__(self, documents: Documents, vectors: StoredVectors, model: str) -> None:
        """Start from a generation without updates.

        Args:
            documents, vectors: the generation's.
            model: content hash of its model; operations of other models are skipped, as their vectors are not
                comparable.
        """
        self._base, self._first, self._model = documents, len(vectors), model
        self._vectors = np.empty((0, vectors.dimension), vectors.stored.dtype)
        self._exists = np.zeros(0, bool)
        self._documents: list[tuple[str, str]] = []
        self._rows: dict[str, int] = {}
        self._hidden = np.zeros(self._first, bool)
        self._newly_hidden: list[int] = []
        self._version = 0

    def apply(self, operations: Iterable[Operation]) -> None:
        """Apply operations in order."""
        last = {
            operation.id: operation
            for operation in operations
            if operation.vector is None or operation.model == self._model
        }
        # A document that is in the delta has already hidden its row of the generation.
        self._newly_hidden.extend(self._base.row_of([key for key in last if key not in self._rows]).values())
        for identifier in last:
            if (row := self._rows.pop(identifier, None)) is not None:
                self._exists[row] = False
        self._add(sorted(operation for operation in last.values() if operation.vector is not None))

    def fetch(self, ids: Iterable[str]) -> dict[str, StoredDocument]:
        """Return the documents among ``ids`` that were added and still exist."""
        rows = {key: self._rows[key] for key in ids if key in self._rows}
        return {key: StoredDocument(key, json.loads(self._documents[row][1])) for key, row in rows.items()}

    def tidy(self) -> bool:
        """Drop removed rows and renumber the rest if most are removed; return whether rows were renumbered."""
        if len(self._documents) <= 2 * (len(self._rows) + PAGE):
            return False
        rows = np.flatnonzero(self._exists)
        self._vectors, self._exists = self._vectors[rows], np.ones(len(rows), bool)
        self._documents = [self._documents[row] for row in rows]
        self._rows = {identifier: row for row, (identifier, _) in enumerate(self._documents)}
        return True

    def view(self) -> DeltaView:
        """Return a snapshot of the current state."""
        if self._newly_hidden:
            # A new mask each time, as running searches keep the one they have.
            self._hidden = self._hidden.copy()
            self._hidden[self._newly_hidden] = True
            self._newly_hidden.clear()
        self._version += 1
        count = len(self._documents)
        return DeltaView(
            self._version,
            self._first,
            StoredVectors(self._vectors[:count]),
            np.flatnonzero(self._exists[:count]) + self._first,
            self._hidden,
            int(np.count_nonzero(self._hidden)),
            self._documents,
        )

    def _add(self, operations: Sequence[Operation]) -> None:
        count = len(self._documents)
        end = count + len(operations)
        if end > len(self._vectors):
            # Views keep the array they were given, and the rows they see never change.
            self._vectors = _grown(self._vectors, count, end)
            self._exists = _grown(self._exists, count, end)
        for row, (_, identifier, payload, vector, _) in enumerate(operations, start=count):
            assert payload is not None
            assert vector is not None
            self._vectors[row] = self._stored(vector)
            self._documents.append((identifier, payload))
            self._rows[identifier] = row
        self._exists[count:end] = True

    def _stored(self, vector: bytes) -> npt.NDArray[Any]:
        dtype, dimension = self._vectors.dtype, self._vectors.shape[1]
        if len(vector) == dimension * dtype.itemsize:
            return np.frombuffer(vector, dtype)
        # Written for a generation with another storage type.
        kinds = {dimension * np.dtype(kind).itemsize: kind for kind in (np.int8, np.float16, np.float32)}
        if len(vector) not in kinds:
            raise BundleCorruptError(f"the journal has a vector of {len(vector)} bytes for {dimension} dimensions")
        numbers = np.frombuffer(vector, kinds[len(vector)]).astype(np.float32)
        return encode(numbers[None], dtype).reshape(dimension)


def _grown(array: npt.NDArray[Any], used: int, needed: int) -> npt.NDArray[Any]:
    capacity = max(_FIRST_CAPACITY, needed, 2 * len(array))
    grown = np.zeros((capacity, *array.shape[1:]), array.dtype)
    grown[:used] = array[:used]
    return grown
