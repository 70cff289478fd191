"""Trials of a structure on a sample of an index's vectors, extrapolated to all of them."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from indexer.calibration.choose import DEFAULT_RECALL
from indexer.calibration.exact_answers import QueriesWithAnswers
from indexer.calibration.grid import Grid
from indexer.calibration.measure import Meter, Trial
from indexer.calibration.queries import QuerySet, SampledQueries
from indexer.calibration.target import Target
from indexer.kernels.rows import Rows
from indexer.kernels.threads import cores
from indexer.plan import Plan
from indexer.search.distinct import DistinctPrefixes, DistinctRows
from indexer.search.ranker import Ranker
from indexer.shortlist import Shortlist, shortlist_type
from indexer.storage.manifest import ConsideredFacts, ShortlistFacts
from indexer.storage.vectors import StoredVectors

_K = 10
_QUERIES = 48
_PLANS = 24
_LEAST_SECONDS = 0.6
"""Least time for the plans of a structure once it is built; one or two plans would be misleading."""
_USUAL_POWER = 0.5
"""Power of N by which the latency of structures that are not exact grows; measured between 0.3 and 0.9."""
_MARGIN = 0.2
"""Share of the allowed misses held in reserve, because a lower bound lies below the measured recall."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A sample of the distinct vectors, and queries with their exact answers among them.

    Attributes:
        vectors: the sample, shape (count, D).
        distinct: trivial, because no vector repeats.
        answered: queries of each kind. Rows to exclude are numbered in the sample; -1 if not in it.
    """

    vectors: StoredVectors
    distinct: DistinctRows
    answered: list[QueriesWithAnswers]

    @classmethod
    def draw(cls, vectors: StoredVectors, distinct: DistinctRows, sampled: SampledQueries, count: int) -> Sample:
        """Draw at most ``count`` of the distinct vectors."""
        count = min(count, len(distinct))
        numbers = np.sort(np.random.default_rng(0).choice(len(distinct), count, replace=False))
        rows = distinct.first[numbers].astype(np.int64)
        own = StoredVectors(vectors.stored[rows])
        none: Rows = np.empty(0, dtype=np.int64)
        alone = DistinctRows(np.arange(count, dtype=np.int32), np.zeros(1, dtype=np.int64), none)
        sets = [
            QuerySet(kind.kind, kind.vectors, _places(rows, kind.excluded))
            for kind in sampled.draw(_QUERIES)
            if len(kind)
        ]
        return cls(own, alone, [QueriesWithAnswers.of(queries, own, _K, cores()) for queries in sets])

    def __len__(self) -> int:
        return len(self.vectors)

    def trials(self, facts: ShortlistFacts, rows: int, until: float) -> tuple[Shortlist[Any], list[Trial]]:
        """Build a structure and try its plans.

        Args:
            facts: the structure.
            rows: number of distinct vectors in the whole index.
            until: deadline by ``time.monotonic()``, after a minimum time for the plans.

        Returns:
            the structure and the Pareto front of its plans.

        Raises:
            InvalidOptionError: the structure's options do not fit.
        """
        structure = shortlist_type(facts.kind)
        prefixes = DistinctPrefixes(self.vectors, self.distinct, facts.dims)
        shortlist = structure.build(prefixes, structure.options_type(**facts.options))
        meter = Meter(Ranker(self.vectors, shortlist, self.distinct), cores())

        def attempt(plan: Plan) -> Trial:
            trial = meter.trial(plan, self.answered)
            # A scan of the whole index takes longer than one of the sample.
            return replace(trial, milliseconds=trial.milliseconds * rows / len(self)) if plan.single else trial

        grid = Grid(shortlist, facts.kind, facts.dims, (self.vectors.dimension,), len(self), _K)
        return shortlist, grid.narrowed(attempt, _PLANS, max(until, time.monotonic() + _LEAST_SECONDS))


@dataclass(frozen=True, slots=True, eq=False)
class TrialResult:
    """The trial of a structure on a sample.

    Attributes:
        structure: the structure.
        memory: bytes it holds.
        trials: the Pareto front of its plans.
        growth: rows of the index divided by rows of the sample.
        power: latency grows as ``growth ** power``.
        seconds: duration of the trial.
    """

    structure: ShortlistFacts
    memory: int
    trials: list[Trial]
    growth: float
    power: float
    seconds: float

    @classmethod
    def on(cls, sample: Sample, structure: ShortlistFacts, rows: int, until: float) -> TrialResult:
        """Try a structure, assuming the usual growth of latency. Arguments and errors as for :meth:`Sample.trials`."""
        started = time.monotonic()
        shortlist, trials = sample.trials(structure, rows, until)
        power = 1.0 if shortlist.exact else _USUAL_POWER
        seconds = time.monotonic() - started
        return cls(structure, shortlist.memory_bytes, trials, rows / len(sample), power, seconds)

    def after(self, smaller: TrialResult, target: Target) -> TrialResult:
        """Return this result with the growth of latency measured against a smaller sample."""
        wanted = _wanted(target)
        before, now = _milliseconds(smaller.trials, wanted), _milliseconds(self.trials, wanted)
        step = smaller.growth / self.growth
        if shortlist_type(self.structure.kind).exact or step <= 1 or not before or not now:
            return self
        return replace(self, power=min(1.0, max(0.0, math.log(now / before) / math.log(step))))

    def facts(self, target: Target, further_bytes: int) -> ConsideredFacts:
        """Predict memory, recall and latency for the whole index.

        Args:
            target: the target of the build.
            further_bytes: bytes held in addition to the structure.
        """
        times = self.growth**self.power
        in_time = [trial for trial in self.trials if trial.milliseconds * times <= (target.milliseconds or math.inf)]
        recall = max((trial.recall for trial in in_time), default=0.0)
        wanted = recall if target.time_alone else _wanted(target)
        holding = [trial.milliseconds * times for trial in in_time if trial.recall >= wanted]
        return ConsideredFacts(
            kind=self.structure.kind,
            dims=self.structure.dims,
            options=self.structure.options,
            memory=round(self.memory * self.growth) + further_bytes,
            recall=recall,
            milliseconds=round(min(holding), 4) if holding else None,
        )


def _wanted(target: Target) -> float:
    recall = DEFAULT_RECALL if target.recall is None else target.recall
    return recall + _MARGIN * (1 - recall)


def _milliseconds(trials: Sequence[Trial], recall: float) -> float:
    """Return the latency of the fastest plan with that recall, else of the best plan; 0 without plans."""
    holding = [trial.milliseconds for trial in trials if trial.recall >= recall]
    return min(holding, default=trials[-1].milliseconds if trials else 0.0)


def _places(rows: Rows, wanted: Rows) -> Rows:
    """Return the positions of rows in an ascending list; -1 for rows that are not in it."""
    places = np.minimum(np.searchsorted(rows, wanted), len(rows) - 1)
    return np.where(rows[places] == wanted, places, -1)
