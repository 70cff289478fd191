"""How low the mean recall of a plan may be, by what a sample of queries shows.

A single bound is by betting (:mod:`indexer.interval`): it holds for values of any distribution on [0, 1] and any number
of them, and is tight where nearly all are 1. Whoever chooses among many plans by their bounds would be misled by the
luckiest, though. So the plans are put in an order beforehand, by other queries, and each promises no more than those
before it: to choose a plan that promises enough is then to test hypotheses in a fixed order up to the first failure,
which needs no correction for their number (fixed-sequence testing: Angelopoulos, Bates, Candès, Jordan and Lei, "Learn
then Test", arXiv 2110.01052, section 2.3).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from indexer.calibration.exact_answers import Recalls
from indexer.interval import mean_low


class Sample:
    """The recalls of a plan over queries of several kinds."""

    def __init__(self, by_kind: Sequence[Recalls]) -> None:
        self._by_kind = by_kind

    def __add__(self, other: Sample) -> Sample:
        return Sample([np.concatenate(pair) for pair in zip(self._by_kind, other._by_kind, strict=True)])

    @property
    def counts(self) -> list[int]:
        """How many queries of each kind there are."""
        return [len(recalls) for recalls in self._by_kind]

    @property
    def mean(self) -> float:
        """The mean recall of the hardest kind."""
        return min(float(recalls.mean()) for recalls in self._by_kind)

    def low(self, confidence: float) -> float:
        """Return a mean recall that every kind of queries reaches, with the given probability.

        A plan whose mean recall is lower for some kind passes only if that kind's bound fails, so that the bounds need
        no correction for there being several (an intersection-union test).
        """
        return min(mean_low(recalls, confidence) for recalls in self._by_kind)


def bounds_together(samples: Sequence[Sample], confidence: float) -> list[float]:
    """Return a lower bound on the mean recall of each plan; a choice among them is right with the confidence.

    Args:
        samples: of the plans, in an order fixed without them, the best first.
        confidence: of the choice.
    """
    return np.minimum.accumulate([sample.low(confidence) for sample in samples]).tolist() if samples else []
