"""Fusion: combining the rankings of vectors and of words."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from indexer.kernels.rows import Rows
from models.nesting import Vectors

RANK_CONSTANT: Final = 60
"""The k of reciprocal rank fusion, as its authors set it (Cormack, Clarke and Büttcher 2009)."""


def best_rows(scores: npt.NDArray[np.floating], count: int) -> Rows:
    """Return the positions of the highest positive scores, best first; equal scores by position.

    Args:
        scores: shape (N,).
        count: most positions to return.

    Returns:
        int64, shape (min(count, number of positive scores),).
    """
    places = np.flatnonzero(scores > 0)
    if 0 < count < len(places):
        least = np.partition(scores[places], len(places) - count)[len(places) - count]
        places = places[scores[places] >= least]
    return places[np.argsort(-scores[places], kind="stable")][:count]


def fuse_ranks(rows: Rows, dense: Rows, lexical: Rows, weight: float) -> npt.NDArray[np.float64]:
    """Score rows by reciprocal rank.

    Args:
        rows: the union of both lists, ascending, shape (n,).
        dense, lexical: the lists, best first.
        weight: weight of ``dense``.

    Returns:
        shape (n,).
    """
    scores = np.zeros(len(rows))
    for found, share in ((dense, weight), (lexical, 1 - weight)):
        scores[np.searchsorted(rows, found)] += share / (RANK_CONSTANT + 1 + np.arange(len(found)))
    return scores


def fuse_scores(cosines: Vectors, words: Vectors, weight: float) -> npt.NDArray[np.float64]:
    """Return the weighted sum of rescaled cosines and BM25 scores; all of shape (n,)."""
    least = cosines.min(initial=np.inf)
    span = cosines.max(initial=-np.inf) - least
    most = words.max(initial=0)
    # If all are equal, each is the best.
    dense = (cosines.astype(np.float64) - least) / span if span > 0 else np.ones(len(cosines))
    lexical = words.astype(np.float64) / most if most > 0 else np.zeros(len(words))
    return weight * dense + (1 - weight) * lexical
