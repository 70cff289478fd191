"""Hybrid search: how the answers of vectors and of words become one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from indexer.kernels.rows import Rows
from models.errors import InvalidOptionError
from models.nesting import Vectors

Fusion = Literal["rrf", "weighted"]

RANK_CONSTANT: Final = 60
"""Reciprocal rank fusion's k, as its authors set it (Cormack, Clarke and Büttcher 2009)."""


@dataclass(frozen=True, slots=True)
class HybridOptions:
    """Search by vectors and by words at once.

    Attributes:
        fusion: ``rrf`` adds 1 / (60 + rank) over the two lists of candidates (reciprocal rank fusion); ``weighted``
            adds the scores of each candidate of either list: its cosine, moved and scaled so that the candidates' least
            and best become 0 and 1, and its BM25 score divided by the best one.
        weight: of the vectors' part, 0 to 1; the words' has the rest.
        candidates: length of each list; k where that is more.
    """

    fusion: Fusion = "rrf"
    weight: float = 0.5
    candidates: int = 100

    def __post_init__(self) -> None:
        if self.fusion not in get_args(Fusion):
            raise InvalidOptionError("hybrid", f"fusion {self.fusion!r}: allowed are {', '.join(get_args(Fusion))}")
        if not 0 <= self.weight <= 1:
            raise InvalidOptionError("hybrid", f"weight {self.weight} of the vectors' part: give 0 to 1")
        if self.candidates < 1:
            raise InvalidOptionError("hybrid", f"{self.candidates} candidates: give at least 1")


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
