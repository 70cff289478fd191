"""Exact search by matrix products, with a deterministic order: equal scores are ordered by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from models.compiled import compiled
from models.nesting import Vectors

Rows = npt.NDArray[np.int64]


def nearest(scores: Vectors, keep: int) -> Rows:
    """Return the rows of each query's highest scores, best first; equal scores are ordered by row.

    Args:
        scores: shape (n, N), finite.
        keep: number of rows to return, capped at N.

    Returns:
        Shape (n, min(keep, N)).
    """
    rows = np.empty((scores.shape[0], min(keep, scores.shape[1])), np.int64)
    if rows.shape[1]:
        _select(scores, rows)
    return rows


def rerank(scores: Vectors, candidates: Rows, keep: int) -> Rows:
    """Reorder candidates by other scores; equal scores are ordered by row, whatever the candidates' order.

    Args:
        scores: shape (n, N).
        candidates: rows, shape (n, K); not modified.
        keep: number of best candidates to return, at most K.
    """
    by_row = np.sort(candidates, axis=1)
    order = np.argsort(-np.take_along_axis(scores, by_row, axis=1), axis=1, kind="stable")
    return np.take_along_axis(by_row, order[:, :keep], axis=1)


def score_blocks(
    queries: Mapping[int, Vectors], database: Mapping[int, Vectors], *, budget: int = 256 << 20
) -> Iterator[tuple[int, dict[int, Vectors]]]:
    """Yield (number of the first query, scores by size) for consecutive blocks of queries.

    Args:
        queries: unit prefixes by size, each of shape (n, size).
        database: unit prefixes by the same sizes, each of shape (N, size).
        budget: most bytes that the scores of a block may take.
    """
    rows = len(next(iter(database.values())))
    count = len(next(iter(queries.values())))
    height = min(512, max(1, budget // (4 * rows * len(database))))
    for start in range(0, count, height):
        yield start, {size: queries[size][start : start + height] @ prefix.T for size, prefix in database.items()}


@compiled
def _select(scores: Vectors, rows: Rows) -> None:
    keep = rows.shape[1]
    best = np.empty(keep, np.float32)
    for i in range(scores.shape[0]):
        held = 0
        for j in range(scores.shape[1]):
            score = scores[i, j]
            if held == keep and score <= best[keep - 1]:
                continue
            if held < keep:
                held += 1
            # Rows arrive in order, so a row goes behind those with an equal score.
            place = held - 1
            while place > 0 and score > best[place - 1]:
                best[place] = best[place - 1]
                rows[i, place] = rows[i, place - 1]
                place -= 1
            best[place] = score
            rows[i, place] = j
