"""Stop rules in calibration: fitted to queries, measured like any plan, chosen and followed."""

import numpy as np
import pytest

from indexer.calibration import choose_plan
from indexer.calibration.exact_answers import QueriesWithAnswers
from indexer.calibration.measure import Meter
from indexer.calibration.queries import MOST_COPIES, QuerySet
from indexer.calibration.stop_rules import stop_rules
from indexer.plan import SCAN, FunnelStage, Plan, SearchOptions, StopRule
from indexer.search.results import StageClock
from indexer.storage.manifest import CalibratedPlan
from tests.indexer.rankers import DS, D, K, make_ranker, unit


@pytest.fixture(scope="module")
def ranker():
    return make_ranker()


@pytest.fixture(scope="module")
def answered(ranker):
    return [QueriesWithAnswers.of(QuerySet.of("given", unit(100, 2)), ranker.vectors, K, 1)]


def plan(structure="hnsw", candidates=60, effort=160):
    return Plan(K, DS, candidates, effort, (FunnelStage(D, K),), structure)


def test_the_whole_beam_becomes_candidates_and_most_queries_get_the_answer_of_reading_all(ranker, answered):
    queries = answered[0].queries.vectors
    found = list(stop_rules(ranker, answered, plan(), 1))
    assert [(one.candidates, one.stop.probability, one.stop.k) for one in found] == [(160, 0.9, K), (160, 0.97, K)]
    whole = Plan(K, DS, 160, 160, (FunnelStage(D, K),), "hnsw")
    _, rows = ranker.rank(queries, whole, None, StageClock())
    for one in found:
        clock = StageClock()
        _, stopped = ranker.rank(queries, one, None, clock)
        assert np.mean((stopped == rows).all(axis=1)) >= one.stop.probability
        assert K < clock.stages[-1].read < 160


def test_recall_is_measured_under_the_stop_rule(ranker, answered):
    tight = Plan(K, DS, 160, 160, (FunnelStage(D, K),), "hnsw", stop=StopRule(gap=0.0, k=K))
    scores, _ = ranker.rank(answered[0].queries.vectors, tight, None, StageClock())
    expected = np.mean(scores >= answered[0].exact[:, K - 1 : K] - 1e-6)
    assert expected < 0.8
    assert Meter(ranker, 1).recalls(tight, answered).mean == pytest.approx(expected)


def test_a_row_that_is_left_out_takes_no_place_among_the_first_k(ranker):
    rows = np.arange(50)
    excluded = np.full((50, MOST_COPIES), -1)
    excluded[:, 0] = rows
    queries = QuerySet.of("row", ranker.vectors.prefixes(rows, D), excluded)
    one = QueriesWithAnswers.of(queries, ranker.vectors, K, 1)
    scores, found = Meter(ranker, 1)._rank_visible(
        Plan(K, DS, 160, 160, (FunnelStage(D, K),), "hnsw", stop=StopRule(gap=2, k=K)), one
    )
    assert (found != rows[:, None]).all()
    assert np.mean(scores >= one.exact[:, K - 1 : K] - 1e-6) > 0.9


@pytest.mark.parametrize("given", [plan(SCAN), plan(candidates=20, effort=20)])
def test_scans_and_short_lists_read_all(ranker, answered, given):
    assert list(stop_rules(ranker, answered, given, 1)) == []


def test_too_few_queries_fit_no_gap(ranker, answered):
    assert list(stop_rules(ranker, [answered[0].part(slice(0, 30))], plan(), 1)) == []


def test_a_chosen_plan_has_its_gap():
    measured = CalibratedPlan(
        k=K,
        structure="hnsw",
        dims=DS,
        candidates=160,
        effort=160,
        stages=(FunnelStage(D, K),),
        recall=0.97,
        recall_low=0.96,
        milliseconds=0.1,
        gap=0.05,
    )
    assert choose_plan([measured], SearchOptions(recall=0.95), 4000).stop == StopRule(gap=0.05, k=K)
