"""Exact answers, and how much of one a plan finds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from indexer.calibration.queries import MOST_COPIES, QuerySet, QuerySource
from indexer.kernels.rows import Rows
from indexer.storage.vectors import StoredVectors
from models.nesting import Vectors

Recalls = npt.NDArray[np.float64]

_TIE = 1e-6
"""Rows that score this much under the k-th count as found: equal texts are interchangeable."""
_TOGETHER = 64


@dataclass(frozen=True, slots=True, eq=False)
class Examined:
    """Queries of one kind with their exact answers.

    Attributes:
        queries: the queries.
        exact: scores of the nearest rows at D that may be found, falling, shape (n, k of the largest k).
    """

    queries: QuerySet
    exact: Vectors

    @classmethod
    def of(cls, queries: QuerySet, vectors: StoredVectors, k: int, threads: int) -> Examined:
        """Look at every row."""
        keep = min(len(vectors), k + MOST_COPIES)
        scores, rows = vectors.nearest(queries.vectors, vectors.dimension, keep, threads)
        return cls(queries, -np.sort(-_visible(scores, rows, queries.left_out), axis=1)[:, :k])

    def __len__(self) -> int:
        return len(self.queries)

    def part(self, chosen: slice | Rows) -> Examined:
        """Return some of the queries."""
        kind, vectors, left_out = self.queries.kind, self.queries.vectors, self.queries.left_out
        return Examined(QuerySet(kind, vectors[chosen], left_out[chosen]), self.exact[chosen])

    def joined(self, other: Examined) -> Examined:
        """Return these queries and others of the kind."""
        mine, more = self.queries, other.queries
        vectors = np.concatenate([mine.vectors, more.vectors])
        left_out = np.concatenate([mine.left_out, more.left_out])
        return Examined(QuerySet(mine.kind, vectors, left_out), np.concatenate([self.exact, other.exact]))

    def recalls(self, scores: Vectors, rows: Rows, k: int) -> Recalls:
        """Return recall@k of each query.

        Args:
            scores, rows: an answer, at D, of at least ``k + MOST_COPIES`` places, or of all rows.
            k: at most what the exact answers hold.
        """
        enough = self.exact[:, k - 1, None] - _TIE
        found = (_visible(scores, rows, self.queries.left_out) >= enough).sum(axis=1, dtype=np.float64)
        recalls: Recalls = np.minimum(found, k) / k
        return recalls


def examine(
    source: QuerySource, vectors: StoredVectors, k: int, most: int, fewest: int, until: float, threads: int
) -> list[Examined]:
    """Find exact answers to as many queries as time allows.

    Args:
        source: gives the queries.
        vectors: of the index.
        k: length of the answers.
        most: queries of each kind; ``fewest`` are examined however long they take.
        until: when to stop, by ``time.monotonic()``.
        threads: used for it.

    Returns:
        one for each kind.
    """
    examined: dict[str, Examined] = {}
    drawn = 0
    while drawn < most and (drawn < fewest or time.monotonic() < until):
        count = min(_TOGETHER, most - drawn)
        sets = [queries for queries in source.draw(count) if len(queries)]
        if not sets:
            break
        for queries in sets:
            found = Examined.of(queries, vectors, k, threads)
            known = examined.get(queries.kind)
            examined[queries.kind] = known.joined(found) if known else found
        drawn += count
    return list(examined.values())


def split(examined: Sequence[Examined], first: int) -> tuple[list[Examined], list[Examined]]:
    """Divide each kind's queries: up to ``first``, but no more than a quarter, and the rest."""
    cuts = [min(first, -(-len(queries) // 4)) for queries in examined]
    pairs = list(zip(examined, cuts, strict=True))
    return [q.part(slice(0, cut)) for q, cut in pairs], [q.part(slice(cut, None)) for q, cut in pairs]


def _visible(scores: Vectors, rows: Rows, left_out: Rows) -> Vectors:
    """Return the scores with those of rows that must not be found, and of no row, put at the end."""
    hidden = (rows[:, :, None] == left_out[:, None, :]).any(axis=2) | (rows < 0)
    return np.where(hidden, np.float32(-np.inf), scores)
