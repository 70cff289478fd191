"""Stop rules worth trying: the whole beam as candidates, of which the rerank reads only those that can matter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from indexer.calibration.exact_answers import QueriesWithAnswers
from indexer.plan import SCAN, Plan
from indexer.search.ranker import Ranker
from indexer.search.stopping import fit_gap, needed_gaps
from models.nesting import truncate

_PROBABILITIES = (0.9, 0.97)
_FEWEST = 40
"""The number of queries from which the higher probability has a quantile."""
_PAYS_FROM = 40
"""Below this number of candidates, reading all costs less than choosing; measured by benchmarks/stopping.py."""


def stop_rules(ranker: Ranker, answered: Sequence[QueriesWithAnswers], plan: Plan, threads: int) -> Iterator[Plan]:
    """Return variants of a plan that take the whole beam as candidates and stop at a gap in their scores.

    Args:
        ranker: searches the index.
        answered: the queries that gaps are fitted to.
        plan: a plan that reads all of its candidates.
        threads: number of threads for the batch of queries.
    """
    wide = replace(plan, candidates=min(len(ranker.distinct), max(plan.candidates, plan.effort or 0)))
    queries = np.concatenate([kind.queries.vectors for kind in answered])
    if plan.stop or plan.structure == SCAN or wide.candidates < _PAYS_FROM or len(queries) < _FEWEST:
        return
    found = ranker.candidates(queries, wide, None, threads)
    first = wide.stages[0]
    _, answer = ranker.vectors.rank(truncate(queries, first.dims), found.rows, first.dims, first.keep, threads)
    gaps = needed_gaps(found.scores, found.rows, answer[:, : plan.k])
    for probability in _PROBABILITIES:
        yield replace(wide, stop=fit_gap(gaps, probability, plan.k))
