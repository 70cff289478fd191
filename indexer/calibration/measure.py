"""Measuring plans: what they find, and how long one query takes."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from indexer.calibration.bound import Sample
from indexer.calibration.exact_answers import Examined
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
    """A plan and what a few queries say of it.

    Attributes:
        plan: the plan.
        recall: the lowest mean recall of all kinds of queries.
        milliseconds: time of a query on one thread, as :class:`indexer.plan.Promise` has it.
    """

    plan: Plan
    recall: float
    milliseconds: float


class Again(NamedTuple):
    """The queries that a plan searches for twice.

    Attributes:
        share: of all.
        queries: shape (m, D).
    """

    share: float
    queries: Vectors


NEVER = Again(0.0, np.empty((0, 0), dtype=np.float32))


class Meter:
    """Runs plans over queries whose exact answers are known."""

    def __init__(self, ranker: Ranker, threads: int) -> None:
        self._ranker, self._threads = ranker, threads

    def sample(self, plan: Plan, examined: Sequence[Examined]) -> Sample:
        """Return recall@k of each query."""
        by_kind = []
        for one in examined:
            if plan.stop is None and plan.second_look is None:
                wide = _widened(plan)
                scores, rows = self._ranker.rank(one.queries.vectors, wide, None, StageClock(), self._threads)
            else:
                scores, rows = self._by_what_may_be_found(plan, one)
            by_kind.append(one.recalls(scores, rows, plan.k))
        return Sample(by_kind)

    def _by_what_may_be_found(self, plan: Plan, examined: Examined) -> tuple[Vectors, Rows]:
        """Rank without the rows that must not be found: gap and second look go by the scores of the others."""
        found = self._first_look(plan, examined, slice(None))
        look = plan.second_look
        if look:
            harder = replace(plan, effort=look.effort)
            best = _best(found)
            found, _ = look_again(found, best, look, lambda hard: self._first_look(harder, examined, hard))
        if plan.stop is None:
            plan = _widened(plan)
        scores, rows = self._ranker.rerank(examined.queries.vectors, found, plan, StageClock(), self._threads)
        return self._ranker.distinct.expand(scores, rows, None)

    def _first_look(self, plan: Plan, examined: Examined, part: slice | Rows) -> Candidates:
        """Return the candidates of some queries; -1 for those that must not be found."""
        queries = examined.queries
        once = replace(plan, second_look=None)
        found = self._ranker.candidates(queries.vectors[part], once, None, self._threads)
        hidden = (found.rows[:, :, None] == queries.left_out[part][:, None, :]).any(axis=2)
        return Candidates(found.scores, np.where(hidden, -1, found.rows))

    def best(self, plan: Plan, examined: Examined) -> Vectors:
        """Return the best coarse score of each query's first search, of rows that may be found."""
        return _best(self._first_look(plan, examined, slice(None)))

    def again(self, plan: Plan, examined: Sequence[Examined]) -> Again:
        """Return which of the queries a plan searches for twice, by up to some hundreds of each kind."""
        look = plan.second_look
        if look is None:
            return NEVER
        some = [one.part(slice(0, _COUNTED)) for one in examined]
        hard = np.concatenate([self.best(plan, one) for one in some]) < look.below
        return Again(float(hard.mean()), np.concatenate([one.queries.vectors for one in some])[hard])

    def samples(self, plans: Sequence[Plan], examined: Sequence[Examined], until: float) -> list[Sample]:
        """Return the recalls of several plans over the same queries: as many as time allows, by ``time.monotonic()``.

        The first of each kind are asked however long they take.
        """
        longest = max(map(len, examined))
        samples: list[Sample] = []
        for start in range(0, longest, _TOGETHER):
            if samples and time.monotonic() > until:
                break
            some = [one.part(slice(start, start + _TOGETHER)) for one in examined]
            more = [self.sample(plan, some) for plan in plans]
            samples = [a + b for a, b in zip(samples, more, strict=True)] if samples else more
        return samples

    def trial(self, plan: Plan, examined: Sequence[Examined]) -> Trial:
        """Measure recall over all queries, where it needs measuring, and time over a few."""
        recall = 1.0 if plan.single else self.sample(plan, examined).mean
        again = self.again(plan, examined)
        fewest, most = _ROUGH
        seconds: list[float] = []
        for turn, query in enumerate(itertools.islice(alternating(examined), most)):
            if turn >= fewest and sum(seconds) > _ROUGH_SECONDS:
                break
            seconds.append(self._expected_seconds(turn, query, plan, again))
        return Trial(plan, recall, float(np.median(seconds)) * 1e3)

    def milliseconds(
        self,
        plans: Sequence[Plan],
        again: Sequence[Again],
        queries: Iterable[Vectors],
        fewest: int,
        most: int,
        until: float,
    ) -> list[float]:
        """Return the time of one query on one thread for each plan, as :class:`indexer.plan.Promise` has it.

        The plans take turns, so that whatever else the machine does is shared by all; each at another query, because
        what one plan has read for a query the next would find in the processor's cache.

        Args:
            plans: what is timed.
            again: what each plan searches for twice.
            queries: each of shape (1, D).
            fewest, most: queries for each plan.
            until: when to stop, by ``time.monotonic()``, once it were ``fewest``.
        """
        asked = list(itertools.islice(queries, most))
        apart = max(1, len(asked) // max(1, len(plans)))
        seconds: list[list[float]] = []
        for turn in range(len(asked)):
            if len(seconds) >= fewest and time.monotonic() > until:
                break
            own = [asked[(turn + number * apart) % len(asked)] for number in range(len(plans))]
            seconds.append([self._expected_seconds(turn, *one) for one in zip(own, plans, again, strict=True)])
        if not seconds:  # an index without rows has no queries
            return [0.0] * len(plans)
        medians: list[float] = (np.median(seconds, axis=0) * 1e3).tolist()
        return medians

    def _expected_seconds(self, turn: int, query: Vectors, plan: Plan, again: Again) -> float:
        """Return the time that a query takes on the average, with a second look as often as one is taken.

        Among a few queries it would be chance how many take one; and a hard query takes longer than another at the same
        effort, so that second looks are timed with hard ones.
        """
        look = plan.second_look
        if look is None or not again.share:
            return self._seconds(query, replace(plan, second_look=None) if look else plan)
        once = self._seconds(query, replace(plan, second_look=None))
        hard = again.queries[turn % len(again.queries)][None]
        twice = self._seconds(hard, replace(plan, second_look=replace(look, below=math.inf)))
        return (1 - again.share) * once + again.share * twice

    def _seconds(self, query: Vectors, plan: Plan) -> float:
        started = time.perf_counter()
        self._ranker.rank(query, plan, None, StageClock())
        return time.perf_counter() - started


def _widened(plan: Plan) -> Plan:
    """Return the plan with room for the rows that will be left out of its answer."""
    k = plan.k + MOST_COPIES
    return replace(plan, k=k, stages=(*plan.stages[:-1], FunnelStage(plan.rerank_dims, k)))


def _best(found: Candidates) -> Vectors:
    """Return the best score among rows that may be found, shape (n,); -inf where there is none."""
    best: Vectors = np.where(found.rows < 0, np.float32(-np.inf), found.scores).max(axis=1, initial=-np.inf)
    return best


def alternating(examined: Sequence[Examined]) -> Iterable[Vectors]:
    """Return queries, each of shape (1, D), of every kind in turn."""
    turns = zip(*(one.queries.vectors[:, None] for one in examined), strict=False)
    return itertools.chain.from_iterable(turns)
