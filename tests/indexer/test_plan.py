import math

import pytest

from indexer.plan import SCAN, FunnelStage, HybridOptions, SearchOptions, SecondLook, StopRule, make_plan
from models import InvalidOptionError


def plan(rows=1000, **options):
    return make_plan(SearchOptions(**options), rows, 32, 16, "hnsw")


def test_defaults():
    made = plan()
    assert (made.k, made.dims, made.candidates, made.rerank_dims, made.structure) == (10, 16, 200, 32, "hnsw")


@pytest.mark.parametrize(
    ("options", "structure"),
    [
        ({"dims": 8}, "scan"),
        ({"dims": 16, "rerank_dims": 16}, "scan"),
        ({"candidates": 1000}, "scan"),
        ({"candidates": 999}, "hnsw"),
        ({"rerank_dims": 20}, "hnsw"),
    ],
)
def test_the_structure_is_used_only_where_it_serves(options, structure):
    assert plan(**options).structure == structure


def test_a_structure_over_the_full_size_is_used_unless_an_exact_search_is_asked_for():
    own = make_plan(SearchOptions(), 1000, 32, 32, "hnsw")
    exact = make_plan(SearchOptions(dims=32), 1000, 32, 32, "hnsw")
    assert (own.structure, own.single) == ("hnsw", False)
    assert (exact.structure, exact.single) == ("scan", True)


def test_k_and_candidates_are_cut_to_the_rows_there_are():
    made = plan(rows=5, k=50)
    assert (made.k, made.candidates) == (5, 5)


def test_candidates_grow_with_k():
    assert plan(k=300).candidates == 600


@pytest.mark.parametrize(
    ("options", "param", "message"),
    [
        ({"k": 0}, "k", "k 0: give at least 1"),
        ({"dims": 0}, "dims", "dims 0: allowed are 1 to 32"),
        ({"dims": 33}, "dims", "dims 33: allowed are 1 to 32"),
        ({"rerank_dims": 33}, "rerank_dims", "rerank_dims 33: allowed are 1 to 32"),
        ({"rerank_dims": 8}, "rerank_dims", "rerank_dims 8 is smaller than dims 16"),
        ({"candidates": 5}, "candidates", "candidates 5 is smaller than k 10"),
        ({"effort": 0}, "effort", "effort 0: give at least 1"),
    ],
)
def test_options_outside_their_bounds(options, param, message):
    with pytest.raises(InvalidOptionError, match=message) as caught:
        plan(**options)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fusion": "sum"}, "fusion 'sum': allowed are rrf, weighted"),
        ({"weight": 1.5}, "weight 1.5 .*give 0 to 1"),
        ({"weight": float("nan")}, "weight nan"),
        ({"candidates": 0}, "0 candidates for hybrid search: give at least 1"),
    ],
)
def test_hybrid_options_outside_their_bounds(options, message):
    with pytest.raises(InvalidOptionError, match=message) as raised:
        HybridOptions(**options)
    assert raised.value.param == "hybrid"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gap": -0.1}, "gap -0.1: give a difference of scores, 0 or more"),
        ({"gap": math.inf}, "gap inf: give a difference of scores"),
        ({"gap": math.nan}, "gap nan: give a difference of scores"),
        ({"gap": 0.1, "k": 0}, "k 0: give at least 1"),
        ({"gap": 0.1, "probability": 0}, "probability 0: give more than 0 and at most 1"),
        ({"gap": 0.1, "probability": 1.01}, "probability 1.01"),
        ({"gap": 0.1, "probability": math.nan}, "probability nan"),
    ],
)
def test_stop_rules_outside_their_bounds(options, message):
    with pytest.raises(InvalidOptionError, match=message) as caught:
        StopRule(**options)
    assert caught.value.param == "stop"


@pytest.mark.parametrize(("below", "effort"), [(math.nan, 9), (0.5, 0), (0.5, -1)])
def test_second_looks_outside_their_bounds(below, effort):
    with pytest.raises(InvalidOptionError, match="second look") as caught:
        SecondLook(below=below, effort=effort)
    assert caught.value.param == "second_look"


def test_a_scan_takes_no_second_look():
    look = SecondLook(below=0.5, effort=200)
    assert (plan(dims=8, second_look=look).structure, plan(dims=8, second_look=look).second_look) == (SCAN, None)
    assert plan(dims=16, second_look=look).second_look == look


@pytest.mark.parametrize("first", [200, 300])
def test_a_second_look_needs_more_effort_than_the_first(first):
    with pytest.raises(InvalidOptionError, match=f"effort 200: give more than the first's, {first}"):
        plan(effort=first, second_look=SecondLook(below=0.5, effort=200))


def test_a_certified_stop_needs_the_structures_own_prefix_and_a_first_rerank_by_all_dimensions():
    assert plan(stop=StopRule()).stop == StopRule()
    for options in ({"dims": 8}, {"stages": (FunnelStage(24, 50),)}):
        with pytest.raises(InvalidOptionError, match="a certified stop needs a shortlist of 16 dimensions"):
            plan(stop=StopRule(), **options)
        assert plan(stop=StopRule(gap=0.1), **options).stop.gap == 0.1


@pytest.mark.parametrize("stage", [FunnelStage(8, 50), FunnelStage(24, 201), FunnelStage(24, 5)])
def test_a_funnel_grows_in_dimensions_and_shrinks_in_candidates(stage):
    with pytest.raises(InvalidOptionError, match="dimensions must not fall and candidates not grow") as caught:
        plan(stages=(stage,))
    assert caught.value.param == "stages"


def test_a_widened_plan_keeps_at_least_the_wanted_rows_at_every_stage():
    wide = plan(stages=(FunnelStage(24, 50),)).widened(80, 60)
    assert (wide.k, wide.candidates) == (80, 80)
    assert wide.stages == (FunnelStage(24, 80), FunnelStage(32, 80))


def test_explicit_options_are_those_that_describe_a_plan():
    assert SearchOptions(k=3, recall=0.9, hybrid=HybridOptions()).explicit_options == []
    given = SearchOptions(dims=8, stages=(FunnelStage(24, 50),), stop=StopRule())
    assert given.explicit_options == ["dims", "stages", "stop"]


def test_options_are_keyword_only():
    for options in (SearchOptions, StopRule, SecondLook, HybridOptions):
        with pytest.raises(TypeError, match="positional"):
            options(1)
