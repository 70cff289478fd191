"""Choosing the calibrated plan of a search."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from indexer.plan import FunnelStage, Plan, Promise, SearchOptions, StopRule
from indexer.storage.manifest import CalibratedPlan
from models.errors import InvalidOptionError

DEFAULT_RECALL = 0.95
"""Recall aimed at by default."""
_PATIENCE = 10
"""By default an exact scan may take this many times as long as the best other plan that falls short."""


def choose_plan(plans: Sequence[CalibratedPlan], options: SearchOptions, rows: int) -> Plan | None:
    """Choose the plan of a search among the calibrated ones.

    Given a recall, this is the fastest plan whose lower bound reaches it; given a time, the plan with the highest bound
    within it; given both, the fastest plan that satisfies both. If there is none, it is the closest one (the highest
    bound within the time, else the fastest), and its promise is not ``met``. Given neither, it is the fastest plan
    whose bound reaches :data:`DEFAULT_RECALL`; but an exact scan only if it is not many times slower than the best of
    the other plans.

    A k that was not calibrated uses the plans of the next larger k, cut to k: nearer rows are found more reliably. A k
    above all calibrated ones gets an exact search if a recall is given, otherwise the plan of the largest k with its
    lengths and effort scaled, and without a promise.

    Args:
        plans: the plans of the manifest.
        options: the search options.
        rows: current number of documents.

    Returns:
        the plan; None if the options describe a plan themselves, or if nothing is calibrated and no goal is given.

    Raises:
        InvalidOptionError: recall or time is out of range, is combined with options that describe a plan, or is given
            although the index has no calibrated plans.
    """
    _check(plans, options)
    if not plans or options.explicit_options or options.k < 1:
        return None
    enough = [plan.k for plan in plans if plan.k >= options.k]
    k = min(enough) if enough else max(plan.k for plan in plans)
    of_k = [plan for plan in plans if plan.k == k]
    if not enough:
        return _beyond(of_k, options, rows)
    plan, met = _chosen(of_k, options)
    return _cut(plan, options, rows, 1, _promise(plan, options, met))


def _chosen(plans: Sequence[CalibratedPlan], options: SearchOptions) -> tuple[CalibratedPlan, bool]:
    in_time = [plan for plan in plans if plan.milliseconds <= (options.milliseconds or math.inf)]
    if not in_time:
        return min(plans, key=lambda plan: plan.milliseconds), False
    best = _best(in_time)
    if options.recall is None and options.milliseconds is not None:
        return best, True
    wanted = DEFAULT_RECALL if options.recall is None else options.recall
    holding = [plan for plan in in_time if plan.recall_low >= wanted]
    if not holding:
        return best, False
    fastest = min(holding, key=lambda plan: plan.milliseconds)
    others = [plan for plan in in_time if not plan.exact]
    if options.recall is None and fastest.exact and others:
        near = _best(others)
        if fastest.milliseconds > _PATIENCE * near.milliseconds:
            return near, False
    return fastest, True


def _beyond(plans: Sequence[CalibratedPlan], options: SearchOptions, rows: int) -> Plan:
    """Return a plan for more results than were calibrated; ``plans`` are those of the largest k."""
    times = math.ceil(options.k / plans[0].k)
    exact = [plan for plan in plans if plan.exact]
    if options.recall is not None and exact:
        return _cut(exact[0], options, rows, times, _promise(exact[0], options, options.milliseconds is None))
    budget = options.milliseconds / times if options.milliseconds else None
    plan, met = _chosen(plans, replace(options, milliseconds=budget))
    return _cut(plan, options, rows, times, _promise(plan, options, met) if plan.exact else None)


def _best(plans: Sequence[CalibratedPlan]) -> CalibratedPlan:
    return max(plans, key=lambda plan: (plan.recall_low, -plan.milliseconds))


def _promise(plan: CalibratedPlan, options: SearchOptions, met: bool) -> Promise | None:
    """Return the measured promise; it does not apply to filtered searches, unless they are exact."""
    if options.filter is not None and not plan.exact:
        return None
    return Promise(plan.recall, plan.recall_low, plan.milliseconds, met)


def _cut(plan: CalibratedPlan, options: SearchOptions, rows: int, times: int, promise: Promise | None) -> Plan:
    """Return the plan for k results, its lengths and effort multiplied by ``times`` and capped at N."""
    *between, last = plan.stages
    stages = [FunnelStage(stage.dims, min(rows, stage.keep * times)) for stage in between]
    k = min(options.k, rows)
    return Plan(
        k=k,
        dims=plan.dims,
        candidates=min(rows, max(k, plan.candidates * times)),
        effort=plan.effort and plan.effort * times,
        stages=(*stages, FunnelStage(last.dims, k)),
        structure=plan.structure,
        promise=promise,
        stop=None if plan.gap is None else StopRule(gap=plan.gap, k=plan.k * times),
        second_look=plan.second_look and replace(plan.second_look, effort=plan.second_look.effort * times),
    )


def _check(plans: Sequence[CalibratedPlan], options: SearchOptions) -> None:
    if options.recall is not None and not 0 < options.recall <= 1:
        raise InvalidOptionError("recall", f"recall {options.recall}: give more than 0 and at most 1")
    if options.milliseconds is not None and not options.milliseconds > 0:
        raise InvalidOptionError("milliseconds", f"milliseconds {options.milliseconds}: give more than 0")
    goals = [name for name in ("recall", "milliseconds") if getattr(options, name) is not None]
    if goals and options.explicit_options:
        raise InvalidOptionError(
            goals[0],
            f"{' and '.join(goals)} together with {', '.join(options.explicit_options)}: give either what is wanted, "
            "so that a plan is chosen, or the options of the plan itself",
        )
    if goals and not plans:
        raise InvalidOptionError(
            goals[0],
            f"{' and '.join(goals)}: the index has no calibrated plans; measure them with mrl index calibrate",
        )
