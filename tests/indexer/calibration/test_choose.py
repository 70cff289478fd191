import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer import SearchOptions
from indexer.calibration import DEFAULT_RECALL, choose_plan
from indexer.plan import SCAN, FunnelStage, Plan, Promise, SecondLook, StopRule
from indexer.storage.manifest import CalibratedPlan
from models import InvalidOptionError


def calibrated(k, recall_low, milliseconds, candidates=50, effort=100, between=(), **more):
    stages = (*(FunnelStage(*stage) for stage in between), FunnelStage(32, k))
    return CalibratedPlan(
        k=k,
        structure="hnsw",
        dims=8,
        candidates=candidates,
        effort=effort,
        stages=stages,
        recall=min(1.0, recall_low + 0.01),
        recall_low=recall_low,
        milliseconds=milliseconds,
        **more,
    )


def scan(k, milliseconds):
    stages = (FunnelStage(32, k),)
    return CalibratedPlan(
        k=k, structure=SCAN, dims=32, candidates=k, effort=None, stages=stages, recall=1, recall_low=1,
        milliseconds=milliseconds,
    )  # fmt: skip


PLANS = (
    calibrated(10, 0.8, 0.1),
    calibrated(10, 0.93, 0.2),
    calibrated(10, 0.96, 0.4, candidates=100, between=[(16, 40)]),
    calibrated(10, 0.985, 1.0),
    scan(10, 3.0),
    calibrated(100, 0.9, 0.5, candidates=200),
    scan(100, 3.5),
)


@pytest.mark.parametrize(
    ("options", "milliseconds", "met"),
    [
        ({}, 0.4, True),
        ({"recall": 0.9}, 0.2, True),
        ({"recall": 0.96}, 0.4, True),
        ({"recall": 0.99}, 3.0, True),
        ({"recall": 1.0}, 3.0, True),
        ({"milliseconds": 0.5}, 0.4, True),
        ({"milliseconds": 100}, 3.0, True),
        ({"milliseconds": 0.01}, 0.1, False),
        ({"recall": 0.9, "milliseconds": 1.0}, 0.2, True),
        ({"recall": 0.99, "milliseconds": 1.0}, 1.0, False),
        ({"recall": 0.99, "milliseconds": 0.05}, 0.1, False),
        ({"k": 3}, 0.4, True),
        ({"k": 11, "recall": 0.9}, 0.5, True),
    ],
)
def test_the_fastest_plan_that_satisfies_the_options_is_chosen_or_the_closest(options, milliseconds, met):
    plan = choose_plan(PLANS, SearchOptions(**options), 3000)
    assert (plan.promise.milliseconds, plan.promise.met) == (milliseconds, met)
    assert plan.k == plan.stages[-1].keep == options.get("k", 10)


def test_a_chosen_plan_is_the_calibrated_one_with_its_promise():
    plan = choose_plan(PLANS, SearchOptions(recall=0.95), 3000)
    assert plan == Plan(
        10, 8, 100, 100, (FunnelStage(16, 40), FunnelStage(32, 10)), "hnsw", promise=Promise(0.97, 0.96, 0.4)
    )
    tiny = choose_plan(PLANS, SearchOptions(k=10), 30)
    assert (tiny.k, tiny.candidates, tiny.stages[0].keep) == (10, 30, 30)
    assert choose_plan(PLANS, SearchOptions(), 4).k == 4


def test_by_default_a_slow_scan_does_not_replace_a_plan_that_falls_short():
    near = calibrated(10, 0.94, 0.2)
    assert DEFAULT_RECALL == 0.95
    assert choose_plan([near, scan(10, 1.9)], SearchOptions(), 3000).structure == SCAN
    plan = choose_plan([near, scan(10, 2.1)], SearchOptions(), 3000)
    assert (plan.structure, plan.promise.met) == ("hnsw", False)
    # A recall that is asked for is reached.
    assert choose_plan([near, scan(10, 2.1)], SearchOptions(recall=0.95), 3000).structure == SCAN


def test_more_results_than_were_calibrated_are_exact_for_a_recall_and_scaled_otherwise():
    plan = choose_plan(PLANS, SearchOptions(k=250, recall=0.9), 3000)
    assert (plan.single, plan.k, plan.promise.recall_low) == (True, 250, 1)
    plan = choose_plan(PLANS, SearchOptions(k=250), 3000)
    assert (plan.structure, plan.k, plan.promise) == (SCAN, 250, Promise(1, 1, 3.5, True))
    plan = choose_plan(PLANS, SearchOptions(k=250, milliseconds=2), 3000)
    assert (plan.structure, plan.k, plan.candidates, plan.effort, plan.promise) == ("hnsw", 250, 600, 300, None)


def test_a_promise_is_not_made_for_filtered_searches_unless_they_are_exact():
    condition = object()
    assert choose_plan(PLANS, SearchOptions(filter=condition), 3000).promise is None
    assert choose_plan(PLANS, SearchOptions(filter=condition, recall=1.0), 3000).promise.recall_low == 1


@pytest.mark.parametrize("options", [{"dims": 8}, {"candidates": 50}, {"effort": 5}, {"stages": (FunnelStage(8, 20),)}])
def test_a_plan_described_by_options_is_not_chosen(options):
    assert choose_plan(PLANS, SearchOptions(**options), 3000) is None
    with pytest.raises(InvalidOptionError, match=f"recall together with {next(iter(options))}: give either"):
        choose_plan(PLANS, SearchOptions(**options, recall=0.9), 3000)


@pytest.mark.parametrize(
    ("options", "plans", "message"),
    [
        ({"recall": 0}, PLANS, "recall 0: give more than 0 and at most 1"),
        ({"recall": 1.1}, PLANS, "recall 1.1"),
        ({"recall": math.nan}, PLANS, "recall nan"),
        ({"milliseconds": 0}, PLANS, "milliseconds 0: give more than 0"),
        ({"milliseconds": -1}, PLANS, "milliseconds -1"),
        ({"recall": 0.9, "milliseconds": 1, "dims": 8}, PLANS, "recall and milliseconds together with dims"),
        ({"recall": 0.9}, (), "recall: the index has no calibrated plans; measure them with mrl index calibrate"),
    ],
)
def test_impossible_targets_are_refused(options, plans, message):
    with pytest.raises(InvalidOptionError, match=message):
        choose_plan(plans, SearchOptions(**options), 3000)


def test_without_calibrated_plans_there_is_nothing_to_choose():
    assert choose_plan((), SearchOptions(), 3000) is None


plans_of_ten = st.lists(
    st.tuples(st.integers(1, 99), st.integers(1, 50)).map(lambda pair: calibrated(10, pair[0] / 100, pair[1] / 10)),
    min_size=1,
    max_size=12,
)


@given(plans_of_ten, st.floats(0.01, 1), st.floats(0.05, 6))
def test_the_choice_equals_a_search_over_all_plans(plans, recall, milliseconds):
    promise = choose_plan(plans, SearchOptions(recall=recall, milliseconds=milliseconds), 3000).promise
    fit = [plan for plan in plans if plan.recall_low >= recall and plan.milliseconds <= milliseconds]
    in_time = [plan for plan in plans if plan.milliseconds <= milliseconds]
    assert promise.met == bool(fit)
    if fit:
        assert promise.milliseconds == min(plan.milliseconds for plan in fit)
        assert promise.recall_low >= recall
    elif in_time:
        assert promise.recall_low == max(plan.recall_low for plan in in_time)
    else:
        assert promise.milliseconds == min(plan.milliseconds for plan in plans)


def test_a_chosen_plan_has_the_calibrated_second_look_scaled_with_k():
    measured = calibrated(10, 0.96, 0.1, effort=12, second_look=SecondLook(below=0.4, effort=48))
    assert CalibratedPlan.model_validate_json(measured.model_dump_json()) == measured
    assert choose_plan([measured], SearchOptions(recall=0.95), 4000).second_look == SecondLook(below=0.4, effort=48)
    assert choose_plan([measured], SearchOptions(k=20), 4000).second_look == SecondLook(below=0.4, effort=96)


def test_a_chosen_plan_stops_at_the_calibrated_gap():
    measured = calibrated(10, 0.96, 0.1, candidates=160, gap=0.05)
    assert choose_plan([measured], SearchOptions(recall=0.95), 4000).stop == StopRule(gap=0.05, k=10)
