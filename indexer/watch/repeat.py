"""The recall of a live query, by an exact repetition of its search."""

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
"""Scores at most this far below the last one of the exact answer count as ties, and so as found."""

_SLACK = 64
"""Rows after the exact answer that are checked for ties with its end if live scores are of another prefix size."""


class SampledQuery(NamedTuple):
    """A live query and its answer.

    Attributes:
        query: shape (1, D).
        plan: the plan of the search.
        scores, rows: the answer, shape (1, k).
        selection: the rows that match the filter; None without one.
        view: the state of the index that was searched; it is immutable, so that the repetition is fair.
    """

    query: Vectors
    plan: Plan
    scores: Vectors
    rows: Rows
    selection: Selection | None
    view: View

    @property
    def exact(self) -> bool:
        """Whether the search was exact, so that a repetition would tell nothing."""
        return self.plan.single and self.plan.dims == self.query.shape[1]

    @property
    def generation(self) -> str:
        """Name of the generation searched."""
        return self.view.opened.path.name

    @property
    def selected(self) -> int:
        """Number of row numbers held by :attr:`selection`."""
        if self.selection is None:
            return 0
        return len(self.selection.added) + (0 if self.selection.base is None else len(self.selection.base))

    def recall(self) -> float | None:
        """Scan every row on the calling thread and return the share of the exact answer in the live one.

        A row that ties with the last one of the exact answer counts as found.

        Returns:
            0 to 1; None if there is nothing to find.
        """
        dimension = self.query.shape[1]
        # Scores of another prefix size are not comparable; their rows are looked up instead, slightly beyond k.
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
