"""A live query, repeated exactly: how much of the exact answer the live one holds."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from indexer.kernels.rows import Rows
from indexer.plan import SCAN, FunnelStage, Plan
from indexer.search.filter_cache import Selection
from indexer.search.results import StageClock
from indexer.search.view import View
from models.nesting import Vectors

TOLERANCE: Final = 1e-6
"""A score that is lower than the exact answer's last one by no more than this counts as found: it ties."""

_SLACK = 64
"""Rows past the exact answer that are looked at for ties with its end, where live scores are of another size."""


class Answered(NamedTuple):
    """A live query and its answer.

    Attributes:
        query: shape (1, D).
        plan: how it was answered.
        scores, rows: the answer, shape (1, k).
        selection: what a filter left to be found; all where None.
        view: what was searched. It does not change, so that the repetition is fair.
    """

    query: Vectors
    plan: Plan
    scores: Vectors
    rows: Rows
    selection: Selection | None
    view: View

    @property
    def exact(self) -> bool:
        """Whether the answer is the exact one, so that nothing can be learnt from a repetition."""
        return self.plan.single and self.plan.dims == self.query.shape[1]

    @property
    def generation(self) -> str:
        """The generation searched."""
        return self.view.opened.path.name

    @property
    def selected(self) -> int:
        """Row numbers held by :attr:`selection`."""
        if self.selection is None:
            return 0
        return len(self.selection.added) + (0 if self.selection.base is None else len(self.selection.base))

    def recall(self) -> float | None:
        """Look at every row, on the calling thread, and return the share of the exact answer that the live one holds.

        A row that ties with the exact answer's last one is as good as that.

        Returns:
            0 to 1; None where there is nothing to find.
        """
        dimension = self.query.shape[1]
        # Scores of another size are not compared: their rows are looked for instead, a little further down than k.
        comparable = self.plan.rerank_dims == dimension
        keep = self.plan.k if comparable else self.plan.k + _SLACK
        plan = Plan(keep, dimension, keep, None, (FunnelStage(dimension, keep),), SCAN)
        scores, rows = self.view.rank(self.query, plan, self.selection, StageClock(), threads=1)
        count = int(np.count_nonzero(scores[0, : self.plan.k] > -np.inf))
        if not count:
            return None
        worst = scores[0, count - 1] - TOLERANCE
        found = self.scores[0] >= worst if comparable else np.isin(self.rows[0], rows[0][scores[0] >= worst])
        return min(1.0, int(np.count_nonzero(found)) / count)
