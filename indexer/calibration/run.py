"""Calibration: measuring the ways to search an index, and keeping those worth choosing, with what each one promises.

The queries are split. With some of them the plans are found that no other beats, and put in an order; with the rest
each one's recall is bounded from below; see :mod:`indexer.calibration.bound`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from indexer.calibration.bound import bounds_together
from indexer.calibration.exact_answers import Examined, examine, split
from indexer.calibration.grid import Grid
from indexer.calibration.measure import NEVER, Meter, Trial, alternating
from indexer.calibration.options import CalibrationOptions
from indexer.calibration.pareto import front
from indexer.calibration.queries import GivenQueries, QuerySource, SampledQueries
from indexer.calibration.second_looks import second_looks
from indexer.calibration.stop_rules import stopping
from indexer.calibration.target import missed
from indexer.kernels.threads import cores
from indexer.plan import Plan
from indexer.search.generation import OpenedGeneration
from indexer.storage.manifest import CalibratedPlan, CalibrationFacts, Manifest
from models.encoders.base import Encoder
from models.nesting import Vectors

Report = Callable[[str, dict[str, Any]], None]
"""Told ``calibrate`` with the plans measured so far as rows, and a guess of their total."""

_AT_ONCE = 1 << 19
"""Numbers that a scan reads in less time than a call of anything takes."""
_QUERIES = 1000
_FEWEST_QUERIES = 100
_TO_CHOOSE = 200
"""Queries of each kind that the plans are chosen with."""
_TO_SPLIT = 400
"""Given queries from which some can be spared for choosing; where there are fewer, stand-ins do that."""
_FINALISTS = 20
_TIMED = (10, 60)
_GUESS = 60
"""Plans that are tried, about."""
_EXAMINE_UNTIL, _CHOOSE_UNTIL, _BOUND_UNTIL = 0.3, 0.55, 0.93
"""Shares of the time after which the steps end."""


def calibrate(
    opened: OpenedGeneration,
    encoder: Encoder | None,
    given: Vectors | None = None,
    options: CalibrationOptions | None = None,
    report: Report = lambda event, facts: None,
) -> CalibrationFacts:
    """Measure the plans of a generation.

    Args:
        opened: the generation.
        encoder: its model, for queries made of words; without it they are made of documents' vectors.
        given: query vectors such as will be asked, shape (n, D); stand-ins are sampled where None.
        options: see :class:`CalibrationOptions`.
        report: told about progress.
    """
    return Calibration(opened, encoder, given, options or CalibrationOptions(), report).run()


def calibrated(opened: OpenedGeneration, facts: CalibrationFacts) -> Manifest:
    """Return the generation's manifest with what calibration measured, and what its target missed by that."""
    manifest, target = opened.manifest, opened.manifest.target
    if target is not None:
        memory = opened.shortlist.memory_bytes + opened.distinct.memory_bytes
        target = target.model_copy(update={"missed": missed(target, facts.plans, manifest.rows, memory)})
    return manifest.model_copy(update={"calibration": facts, "target": target})


class Calibration:
    """One run of it.

    Attributes:
        meter: what runs and times the plans.
        worthwhile: whether there is anything to measure; where the index is small, nothing is as fast as a scan.
    """

    def __init__(
        self,
        opened: OpenedGeneration,
        encoder: Encoder | None,
        given: Vectors | None,
        options: CalibrationOptions,
        report: Report,
    ) -> None:
        self.opened, self.encoder, self.given, self.options, self.report = opened, encoder, given, options, report
        self.vectors = opened.vectors
        self.threads = cores()
        self.meter = Meter(opened.ranker, self.threads)
        self.started = time.monotonic()
        self.seconds = options.time_for(len(self.vectors), self.vectors.dimension)
        self.worthwhile = len(self.vectors) * self.vectors.dimension > _AT_ONCE
        self.measured = 0

    def run(self) -> CalibrationFacts:
        """Measure."""
        self.report("calibrate", {"rows": 0, "total": _GUESS})
        lengths = [k for k in sorted(set(self.options.k)) if k <= len(self.vectors) // 2]
        choosing: list[Examined] = []
        bounding: list[Examined] = []
        if lengths and self.worthwhile:
            choosing, bounding = self._queries(max(lengths))
        if choosing and bounding:
            outcomes, counts = self._outcomes(lengths, choosing, bounding)
            queries = alternating(bounding)
            again = [self.meter.again(one.plan, bounding) for one in outcomes]
        else:
            # An exact scan needs no measuring but of its time.
            outcomes, counts = [self._exact(k) for k in sorted(set(self.options.k))], []
            queries = self.vectors.prefixes(slice(0, _TIMED[1]), self.vectors.dimension)[:, None]
            again = [NEVER] * len(outcomes)
        times = self.meter.milliseconds([one.plan for one in outcomes], again, queries, *_TIMED, self._moment(1))
        plans = [outcome.timed(milliseconds) for outcome, milliseconds in zip(outcomes, times, strict=True)]
        return CalibrationFacts(
            created=datetime.now(UTC),
            queries="sampled" if self.given is None else "given",
            kinds=dict(zip((one.queries.kind for one in bounding), counts, strict=True)) if counts else {},
            confidence=self.options.confidence,
            cores=self.threads,
            seconds=round(time.monotonic() - self.started, 2),
            plans=tuple(
                plan
                for k in sorted({plan.k for plan in plans})
                for plan in front([one for one in plans if one.k == k], lambda one: one.recall_low)
            ),
        )

    def _queries(self, k: int) -> tuple[list[Examined], list[Examined]]:
        """Return the queries to choose with and those to bound with, examined."""
        if self.given is None:
            return split(self._examined(self._sampled(), k, _QUERIES), _TO_CHOOSE)
        given = self._examined(GivenQueries(self.given, self.options.seed), k, len(self.given))
        if sum(map(len, given)) >= _TO_SPLIT:
            return split(given, _TO_CHOOSE)
        return self._examined(self._sampled(), k, _TO_CHOOSE) or given, given

    def _sampled(self) -> SampledQueries:
        opened, fields = self.opened, self.opened.manifest.corpus.text_fields
        return SampledQueries(self.vectors, opened.distinct, opened.documents, fields, self.encoder, self.options.seed)

    def _examined(self, source: QuerySource, k: int, most: int) -> list[Examined]:
        until = self._moment(_EXAMINE_UNTIL)
        return examine(source, self.vectors, k, most, min(most, _FEWEST_QUERIES), until, self.threads)

    def _outcomes(
        self, lengths: Sequence[int], choosing: Sequence[Examined], bounding: Sequence[Examined]
    ) -> tuple[list[_Outcome], list[int]]:
        """Choose plans and bound them; returns them with the number of queries of each kind their bounds come from."""
        chosen = [self._chosen(k, choosing, number / len(lengths)) for number, k in enumerate(lengths, start=1)]
        plans = [trial.plan for trials in chosen for trial in trials]
        samples = self.meter.samples(plans, bounding, self._moment(_BOUND_UNTIL))
        outcomes = [self._exact(k) for k in lengths]
        for k in lengths:
            own = [(plan, sample) for plan, sample in zip(plans, samples, strict=True) if plan.k == k]
            lows = bounds_together([sample for _, sample in own], self.options.confidence)
            outcomes += [_Outcome(plan, sample.mean, low) for (plan, sample), low in zip(own, lows, strict=True)]
        return outcomes, samples[0].counts if samples else []

    def _chosen(self, k: int, examined: Sequence[Examined], share: float) -> list[Trial]:
        """Return the plans that are worth measuring well, by some of the queries: those that find most first."""

        def attempt(plan: Plan) -> Trial:
            self.measured += 1
            self.report("calibrate", {"rows": self.measured, "total": max(_GUESS, self.measured)})
            return self.meter.trial(plan, examined)

        until = self._moment(_EXAMINE_UNTIL + (_CHOOSE_UNTIL - _EXAMINE_UNTIL) * share)

        def variants(plan: Plan) -> Iterator[Plan]:
            yield from stopping(self.opened.ranker, examined, plan, threads=self.threads)
            yield from second_looks(self.meter, examined, plan)

        trials = self._grid(k).narrowed(attempt, _FINALISTS, until, variants)
        return sorted(trials, key=lambda trial: trial.recall, reverse=True)

    def _exact(self, k: int) -> _Outcome:
        return _Outcome(self._grid(k).exact, 1.0, 1.0)

    def _grid(self, k: int) -> Grid:
        facts = self.opened.manifest.shortlist
        sizes, rows = self.opened.manifest.model.sizes, len(self.vectors)
        return Grid(self.opened.shortlist, facts.kind, facts.dims, sizes, rows, k)

    def _moment(self, share: float) -> float:
        return self.started + share * self.seconds


@dataclass(frozen=True, slots=True)
class _Outcome:
    plan: Plan
    recall: float
    recall_low: float

    def timed(self, milliseconds: float) -> CalibratedPlan:
        plan = self.plan
        return CalibratedPlan(
            k=plan.k,
            structure=plan.structure,
            dims=plan.dims,
            candidates=plan.candidates,
            effort=plan.effort,
            stages=plan.stages,
            recall=self.recall,
            recall_low=self.recall_low,
            milliseconds=round(milliseconds, 5),
            gap=plan.stop and plan.stop.gap,
            second_look=plan.second_look,
        )
