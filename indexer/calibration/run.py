"""Calibration: measure the plans of an index and keep the best ones, each with a promise about its recall and latency.

The queries are split. Some of them select the plans on the Pareto front and order them; the rest bound the recall of
each plan from below, see :mod:`indexer.calibration.bound`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from indexer.calibration.bound import bounds_together
from indexer.calibration.exact_answers import QueriesWithAnswers, answer_exactly, split_queries
from indexer.calibration.grid import Grid
from indexer.calibration.measure import NO_SECOND_PASS, Meter, Trial, alternating
from indexer.calibration.options import CalibrationOptions
from indexer.calibration.pareto import pareto_front
from indexer.calibration.queries import GivenQueries, QuerySource, SampledQueries
from indexer.calibration.second_looks import second_looks
from indexer.calibration.stop_rules import stop_rules
from indexer.calibration.target import missed
from indexer.kernels.threads import cores
from indexer.plan import Plan
from indexer.progress import Calibrating, Report, silent
from indexer.search.generation import OpenedGeneration
from indexer.storage.manifest import CalibratedPlan, CalibrationFacts, Manifest
from models.encoders.base import Encoder
from models.nesting import Vectors

_AT_ONCE = 1 << 19
"""Values in all vectors up to which a scan takes less time than the call of a structure."""
_QUERIES = 1000
_FEWEST_QUERIES = 100
_TO_CHOOSE = 200
"""Queries of each kind that select the plans."""
_TO_SPLIT = 400
"""Given queries from which some can be spared to select plans; with fewer, synthetic queries do that."""
_FINALISTS = 20
_TIMED = (10, 60)
_GUESS = 60
"""Approximate number of plans tried."""
_ANSWER_UNTIL, _CHOOSE_UNTIL, _BOUND_UNTIL = 0.3, 0.55, 0.93
"""Shares of the time budget after which the steps end."""


def calibrate(
    opened: OpenedGeneration,
    encoder: Encoder | None,
    given: Vectors | None = None,
    options: CalibrationOptions | None = None,
    report: Report = silent,
) -> CalibrationFacts:
    """Measure the plans of a generation.

    Args:
        opened: the generation.
        encoder: its model, for synthetic queries of words; if None, they are made of documents' vectors.
        given: vectors of real queries, shape (n, D); if None, queries are sampled from the corpus.
        options: see :class:`CalibrationOptions`.
        report: receives progress events.
    """
    return Calibration(opened, encoder, given, options or CalibrationOptions(), report).run()


def with_calibration(opened: OpenedGeneration, facts: CalibrationFacts) -> Manifest:
    """Return the generation's manifest with the calibration and the parts of its target that are missed."""
    manifest, target = opened.manifest, opened.manifest.target
    if target is not None:
        memory = opened.shortlist.memory_bytes + opened.distinct.memory_bytes
        target = target.model_copy(update={"missed": missed(target, facts.plans, manifest.rows, memory)})
    return manifest.model_copy(update={"calibration": facts, "target": target})


class Calibration:
    """One run of a calibration.

    Attributes:
        meter: runs and times the plans.
        worthwhile: whether there is anything to measure; on a small index nothing is as fast as a scan.
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
        """Measure the plans."""
        self.report(Calibrating(total=_GUESS))
        lengths = [k for k in sorted(set(self.options.k)) if k <= len(self.vectors) // 2]
        choosing: list[QueriesWithAnswers] = []
        bounding: list[QueriesWithAnswers] = []
        if lengths and self.worthwhile:
            choosing, bounding = self._queries(max(lengths))
        if choosing and bounding:
            outcomes, counts = self._outcomes(lengths, choosing, bounding)
            queries = alternating(bounding)
            second_passes = [self.meter.second_pass(outcome.plan, bounding) for outcome in outcomes]
        else:
            # For an exact scan, only latency needs measuring.
            outcomes, counts = [self._exact(k) for k in sorted(set(self.options.k))], []
            queries = self.vectors.prefixes(slice(0, _TIMED[1]), self.vectors.dimension)[:, None]
            second_passes = [NO_SECOND_PASS] * len(outcomes)
        measured = [outcome.plan for outcome in outcomes]
        times = self.meter.milliseconds(measured, second_passes, queries, *_TIMED, self._moment(1))
        plans = [outcome.timed(milliseconds) for outcome, milliseconds in zip(outcomes, times, strict=True)]
        return CalibrationFacts(
            created=datetime.now(UTC),
            queries="sampled" if self.given is None else "given",
            kinds=dict(zip((kind.queries.kind for kind in bounding), counts, strict=True)) if counts else {},
            confidence=self.options.confidence,
            cores=self.threads,
            seconds=round(time.monotonic() - self.started, 2),
            plans=tuple(
                plan
                for k in sorted({plan.k for plan in plans})
                for plan in pareto_front([p for p in plans if p.k == k], lambda p: p.recall_low)
            ),
        )

    def _queries(self, k: int) -> tuple[list[QueriesWithAnswers], list[QueriesWithAnswers]]:
        """Return the queries to select plans with and those to bound recall with, with their exact answers."""
        if self.given is None:
            return split_queries(self._answered(self._sampled(), k, _QUERIES), _TO_CHOOSE)
        given = self._answered(GivenQueries(self.given, self.options.seed), k, len(self.given))
        if sum(map(len, given)) >= _TO_SPLIT:
            return split_queries(given, _TO_CHOOSE)
        return self._answered(self._sampled(), k, _TO_CHOOSE) or given, given

    def _sampled(self) -> SampledQueries:
        opened, fields = self.opened, self.opened.manifest.corpus.text_fields
        return SampledQueries(self.vectors, opened.distinct, opened.documents, fields, self.encoder, self.options.seed)

    def _answered(self, source: QuerySource, k: int, most: int) -> list[QueriesWithAnswers]:
        until = self._moment(_ANSWER_UNTIL)
        return answer_exactly(source, self.vectors, k, most, min(most, _FEWEST_QUERIES), until, self.threads)

    def _outcomes(
        self, lengths: Sequence[int], choosing: Sequence[QueriesWithAnswers], bounding: Sequence[QueriesWithAnswers]
    ) -> tuple[list[_Outcome], list[int]]:
        """Select plans and bound their recall; also return the number of queries of each kind behind the bounds."""
        chosen = [self._chosen(k, choosing, number / len(lengths)) for number, k in enumerate(lengths, start=1)]
        plans = [trial.plan for trials in chosen for trial in trials]
        samples = self.meter.recalls_of(plans, bounding, self._moment(_BOUND_UNTIL))
        outcomes = [self._exact(k) for k in lengths]
        for k in lengths:
            own = [(plan, sample) for plan, sample in zip(plans, samples, strict=True) if plan.k == k]
            lows = bounds_together([sample for _, sample in own], self.options.confidence)
            outcomes += [_Outcome(plan, sample.mean, low) for (plan, sample), low in zip(own, lows, strict=True)]
        return outcomes, samples[0].counts if samples else []

    def _chosen(self, k: int, answered: Sequence[QueriesWithAnswers], share: float) -> list[Trial]:
        """Return the plans worth measuring precisely, the highest recall first."""

        def attempt(plan: Plan) -> Trial:
            self.measured += 1
            self.report(Calibrating(done=self.measured, total=max(_GUESS, self.measured)))
            return self.meter.trial(plan, answered)

        until = self._moment(_ANSWER_UNTIL + (_CHOOSE_UNTIL - _ANSWER_UNTIL) * share)

        def variants(plan: Plan) -> Iterator[Plan]:
            yield from stop_rules(self.opened.ranker, answered, plan, threads=self.threads)
            yield from second_looks(self.meter, answered, plan)

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
