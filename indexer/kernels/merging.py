"""Merging the results of a generation and its updates; compiled, because a search itself takes little longer."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from indexer.kernels.rows import Rows
from models.compiled import compiled
from models.nesting import Vectors


def without(scores: Vectors, rows: Rows, hidden: npt.NDArray[np.bool_], keep: int) -> tuple[Vectors, Rows, Rows]:
    """Drop hidden rows.

    Args:
        scores, rows: results of shape (n, m), best first; -1 is padding.
        hidden: mask of the hidden rows, shape (N,).
        keep: number of results, k.

    Returns:
        scores and rows of shape (n, k), padded with -inf and -1; and the number of results, shape (n,).
    """
    best, best_rows = _empty(len(rows), keep)
    counts = np.empty(len(rows), dtype=np.int64)
    _without(scores, rows, hidden, best, best_rows, counts)
    return best, best_rows, counts


def merged(base: tuple[Vectors, Rows], added: tuple[Vectors, Rows]) -> tuple[Vectors, Rows]:
    """Merge two results of shape (n, k), each best first; on equal scores ``base`` comes first."""
    best, best_rows = _empty(*base[1].shape)
    _merge(*base, *added, best, best_rows)
    return best, best_rows


def _empty(queries: int, keep: int) -> tuple[Vectors, Rows]:
    return np.empty((queries, keep), dtype=np.float32), np.empty((queries, keep), dtype=np.int64)


@compiled
def _without(
    scores: Vectors, rows: Rows, hidden: npt.NDArray[np.bool_], best: Vectors, best_rows: Rows, counts: Rows
) -> None:
    best[:] = -np.inf
    best_rows[:] = -1
    for i in range(rows.shape[0]):
        count = 0
        for j in range(rows.shape[1]):
            row = rows[i, j]
            if count < best.shape[1] and row >= 0 and not hidden[row]:
                best[i, count] = scores[i, j]
                best_rows[i, count] = row
                count += 1
        counts[i] = count


@compiled
def _merge(scores: Vectors, rows: Rows, added_scores: Vectors, added_rows: Rows, best: Vectors, best_rows: Rows) -> Any:
    for i in range(best.shape[0]):
        # Padding scores -inf and comes last, so that k steps never pass the end of either list.
        taken = 0
        taken_added = 0
        for j in range(best.shape[1]):
            if rows[i, taken] < 0 or added_scores[i, taken_added] > scores[i, taken]:
                best[i, j] = added_scores[i, taken_added]
                best_rows[i, j] = added_rows[i, taken_added]
                taken_added += 1
            else:
                best[i, j] = scores[i, taken]
                best_rows[i, j] = rows[i, taken]
                taken += 1
