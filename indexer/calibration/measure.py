"""Measuring the recall and latency of plans."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from indexer.calibration.bound import PlanRecalls
from indexer.calibration.exact_answers import QueriesWithAnswers
from indexer.calibration.queries import MOST_COPIES
from indexer.kernels.rows import Rows
from indexer.plan import FunnelStage, Plan
from indexer.search.ranker import Ranker
from indexer.search.results import StageClock
from indexer.search.second_look import look_again
from indexer.shortlist.base import Candidates
from models.nesting import Vectors

_TOGETHER = 100
_COUNTED = 400
_ROUGH = (3, 12)
_ROUGH_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Trial:
    """A rough measurement of a plan, over a few queries.

    Attributes:
        plan: the plan.
        recall: mean recall of the hardest kind of queries.
        milliseconds: single-thread latency, defined as in :class:`indexer.plan.Promise`.
    """

    plan: Plan
    recall: float
    milliseconds: float


class SecondPass(NamedTuple):
    """The queries for which a plan takes a second look.

    Attributes:
        share: their share of all queries.
        queries: their vectors, shape (m, D).
    """

    share: float
    queries: Vectors


NO_SECOND_PASS = SecondPass(0.0, np.empty((0, 0), dtype=np.float32))


class Meter:
    """Runs plans over queries with known exact answers."""

    def __init__(self, ranker: Ranker, threads: int) -> None:
        self._ranker, self._threads = ranker, threads

    def recalls(self, plan: Plan, answered: Sequence[QueriesWithAnswers]) -> PlanRecalls:
        """Return recall@k of each query."""
        by_kind = []
        for kind in answered:
            if plan.stop is None and plan.second_look is None:
                wide = _widened(plan)
                scores, rows = self._ranker.rank(kind.queries.vectors, wide, None, StageClock(), self._threads)
            else:
                scores, rows = self._rank_visible(plan, kind)
            by_kind.append(kind.recalls(scores, rows, plan.k))
        return PlanRecalls(by_kind)

    def _rank_visible(self, plan: Plan, answered: QueriesWithAnswers) -> tuple[Vectors, Rows]:
        """Rank without the excluded rows, so that gap and second look depend on the scores of the other rows."""
        found = self._first_pass(plan, answered, slice(None))
        look = plan.second_look
        if look:
            harder = replace(plan, effort=look.effort)
            best = _best_score(found)
            found, _ = look_again(found, best, look, lambda hard: self._first_pass(harder, answered, hard))
        if plan.stop is None:
            plan = _widened(plan)
        scores, rows = self._ranker.rerank(answered.queries.vectors, found, plan, StageClock(), self._threads)
        return self._ranker.distinct.expand(scores, rows, None)

    def _first_pass(self, plan: Plan, answered: QueriesWithAnswers, part: slice | Rows) -> Candidates:
        """Return the candidates of some queries, with -1 for excluded rows."""
        queries = answered.queries
        once = replace(plan, second_look=None)
        found = self._ranker.candidates(queries.vectors[part], once, None, self._threads)
        hidden = (found.rows[:, :, None] == queries.excluded[part][:, None, :]).any(axis=2)
        return Candidates(found.scores, np.where(hidden, -1, found.rows))

    def best_scores(self, plan: Plan, answered: QueriesWithAnswers) -> Vectors:
        """Return the best coarse score of each query's first pass, among rows that are not excluded.

        Returns:
            float32, shape (n,); -inf if it finds none of them.
        """
        return _best_score(self._first_pass(plan, answered, slice(None)))

    def second_pass(self, plan: Plan, answered: Sequence[QueriesWithAnswers]) -> SecondPass:
        """Return the queries that take a plan's second look, out of the first few hundred of each kind."""
        look = plan.second_look
        if look is None:
            return NO_SECOND_PASS
        some = [kind.part(slice(0, _COUNTED)) for kind in answered]
        hard = np.concatenate([self.best_scores(plan, kind) for kind in some]) < look.below
        return SecondPass(float(hard.mean()), np.concatenate([kind.queries.vectors for kind in some])[hard])

    def recalls_of(
        self, plans: Sequence[Plan], answered: Sequence[QueriesWithAnswers], until: float
    ) -> list[PlanRecalls]:
        """Return the recalls of several plans over the same queries, as many as time allows.

        Args:
            plans: the plans.
            answered: the queries.
            until: deadline by ``time.monotonic()``; the first batch of each kind is measured in any case.
        """
        longest = max(map(len, answered))
        samples: list[PlanRecalls] = []
        for start in range(0, longest, _TOGETHER):
            if samples and time.monotonic() > until:
                break
            some = [kind.part(slice(start, start + _TOGETHER)) for kind in answered]
            more = [self.recalls(plan, some) for plan in plans]
            samples = [a + b for a, b in zip(samples, more, strict=True)] if samples else more
        return samples

    def trial(self, plan: Plan, answered: Sequence[QueriesWithAnswers]) -> Trial:
        """Measure recall over all queries, unless the plan is exact, and latency over a few."""
        recall = 1.0 if plan.single else self.recalls(plan, answered).mean
        second_pass = self.second_pass(plan, answered)
        fewest, most = _ROUGH
        seconds: list[float] = []
        for turn, query in enumerate(itertools.islice(alternating(answered), most)):
            if turn >= fewest and sum(seconds) > _ROUGH_SECONDS:
                break
            seconds.append(self._expected_seconds(turn, query, plan, second_pass))
        return Trial(plan, recall, float(np.median(seconds)) * 1e3)

    def milliseconds(
        self,
        plans: Sequence[Plan],
        second_passes: Sequence[SecondPass],
        queries: Iterable[Vectors],
        fewest: int,
        most: int,
        until: float,
    ) -> list[float]:
        """Return the single-thread latency of each plan, defined as in :class:`indexer.plan.Promise`.

        The plans take turns, so that other load on the machine affects all of them; and in each turn they run different
        queries, because a plan would find in the processor's cache what the one before has read for the same query.

        Args:
            plans: the plans to time.
            second_passes: the queries for which each plan takes a second look.
            queries: query vectors, each of shape (1, D).
            fewest, most: limits on the queries per plan.
            until: deadline by ``time.monotonic()``, once ``fewest`` queries are done.
        """
        timed = list(itertools.islice(queries, most))
        apart = max(1, len(timed) // max(1, len(plans)))
        seconds: list[list[float]] = []
        for turn in range(len(timed)):
            if len(seconds) >= fewest and time.monotonic() > until:
                break
            own = [timed[(turn + number * apart) % len(timed)] for number in range(len(plans))]
            runs = zip(own, plans, second_passes, strict=True)
            seconds.append([self._expected_seconds(turn, *run) for run in runs])
        if not seconds:  # an index without rows has no queries
            return [0.0] * len(plans)
        medians: list[float] = (np.median(seconds, axis=0) * 1e3).tolist()
        return medians

    def _expected_seconds(self, turn: int, query: Vectors, plan: Plan, second_pass: SecondPass) -> float:
        """Return the latency of a query, with and without a second look, weighted by their frequency.

        Among a few queries the number that take one would be down to chance; and a hard query takes longer than others
        at the same effort, so second looks are timed with hard queries.
        """
        look = plan.second_look
        if look is None or not second_pass.share:
            return self._seconds(query, replace(plan, second_look=None) if look else plan)
        once = self._seconds(query, replace(plan, second_look=None))
        hard = second_pass.queries[turn % len(second_pass.queries)][None]
        twice = self._seconds(hard, replace(plan, second_look=replace(look, below=math.inf)))
        return (1 - second_pass.share) * once + second_pass.share * twice

    def _seconds(self, query: Vectors, plan: Plan) -> float:
        started = time.perf_counter()
        self._ranker.rank(query, plan, None, StageClock())
        return time.perf_counter() - started


def _widened(plan: Plan) -> Plan:
    """Return the plan with room for the excluded rows in its answer."""
    k = plan.k + MOST_COPIES
    return replace(plan, k=k, stages=(*plan.stages[:-1], FunnelStage(plan.rerank_dims, k)))


def _best_score(found: Candidates) -> Vectors:
    """Return the best score among rows that are not excluded, shape (n,); -inf if there is none."""
    best: Vectors = np.where(found.rows < 0, np.float32(-np.inf), found.scores).max(axis=1, initial=-np.inf)
    return best


def alternating(answered: Sequence[QueriesWithAnswers]) -> Iterable[Vectors]:
    """Return the queries of all kinds in turn, each of shape (1, D)."""
    turns = zip(*(kind.queries.vectors[:, None] for kind in answered), strict=False)
    return itertools.chain.from_iterable(turns)
