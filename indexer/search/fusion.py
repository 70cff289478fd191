"""Hybrid search: how the answers of vectors and of words become one."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from indexer.kernels.rows import Rows
from models.nesting import Vectors

RANK_CONSTANT: Final = 60
"""Reciprocal rank fusion's k, as its authors set it (Cormack, Clarke and Büttcher 2009)."""


def best_rows(scores: npt.NDArray[np.floating], count: int) -> Rows:
    """Return the places of the highest scores over 0, best first, equal scores by place; no more than ``count``."""
    places = np.flatnonzero(scores > 0)
    if 0 < count < len(places):
        least = np.partition(scores[places], len(places) - count)[len(places) - count]
        places = places[scores[places] >= least]
    return places[np.argsort(-scores[places], kind="stable")][:count]


def fuse_ranks(rows: Rows, dense: Rows, lexical: Rows, weight: float) -> npt.NDArray[np.float64]:
    """Give rows their reciprocal rank scores.

    Args:
        rows: of either list, ascending, shape (n,).
        dense, lexical: the lists, best first.
        weight: of the first.
    """
    scores = np.zeros(len(rows))
    for found, share in ((dense, weight), (lexical, 1 - weight)):
        scores[np.searchsorted(rows, found)] += share / (RANK_CONSTANT + 1 + np.arange(len(found)))
    return scores


def fuse_scores(cosines: Vectors, words: Vectors, weight: float) -> npt.NDArray[np.float64]:
    """Give rows their weighted scores by both of the scores they have; shape (n,) each."""
    least = cosines.min(initial=np.inf)
    span = cosines.max(initial=-np.inf) - least
    most = words.max(initial=0)
    # Where all are equal, each is the best.
    dense = (cosines.astype(np.float64) - least) / span if span > 0 else np.ones(len(cosines))
    lexical = words.astype(np.float64) / most if most > 0 else np.zeros(len(words))
    return weight * dense + (1 - weight) * lexical
