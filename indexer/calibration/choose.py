"""Which calibrated plan a search takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from indexer.plan import FunnelStage, Plan, Promise, SearchOptions, StopRule
from indexer.storage.manifest import CalibratedPlan
from models.errors import InvalidOptionError

DEFAULT_RECALL = 0.95
"""What is looked for where nobody says."""
_PATIENCE = 10
"""How many times longer than the best plan that falls short an exact scan may take where nobody says."""


def choose_plan(plans: Sequence[CalibratedPlan], options: SearchOptions, rows: int) -> Plan | None:
    """Choose the plan of a search from what calibration measured.

    With a recall, the fastest plan whose bound holds it; with a time, the one of the best bound that keeps it; with
    both, the fastest that holds the one within the other. Where there is none, the one that comes closest: of the best
    bound within the time, or the fastest; its promise is not ``met``. With neither, the fastest whose bound is
    :data:`DEFAULT_RECALL`; an exact scan is taken for that only where it is not many times slower than the best of the
    others.

    A k that was not calibrated takes the plans of the next larger one, cut: what is nearer is found more surely. For a
    k above all of them, an exact search where a recall is asked for; else the largest k's plan with its lengths and
    effort scaled, which promises nothing.

    Args:
        plans: of the manifest.
        options: what the caller wants.
        rows: documents there are now.

    Returns:
        the plan; None where the caller describes one, or none is calibrated and nothing is asked for.

    Raises:
        InvalidOptionError: recall or time outside its bounds, together with options that describe a plan, or without
            calibrated plans.
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
    """Plan for more results than any plan was calibrated for; ``plans`` are of the largest k."""
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
    """Return what was measured; it does not hold of searches under a filter, unless they are exact."""
    if options.filter is not None and not plan.exact:
        return None
    return Promise(plan.recall, plan.recall_low, plan.milliseconds, met)


def _cut(plan: CalibratedPlan, options: SearchOptions, rows: int, times: int, promise: Promise | None) -> Plan:
    """Return the plan for k results, its lengths and effort ``times`` as large, and at most N."""
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
    asked = [name for name in ("recall", "milliseconds") if getattr(options, name) is not None]
    if asked and options.explicit_options:
        raise InvalidOptionError(
            asked[0],
            f"{' and '.join(asked)} together with {', '.join(options.explicit_options)}: give either what is wanted, "
            "so that a plan is chosen, or the options of the plan itself",
        )
    if asked and not plans:
        raise InvalidOptionError(
            asked[0],
            f"{' and '.join(asked)}: the index has no calibrated plans; measure them with mrl index calibrate",
        )
