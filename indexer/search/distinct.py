"""Duplicate vectors: the shortlist structure holds each distinct vector once, and results expand to all of its rows.

Real corpora contain duplicates. Many equal vectors fill a graph's neighbour lists with one another and disconnect it
from the rest, and each takes a place in the shortlist that another vector could have had.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from indexer.errors import BundleCorruptError
from indexer.kernels import rows as kernels
from indexer.kernels.rows import Rows
from indexer.kernels.rowset import RowSet
from indexer.shortlist.base import Blocks
from indexer.storage.vectors import StoredVectors, block_rows
from models.nesting import Vectors

FILE_NAME = "distinct.safetensors"
_SEED = np.uint64(0xCBF29CE484222325)
_EVERY = np.empty(0, dtype=np.uint8)
"""Bitmap that allows every row."""


class DistinctRows:
    """Maps rows to distinct vectors, numbered 0 to M-1 in the order of their first rows.

    Takes 4 bytes per vector, and 28 for each row of a repeated vector.

    Attributes:
        first: first row of each vector, ascending, shape (M,).
    """

    def __init__(self, first: npt.NDArray[np.int32], starts: Rows, members: Rows) -> None:
        """Store the parts: repeated vector ``g`` has the rows ``members[starts[g]:starts[g + 1]]``, ascending."""
        self.first, self._starts, self._members = first, starts, members
        self._numbers: WeakKeyDictionary[RowSet, RowSet] = WeakKeyDictionary()
        order = np.argsort(members)
        self._repeated = members[order]
        self._group = np.repeat(np.arange(len(starts) - 1), np.diff(starts))[order]

    @classmethod
    def find(cls, vectors: StoredVectors) -> Self:
        """Find the duplicates among stored vectors, byte for byte."""
        count = len(vectors)
        hashes, head = np.empty(count, dtype=np.uint64), np.empty(count, dtype=np.int64)
        data = vectors.stored.view(np.uint8)
        step = block_rows(vectors.dimension)
        for start in range(0, count, step):
            kernels.hash_rows(data[start : start + step], _SEED, hashes[start : start + step])
        kernels.equal_rows(data, hashes, np.argsort(hashes, kind="stable"), head)
        later = np.flatnonzero(head != np.arange(count))
        heads = np.unique(head[later])
        members, owner = np.concatenate([heads, later]), np.concatenate([heads, head[later]])
        starts = np.concatenate([[0], np.cumsum(np.unique(owner, return_counts=True)[1])]).astype(np.int64)
        first = np.delete(np.arange(count, dtype=np.int32), later)
        return cls(first, starts, members[np.lexsort((members, owner))])

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file written by :meth:`save`.

        Raises:
            BundleCorruptError: the file cannot be read.
        """
        try:
            values = load_file(path)
            return cls(values["first"], values["starts"], values["members"])
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise BundleCorruptError(f"cannot read {path}: {error}") from error

    def save(self, path: Path) -> None:
        """Write to a file."""
        save_file({"first": self.first, "starts": self._starts, "members": self._members}, path)

    def __len__(self) -> int:
        return len(self.first)

    @property
    def memory_bytes(self) -> int:
        """Bytes held in memory."""
        parts: list[npt.NDArray[Any]] = [self.first, self._starts, self._members, self._repeated, self._group]
        return sum(part.nbytes for part in parts)

    def rows_of(self, numbers: Rows, allowed: RowSet | None) -> Rows:
        """Return the first allowed row of each vector, or -1 if none is allowed."""
        if allowed is None and not len(self._repeated):
            return numbers
        rows = np.where(numbers >= 0, self.first[numbers], -1).astype(np.int64)
        if allowed is not None:
            kernels.first_allowed(rows, self._repeated, self._group, self._starts, self._members, allowed.bitmap)
        return rows

    def numbers_of(self, allowed: RowSet) -> RowSet:
        """Return the vectors that have at least one allowed row."""
        if not len(self._repeated):
            return allowed
        known = self._numbers.get(allowed)
        if known is None:
            # The same set of rows comes back with every search under the same filter.
            known = self._numbers[allowed] = self._find_numbers(allowed)
        return known

    def _find_numbers(self, allowed: RowSet) -> RowSet:
        heads = allowed.rows.copy()
        place = np.minimum(np.searchsorted(self._repeated, heads), len(self._repeated) - 1)
        repeats = self._repeated[place] == heads
        heads[repeats] = self._members[self._starts[self._group[place[repeats]]]]
        return RowSet(np.unique(np.searchsorted(self.first, heads)), len(self))

    def expand(self, scores: Vectors, rows: Rows, allowed: RowSet | None) -> tuple[Vectors, Rows]:
        """Replace each vector found by all of its allowed rows, and keep the best k.

        Args:
            scores, rows: shape (n, k), best first; the rows are from :meth:`rows_of`.
            allowed: rows that may be found; all if None.

        Returns:
            scores and rows of shape (n, k), by descending score, equal scores by row. As each of the k vectors has at
            least one row, no vector after them can have a row among the best k.
        """
        if not len(self._repeated):
            return scores, rows
        best, best_rows = np.empty_like(scores), np.empty_like(rows)
        bitmap = _EVERY if allowed is None else allowed.bitmap
        groups = (self._repeated, self._group, self._starts, self._members)
        kernels.expand(scores, rows, *groups, bitmap, best, best_rows)
        return best, best_rows


class DistinctPrefixes:
    """Unit prefixes of the distinct vectors, from which a shortlist structure is built."""

    def __init__(self, vectors: StoredVectors, distinct: DistinctRows, dims: int) -> None:
        self._vectors, self._first, self.dims = vectors, distinct.first, dims
        self.rows = len(self._first)

    def blocks(self) -> Blocks:
        """Stream (number of the first vector, prefixes of shape (n, Ds)); each call starts from the beginning."""
        step = block_rows(self._vectors.dimension)
        for start in range(0, self.rows, step):
            yield start, self._vectors.prefixes(self._first[start : start + step], self.dims)

    def sample(self, count: int, seed: int = 0) -> Vectors:
        """Draw ``min(count, rows)`` prefixes without replacement, in row order."""
        drawn = np.random.default_rng(seed).choice(self.rows, min(count, self.rows), replace=False)
        return self._vectors.prefixes(self._first[np.sort(drawn)], self.dims)
