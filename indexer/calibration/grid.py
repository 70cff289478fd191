"""Which plans to try: lengths of the shortlist, efforts of the structure, reranks in between."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, pairwise
from typing import Any

from indexer.calibration.measure import Trial
from indexer.calibration.pareto import front, thinned
from indexer.calibration.queries import MOST_COPIES
from indexer.plan import SCAN, FunnelStage, Plan
from indexer.shortlist import Shortlist

_MIDDLE_OUT = (10, 5, 20, 2, 40, 1.5)
"""Candidates for each result; the likely ones first, for when time is short."""
_CLOSE_LENGTHS = 2
"""How many of the shortest are tried where the structure's scores are nearly those of the rerank."""
_FUNNEL_FROM = 8
"""Candidates for each result from which a rerank in between may save more than it costs."""
_ROUNDS = 2
"""How often the gaps between the best plans are halved."""
_GAIN = 5e-4
"""Recall that a further step has to bring for the next one to be tried."""
_CLOSE = 0.8
"""Share of a plan's misses from which a dearer plan that still has them is close enough: none is tried in between."""
_HOPELESS = 0.5
"""Recall under which nobody would search."""

Try = Callable[[Plan], Trial]
Variants = Callable[[Plan], Iterable[Plan]]


class Grid:
    """The plans of one index for one k, tried from cheap to dear, and no further than they gain."""

    def __init__(
        self, shortlist: Shortlist[Any], structure: str, own_dims: int, sizes: Sequence[int], rows: int, k: int
    ) -> None:
        """Describe the index.

        Args:
            shortlist: its structure; ``structure`` its kind, ``own_dims`` its size Ds.
            sizes: the nested sizes, the last is D.
            rows: N.
            k: results.
        """
        self._shortlist, self._structure, self._own_dims = shortlist, structure, own_dims
        self._sizes, self._rows, self.k = sizes, rows, k

    @property
    def exact(self) -> Plan:
        """One look at every row at D."""
        dimension = self._sizes[-1]
        return Plan(self.k, dimension, self.k, None, (FunnelStage(dimension, self.k),), SCAN)

    def narrowed(self, attempt: Try, most: int, until: float, variants: Variants = lambda plan: ()) -> list[Trial]:
        """Try plans until nothing is gained or the time is over, and return those worth measuring well.

        Args:
            attempt: measures a plan roughly.
            most: plans returned.
            until: when to stop, by ``time.monotonic()``.
            variants: gives plans like one, with a stop rule or a second look.
        """
        tried = [attempt(self.exact)]  # what is slower than that is not worth a second look
        for length, efforts in self._ladders():
            plans = [self._plan(self._own_dims, length, effort, self._structure) for effort in efforts]
            self._climb(plans, attempt, tried, until)
        for _ in range(_ROUNDS):
            for plan in self._between(front(tried, _recall)):
                if time.monotonic() < until:
                    tried.append(attempt(plan))
        for trial in front(tried, _recall):
            for plan in chain(self._funnels(trial.plan), variants(trial.plan)):
                if time.monotonic() < until:
                    tried.append(attempt(plan))
        for size in self._sizes[:-1]:
            plans = [self._plan(size, length, None, SCAN) for length in self._lengths(sorted(_MIDDLE_OUT))]
            self._climb(plans, attempt, tried, until)
        found = [one for one in front(tried, _recall) if one.recall >= _HOPELESS and one.plan != self.exact]
        return thinned(found, _recall, most)

    def _climb(self, plans: Sequence[Plan], attempt: Try, tried: list[Trial], until: float) -> None:
        """Try plans from cheap to dear, until a dearer one finds no more, or costs more than one that finds all."""
        best, idle = 0.0, 0
        enough = min((one.milliseconds for one in tried if one.recall > 1 - _GAIN), default=math.inf)
        for plan in plans:
            if len(tried) > 1 and time.monotonic() > until:
                return
            trial = attempt(plan)
            tried.append(trial)
            # So few queries may show no gain of one step where the next one has it.
            idle = 0 if trial.recall >= best + _GAIN else idle + 1
            if idle > 1 or trial.milliseconds > enough:
                return
            best = max(best, trial.recall)

    def _between(self, best: Sequence[Trial]) -> Iterator[Plan]:
        """Give plans of an effort between those of two neighbours in the front, where the dearer misses much less.

        Who asks for a recall gets the next plan above it: the closer they lie, the less is done in vain.
        """
        for one, other in pairwise(best):
            low, high = one.plan, other.plan
            if low.effort is None or high.effort is None or 1 - other.recall > _CLOSE * (1 - one.recall):
                continue
            effort = round(math.sqrt(low.effort * high.effort))
            if low.effort < effort < high.effort:
                for length in sorted({low.candidates, high.candidates}):
                    yield replace(high, candidates=length, effort=effort)

    def _ladders(self) -> Iterator[tuple[int, Sequence[int | None]]]:
        """Give lengths of the shortlist, each with the efforts to try."""
        lengths = self._lengths(_MIDDLE_OUT)
        if lengths and self._shortlist.close_scores and self._own_dims == self._sizes[-1]:
            # The structure ranks as the rerank will: the effort decides what is found, and a longer list adds nothing,
            # or next to nothing where scores are estimates.
            efforts = {effort for length in lengths for effort in self._shortlist.efforts(length)}
            for length in sorted(lengths)[: 1 if self._shortlist.exact_scores else _CLOSE_LENGTHS]:
                yield length, sorted(efforts, key=lambda effort: effort or 0)
            return
        for length in lengths:
            yield length, self._shortlist.efforts(length)

    def _lengths(self, times: Sequence[float]) -> list[int]:
        lengths = [max(self.k + MOST_COPIES, round(self.k * one)) for one in times]
        return [length for length in dict.fromkeys(lengths) if length <= self._rows // 2]

    def _plan(self, dims: int, length: int, effort: int | None, structure: str) -> Plan:
        return Plan(self.k, dims, length, effort, (FunnelStage(self._sizes[-1], self.k),), structure)

    def _funnels(self, plan: Plan) -> Iterator[Plan]:
        """One rerank at each size between Ds and D, and halving lists over all of them (section 4.3.1)."""
        between = [size for size in self._sizes[:-1] if size > plan.dims]
        if plan.candidates < _FUNNEL_FROM * self.k or plan.single:
            return
        fewest = self.k + MOST_COPIES
        for size in between:
            yield _with_stages(plan, [FunnelStage(size, max(fewest, plan.candidates // 4))])
        if len(between) > 1:
            keeps = [max(fewest, plan.candidates >> step) for step in range(1, len(between) + 1)]
            yield _with_stages(plan, [FunnelStage(*stage) for stage in zip(between, keeps, strict=True)])


def _with_stages(plan: Plan, stages: list[FunnelStage]) -> Plan:
    return replace(plan, stages=(*stages, *plan.stages))


def _recall(trial: Trial) -> float:
    return trial.recall
