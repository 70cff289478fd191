"""Lower confidence bounds on the mean recall of plans, from a sample of queries.

A single bound is a betting bound (:mod:`indexer.interval`): it holds for any distribution on [0, 1] and any sample
size, and is tight if nearly all values are 1. A choice among many plans by their bounds would favour the luckiest one,
though. The plans are therefore ordered beforehand, by other queries, and the bound of each is capped by those before
it. Choosing a plan with a sufficient bound then amounts to testing hypotheses in a fixed order up to the first failure,
which needs no correction for multiple testing (fixed-sequence testing: Angelopoulos, Bates, Candès, Jordan and Lei,
"Learn then Test", arXiv 2110.01052, section 2.3).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from indexer.calibration.exact_answers import Recalls
from indexer.interval import mean_low


class PlanRecalls:
    """The recalls of one plan over queries of several kinds."""

    def __init__(self, by_kind: Sequence[Recalls]) -> None:
        self._by_kind = by_kind

    def __add__(self, other: PlanRecalls) -> PlanRecalls:
        return PlanRecalls([np.concatenate(pair) for pair in zip(self._by_kind, other._by_kind, strict=True)])

    @property
    def counts(self) -> list[int]:
        """Number of queries of each kind."""
        return [len(recalls) for recalls in self._by_kind]

    @property
    def mean(self) -> float:
        """Mean recall of the hardest kind."""
        return min(float(recalls.mean()) for recalls in self._by_kind)

    def low(self, confidence: float) -> float:
        """Return a lower bound on the mean recall of every kind of queries, with the given confidence.

        If the mean recall of one kind is lower, that kind's own bound has failed, so the minimum of several bounds
        needs no correction for their number (an intersection-union test).
        """
        return min(mean_low(recalls, confidence) for recalls in self._by_kind)


def bounds_together(samples: Sequence[PlanRecalls], confidence: float) -> list[float]:
    """Return a lower bound on the mean recall of each plan that holds for whichever plan is chosen.

    Args:
        samples: recalls of the plans, best plan first, in an order that does not depend on them.
        confidence: probability that the bound of the chosen plan holds.
    """
    return np.minimum.accumulate([sample.low(confidence) for sample in samples]).tolist() if samples else []
