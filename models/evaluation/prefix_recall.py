"""Recall of a search by prefixes against an exact search by full vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.evaluation.neighbours import nearest, score_blocks
from models.nesting import Vectors, truncate

TOP = 10
_TIE = 1e-6


def prefix_recall(
    queries: Vectors, documents: Vectors, sizes: Sequence[int], *, candidates: int = TOP
) -> dict[int, float]:
    """Share of the 10 nearest documents by full vectors that are among the nearest by prefix, by size.

    Documents tied with the tenth by full vectors count as found in its place.

    Args:
        queries: shape (n, D), unit rows.
        documents: shape (N, D), unit rows, N ≥ 10.
        sizes: prefix sizes.
        candidates: number of nearest documents by prefix that count, at least 10: the length of a shortlist.
    """
    dimension = queries.shape[1]
    queries_by_size, documents_by_size = (
        {size: truncate(side, size) for size in (*sizes, dimension)} for side in (queries, documents)
    )
    found = dict.fromkeys(sizes, 0)
    for _, scores in score_blocks(queries_by_size, documents_by_size):
        full = scores[dimension]
        least = np.take_along_axis(full, nearest(full, TOP)[:, -1:], axis=1) - _TIE
        for size in sizes:
            hits = np.take_along_axis(full, nearest(scores[size], candidates), axis=1) >= least
            found[size] += int(np.minimum(hits.sum(axis=1), TOP).sum())
    return {size: count / (TOP * len(queries)) for size, count in found.items()}
