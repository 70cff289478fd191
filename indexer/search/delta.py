"""What updates have changed since a generation was made: rows that were added, and rows that are gone."""

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
    """The state after some operation. Nothing in it changes, however many follow.

    Added rows are numbered from N, the rows of the generation, in the order of their operations.

    Attributes:
        version: another for every view.
        first: N.
        vectors: of the added rows, those that are gone among them.
        rows: the added rows that are there, ascending.
        hidden: for each row of the generation whether it is gone, shape (N,).
        hidden_count: how many are.
    """

    version: int
    first: int
    vectors: StoredVectors
    rows: Rows
    hidden: Mask
    hidden_count: int
    _documents: Sequence[tuple[str, str]]

    def __len__(self) -> int:
        """How many documents there are."""
        return self.first - self.hidden_count + len(self.rows)

    @property
    def changes(self) -> int:
        """Rows added that are there, and rows of the generation that are gone."""
        return len(self.rows) + self.hidden_count

    @property
    def untouched(self) -> bool:
        """Whether the generation's rows, and no others, are the documents."""
        return not self.hidden_count and not len(self.vectors)

    def visible(self, rows: RowSet | None) -> RowSet:
        """Return those of the generation's rows, of all of them where None, that are not gone."""
        if rows is None:
            return RowSet(np.flatnonzero(~self.hidden), self.first)
        return RowSet(rows.rows[~self.hidden[rows.rows]], self.first) if self.hidden_count else rows

    def nearest(self, queries: Vectors, rows: Rows, dims: int, keep: int, threads: int) -> tuple[Vectors, Rows]:
        """Find added rows by looking at all of them.

        Args:
            queries: shape (n, D).
            rows: which of :attr:`rows` may be found.
            dims: size they are ranked by.
            keep: rows a query.
            threads: used where there is more than one query.

        Returns:
            as :meth:`StoredVectors.rank`; rows are numbered from N.
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
        """Return the ids of all added rows, those that are gone among them."""
        return [identifier for identifier, _ in self._documents[: len(self.vectors)]]


class Delta:
    """Applies operations to a generation. One thread at a time may; the views it gives can be read by any."""

    def __init__(self, documents: Documents, vectors: StoredVectors, model: str) -> None:
        """Start from the generation as it was made.

        Args:
            documents, vectors: the generation's.
            model: content hash of its model; vectors by another cannot be compared with its own and are passed over.
        """
        self._base, self._first, self._model = documents, len(vectors), model
        self._vectors = np.empty((0, vectors.dimension), vectors.stored.dtype)
        self._there = np.zeros(0, bool)
        self._documents: list[tuple[str, str]] = []
        self._rows: dict[str, int] = {}
        self._hidden = np.zeros(self._first, bool)
        self._gone: list[int] = []
        self._version = 0

    def apply(self, operations: Iterable[Operation]) -> None:
        """Take operations, in their order."""
        last = {one.id: one for one in operations if one.vector is None or one.model == self._model}
        # A document that is in the delta has hidden its row of the generation already.
        self._gone.extend(self._base.row_of([one for one in last if one not in self._rows]).values())
        for identifier in last:
            if (row := self._rows.pop(identifier, None)) is not None:
                self._there[row] = False
        self._add(sorted(one for one in last.values() if one.vector is not None))

    def fetch(self, ids: Iterable[str]) -> dict[str, StoredDocument]:
        """Return those of the documents with these ids that were added and are there."""
        rows = {one: self._rows[one] for one in ids if one in self._rows}
        return {one: StoredDocument(one, json.loads(self._documents[row][1])) for one, row in rows.items()}

    def tidy(self) -> bool:
        """Drop the rows that are gone and number the others anew, where most are gone; tell whether they were."""
        if len(self._documents) <= 2 * (len(self._rows) + PAGE):
            return False
        rows = np.flatnonzero(self._there)
        self._vectors, self._there = self._vectors[rows], np.ones(len(rows), bool)
        self._documents = [self._documents[row] for row in rows]
        self._rows = {identifier: row for row, (identifier, _) in enumerate(self._documents)}
        return True

    def view(self) -> DeltaView:
        """Return the state as it is now."""
        if self._gone:
            # A new mask each time: searches go on with the one they have.
            self._hidden = self._hidden.copy()
            self._hidden[self._gone] = True
            self._gone.clear()
        self._version += 1
        count = len(self._documents)
        return DeltaView(
            self._version,
            self._first,
            StoredVectors(self._vectors[:count]),
            np.flatnonzero(self._there[:count]) + self._first,
            self._hidden,
            int(np.count_nonzero(self._hidden)),
            self._documents,
        )

    def _add(self, operations: Sequence[Operation]) -> None:
        count = len(self._documents)
        end = count + len(operations)
        if end > len(self._vectors):
            # Views keep the array they were given; the rows they can see never change.
            self._vectors = _grown(self._vectors, count, end)
            self._there = _grown(self._there, count, end)
        for row, (_, identifier, payload, vector, _) in enumerate(operations, start=count):
            assert payload is not None
            assert vector is not None
            self._vectors[row] = self._stored(vector)
            self._documents.append((identifier, payload))
            self._rows[identifier] = row
        self._there[count:end] = True

    def _stored(self, vector: bytes) -> npt.NDArray[Any]:
        dtype, dimension = self._vectors.dtype, self._vectors.shape[1]
        if len(vector) == dimension * dtype.itemsize:
            return np.frombuffer(vector, dtype)
        # Written for a generation that stores its vectors in another way.
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
