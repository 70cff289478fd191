"""Stop rules worth trying: the whole beam as candidates, of which a rerank reads those that can matter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from indexer.calibration.exact_answers import Examined
from indexer.plan import SCAN, Plan
from indexer.search.ranker import Ranker
from indexer.search.stopping import fit_gap, needed_gaps
from models.nesting import truncate

_PROBABILITIES = (0.9, 0.97)
_FEWEST = 40
"""Queries from which the higher probability has a quantile."""
_PAYS_FROM = 40
"""Candidates under which reading all of them costs less than choosing which: measured, benchmarks/stopping.py."""


def stopping(ranker: Ranker, examined: Sequence[Examined], plan: Plan, threads: int) -> Iterator[Plan]:
    """Return plans like this one that take all the structure has in sight as candidates and stop by a gap.

    Args:
        ranker: of the index.
        examined: the queries that gaps are fitted to.
        plan: one that reads all of its candidates.
        threads: used for the queries together.
    """
    wide = replace(plan, candidates=min(len(ranker.distinct), max(plan.candidates, plan.effort or 0)))
    queries = np.concatenate([one.queries.vectors for one in examined])
    if plan.stop or plan.structure == SCAN or wide.candidates < _PAYS_FROM or len(queries) < _FEWEST:
        return
    found = ranker.candidates(queries, wide, None, threads)
    first = wide.stages[0]
    _, answer = ranker.vectors.rank(truncate(queries, first.dims), found.rows, first.dims, first.keep, threads)
    gaps = needed_gaps(found.scores, found.rows, answer[:, : plan.k])
    for probability in _PROBABILITIES:
        yield replace(wide, stop=fit_gap(gaps, probability, plan.k))
