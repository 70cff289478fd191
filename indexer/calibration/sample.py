"""A structure tried on some of an index's vectors, and what that predicts for all of them."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from indexer.calibration.choose import DEFAULT_RECALL
from indexer.calibration.exact_answers import Examined
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
"""For the plans of a structure once it is built: what one or two plans say of it would be misleading."""
_USUAL_POWER = 0.5
"""Of the rows, by which the time of structures that do not look at all of them grows: measured, between 0.3 and 0.9."""
_MARGIN = 0.2
"""Share of the recall that may be missed that is kept back: a bound lies under what was measured."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Some of the distinct vectors, and queries with their exact answers among them."""

    vectors: StoredVectors
    distinct: DistinctRows
    examined: list[Examined]

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
            QuerySet(one.kind, one.vectors, _places(rows, one.left_out)) for one in sampled.draw(_QUERIES) if len(one)
        ]
        return cls(own, alone, [Examined.of(queries, own, _K, cores()) for queries in sets])

    def __len__(self) -> int:
        return len(self.vectors)

    def trials(self, facts: ShortlistFacts, rows: int, until: float) -> tuple[Shortlist[Any], list[Trial]]:
        """Build a structure and try its plans.

        Args:
            facts: the structure.
            rows: distinct vectors of the whole index.
            until: when to stop, by ``time.monotonic()``, once it has been searched for a moment.

        Returns:
            the structure, and those of its plans that no other beats.

        Raises:
            InvalidOptionError: its options do not fit.
        """
        structure = shortlist_type(facts.kind)
        prefixes = DistinctPrefixes(self.vectors, self.distinct, facts.dims)
        shortlist = structure.build(prefixes, structure.options_type(**facts.options))
        meter = Meter(Ranker(self.vectors, shortlist, self.distinct), cores())

        def attempt(plan: Plan) -> Trial:
            trial = meter.trial(plan, self.examined)
            # What is as slow as a scan of the sample is not yet slow where there are more rows.
            return replace(trial, milliseconds=trial.milliseconds * rows / len(self)) if plan.single else trial

        grid = Grid(shortlist, facts.kind, facts.dims, (self.vectors.dimension,), len(self), _K)
        return shortlist, grid.narrowed(attempt, _PLANS, max(until, time.monotonic() + _LEAST_SECONDS))


@dataclass(frozen=True, slots=True, eq=False)
class Tried:
    """A structure tried on a sample.

    Attributes:
        structure: what was built.
        memory: bytes it holds.
        trials: those of its plans that no other beats.
        growth: how many times more rows the index has.
        power: of the growth by which time grows.
        seconds: that trying it took.
    """

    structure: ShortlistFacts
    memory: int
    trials: list[Trial]
    growth: float
    power: float
    seconds: float

    @classmethod
    def on(cls, sample: Sample, structure: ShortlistFacts, rows: int, until: float) -> Tried:
        """Try a structure; time is taken to grow as it usually does. Arguments and errors as :meth:`Sample.trials`."""
        started = time.monotonic()
        shortlist, trials = sample.trials(structure, rows, until)
        power = 1.0 if shortlist.exact else _USUAL_POWER
        seconds = time.monotonic() - started
        return cls(structure, shortlist.memory_bytes, trials, rows / len(sample), power, seconds)

    def after(self, smaller: Tried, target: Target) -> Tried:
        """Return this, with time taken to grow as it did from a smaller sample on."""
        wanted = _wanted(target)
        before, now = _milliseconds(smaller.trials, wanted), _milliseconds(self.trials, wanted)
        step = smaller.growth / self.growth
        if shortlist_type(self.structure.kind).exact or step <= 1 or not before or not now:
            return self
        return replace(self, power=min(1.0, max(0.0, math.log(now / before) / math.log(step))))

    def facts(self, target: Target, further_bytes: int) -> ConsideredFacts:
        """Predict for the whole index.

        Args:
            target: what it is to reach.
            further_bytes: held beside the structure.
        """
        times = self.growth**self.power
        in_time = [one for one in self.trials if one.milliseconds * times <= (target.milliseconds or math.inf)]
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
    """Return the time of the fastest plan of that recall, of the best one where none has it; 0 where there is none."""
    holding = [trial.milliseconds for trial in trials if trial.recall >= recall]
    return min(holding, default=trials[-1].milliseconds if trials else 0.0)


def _places(rows: Rows, wanted: Rows) -> Rows:
    """Return where an ascending list holds rows; -1 where it does not."""
    places = np.minimum(np.searchsorted(rows, wanted), len(rows) - 1)
    return np.where(rows[places] == wanted, places, -1)
