"""Exact answers to queries, and the recall of other answers."""

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
"""Rows whose score is at most this far below the k-th count as found, because equal texts are interchangeable."""
_TOGETHER = 64


@dataclass(frozen=True, slots=True, eq=False)
class QueriesWithAnswers:
    """Queries of one kind with their exact answers.

    Attributes:
        queries: the queries.
        exact: scores at D of the nearest rows that are not excluded, descending, shape (n, largest k).
    """

    queries: QuerySet
    exact: Vectors

    @classmethod
    def of(cls, queries: QuerySet, vectors: StoredVectors, k: int, threads: int) -> QueriesWithAnswers:
        """Find the exact answers by comparing every row."""
        keep = min(len(vectors), k + MOST_COPIES)
        scores, rows = vectors.nearest(queries.vectors, vectors.dimension, keep, threads)
        return cls(queries, -np.sort(-_visible(scores, rows, queries.excluded), axis=1)[:, :k])

    def __len__(self) -> int:
        return len(self.queries)

    def part(self, chosen: slice | Rows) -> QueriesWithAnswers:
        """Return a subset of the queries."""
        kind, vectors, excluded = self.queries.kind, self.queries.vectors, self.queries.excluded
        return QueriesWithAnswers(QuerySet(kind, vectors[chosen], excluded[chosen]), self.exact[chosen])

    def joined(self, other: QueriesWithAnswers) -> QueriesWithAnswers:
        """Return these queries and more of the same kind."""
        mine, more = self.queries, other.queries
        vectors = np.concatenate([mine.vectors, more.vectors])
        excluded = np.concatenate([mine.excluded, more.excluded])
        return QueriesWithAnswers(QuerySet(mine.kind, vectors, excluded), np.concatenate([self.exact, other.exact]))

    def recalls(self, scores: Vectors, rows: Rows, k: int) -> Recalls:
        """Return recall@k of each query.

        Args:
            scores, rows: answers at D with at least ``k + MOST_COPIES`` places, or with all rows.
            k: at most the length of the exact answers.
        """
        enough = self.exact[:, k - 1, None] - _TIE
        found = (_visible(scores, rows, self.queries.excluded) >= enough).sum(axis=1, dtype=np.float64)
        recalls: Recalls = np.minimum(found, k) / k
        return recalls


def answer_exactly(
    source: QuerySource, vectors: StoredVectors, k: int, most: int, fewest: int, until: float, threads: int
) -> list[QueriesWithAnswers]:
    """Find exact answers to as many queries as time allows.

    Args:
        source: the source of queries.
        vectors: the vectors of the index.
        k: length of the answers.
        most, fewest: limits on the queries of each kind; ``fewest`` are answered however long that takes.
        until: deadline by ``time.monotonic()``.
        threads: number of threads.

    Returns:
        one item for each kind.
    """
    answered: dict[str, QueriesWithAnswers] = {}
    drawn = 0
    while drawn < most and (drawn < fewest or time.monotonic() < until):
        count = min(_TOGETHER, most - drawn)
        sets = [queries for queries in source.draw(count) if len(queries)]
        if not sets:
            break
        for queries in sets:
            found = QueriesWithAnswers.of(queries, vectors, k, threads)
            known = answered.get(queries.kind)
            answered[queries.kind] = known.joined(found) if known else found
        drawn += count
    return list(answered.values())


def split_queries(
    answered: Sequence[QueriesWithAnswers], first: int
) -> tuple[list[QueriesWithAnswers], list[QueriesWithAnswers]]:
    """Split the queries of each kind into a first part, of at most ``first`` and a quarter of them, and the rest."""
    cuts = [min(first, -(-len(queries) // 4)) for queries in answered]
    pairs = list(zip(answered, cuts, strict=True))
    return [q.part(slice(0, cut)) for q, cut in pairs], [q.part(slice(cut, None)) for q, cut in pairs]


def _visible(scores: Vectors, rows: Rows, excluded: Rows) -> Vectors:
    """Return the scores with -inf for excluded rows and unused places."""
    hidden = (rows[:, :, None] == excluded[:, None, :]).any(axis=2) | (rows < 0)
    return np.where(hidden, np.float32(-np.inf), scores)
