"""Search over plans: shortlist lengths, efforts of the structure, and intermediate reranks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, pairwise
from typing import Any

from indexer.calibration.measure import Trial
from indexer.calibration.pareto import pareto_front, prune_front
from indexer.calibration.queries import MOST_COPIES
from indexer.plan import SCAN, FunnelStage, Plan
from indexer.shortlist import Shortlist

_MIDDLE_OUT = (10, 5, 20, 2, 40, 1.5)
"""Candidates per result, the most promising first in case time runs out."""
_CLOSE_LENGTHS = 2
"""How many of the shortest lengths are tried if the structure's scores are close to those of the rerank."""
_FUNNEL_FROM = 8
"""Candidates per result from which an intermediate rerank may pay off."""
_ROUNDS = 2
"""Number of times that the gaps between the best plans are halved."""
_GAIN = 5e-4
"""Gain in recall that justifies a further step."""
_CLOSE = 0.8
"""If the slower of two neighbours keeps at least this share of the other's misses, no plan is tried in between."""
_HOPELESS = 0.5
"""Recall below which a plan is useless."""

Try = Callable[[Plan], Trial]
Variants = Callable[[Plan], Iterable[Plan]]


class Grid:
    """The plans of one index for one k, tried from cheap to expensive as long as recall grows."""

    def __init__(
        self, shortlist: Shortlist[Any], structure: str, own_dims: int, sizes: Sequence[int], rows: int, k: int
    ) -> None:
        """Describe the index.

        Args:
            shortlist: the shortlist structure.
            structure, own_dims: its kind and prefix size Ds.
            sizes: the nested sizes; the last is D.
            rows: number of rows N.
            k: number of results.
        """
        self._shortlist, self._structure, self._own_dims = shortlist, structure, own_dims
        self._sizes, self._rows, self.k = sizes, rows, k

    @property
    def exact(self) -> Plan:
        """A scan of every row at D."""
        dimension = self._sizes[-1]
        return Plan(self.k, dimension, self.k, None, (FunnelStage(dimension, self.k),), SCAN)

    def narrowed(self, attempt: Try, most: int, until: float, variants: Variants = lambda plan: ()) -> list[Trial]:
        """Try plans until recall stops growing or time runs out, and return those worth measuring precisely.

        Args:
            attempt: measures a plan roughly.
            most: maximum number of plans returned.
            until: deadline by ``time.monotonic()``.
            variants: returns variants of a plan, with a stop rule or a second look.
        """
        tried = [attempt(self.exact)]  # slower plans are not worth keeping
        for length, efforts in self._ladders():
            plans = [self._plan(self._own_dims, length, effort, self._structure) for effort in efforts]
            self._climb(plans, attempt, tried, until)
        for _ in range(_ROUNDS):
            for plan in self._between(pareto_front(tried, _recall)):
                if time.monotonic() < until:
                    tried.append(attempt(plan))
        for trial in pareto_front(tried, _recall):
            for plan in chain(self._funnels(trial.plan), variants(trial.plan)):
                if time.monotonic() < until:
                    tried.append(attempt(plan))
        for size in self._sizes[:-1]:
            plans = [self._plan(size, length, None, SCAN) for length in self._lengths(sorted(_MIDDLE_OUT))]
            self._climb(plans, attempt, tried, until)
        found = [t for t in pareto_front(tried, _recall) if t.recall >= _HOPELESS and t.plan != self.exact]
        return prune_front(found, _recall, most)

    def _climb(self, plans: Sequence[Plan], attempt: Try, tried: list[Trial], until: float) -> None:
        """Try plans from cheap to expensive until recall stops growing, or one is slower than a plan that finds all."""
        best, idle = 0.0, 0
        enough = min((trial.milliseconds for trial in tried if trial.recall > 1 - _GAIN), default=math.inf)
        for plan in plans:
            if len(tried) > 1 and time.monotonic() > until:
                return
            trial = attempt(plan)
            tried.append(trial)
            # With few queries one step may show no gain although the next one does.
            idle = 0 if trial.recall >= best + _GAIN else idle + 1
            if idle > 1 or trial.milliseconds > enough:
                return
            best = max(best, trial.recall)

    def _between(self, best: Sequence[Trial]) -> Iterator[Plan]:
        """Yield plans with an effort between two neighbours in the front, if the slower one misses much less.

        A search for some recall gets the next plan above it: the closer the plans, the less effort is wasted.
        """
        for faster, slower in pairwise(best):
            low, high = faster.plan, slower.plan
            if low.effort is None or high.effort is None or 1 - slower.recall > _CLOSE * (1 - faster.recall):
                continue
            effort = round(math.sqrt(low.effort * high.effort))
            if low.effort < effort < high.effort:
                for length in sorted({low.candidates, high.candidates}):
                    yield replace(high, candidates=length, effort=effort)

    def _ladders(self) -> Iterator[tuple[int, Sequence[int | None]]]:
        """Yield lengths of the shortlist, each with the efforts to try."""
        lengths = self._lengths(_MIDDLE_OUT)
        if lengths and self._shortlist.close_scores and self._own_dims == self._sizes[-1]:
            # The structure ranks like the rerank: recall depends on the effort alone, and a longer list adds nothing,
            # or next to nothing if scores are estimates.
            efforts = {effort for length in lengths for effort in self._shortlist.efforts(length)}
            for length in sorted(lengths)[: 1 if self._shortlist.exact_scores else _CLOSE_LENGTHS]:
                yield length, sorted(efforts, key=lambda effort: effort or 0)
            return
        for length in lengths:
            yield length, self._shortlist.efforts(length)

    def _lengths(self, times: Sequence[float]) -> list[int]:
        lengths = [max(self.k + MOST_COPIES, round(self.k * factor)) for factor in times]
        return [length for length in dict.fromkeys(lengths) if length <= self._rows // 2]

    def _plan(self, dims: int, length: int, effort: int | None, structure: str) -> Plan:
        return Plan(self.k, dims, length, effort, (FunnelStage(self._sizes[-1], self.k),), structure)

    def _funnels(self, plan: Plan) -> Iterator[Plan]:
        """Yield funnels: one rerank at each size between Ds and D, and halving lists over all sizes (section 4.3.1)."""
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
