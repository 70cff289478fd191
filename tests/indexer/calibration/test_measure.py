import math

import numpy as np
import pytest

from indexer import Index, SearchOptions
from indexer.calibration.exact_answers import QueriesWithAnswers
from indexer.calibration.measure import NO_SECOND_PASS, Meter, SecondPass, alternating
from indexer.calibration.queries import MOST_COPIES, QuerySet
from indexer.plan import FunnelStage, Plan, SecondLook, StopRule
from indexer.search.results import StageClock
from tests.conftest import DIMENSION, make_encoder, make_texts
from tests.indexer.rankers import D, K, graph_plan


@pytest.fixture(scope="module")
def rows_as_queries(ranker):
    """Queries that are rows of the index, each with itself excluded."""
    excluded = np.full((50, MOST_COPIES), -1)
    excluded[:, 0] = np.arange(50)
    queries = QuerySet.of("row", ranker.vectors.prefixes(np.arange(50), D), excluded)
    return QueriesWithAnswers.of(queries, ranker.vectors, K, 1)


def test_the_meter_finds_what_a_search_finds(opened):
    queries = make_encoder().encode_queries(make_texts(30, seed=9))
    answered = [QueriesWithAnswers.of(QuerySet.of("given", queries), opened.vectors, 10, 1)]
    plan = Plan(10, 8, 20, 20, (FunnelStage(DIMENSION, 10),), "hnsw")
    meter = Meter(opened.ranker, 1)
    recalls = meter.recalls(plan, answered)
    with Index.open(opened.path.parent.parent, encoder=make_encoder()) as index:
        scores, _ = index.rank(queries, plan)
        exact, _ = index.rank(queries, index.plan(SearchOptions(dims=DIMENSION)))
    assert recalls.mean == pytest.approx(float(np.mean(scores >= exact[:, -1:] - 1e-6)))
    assert meter.recalls_of([plan], answered, until=math.inf)[0].mean == pytest.approx(recalls.mean)
    assert meter.trial(plan, answered).recall == recalls.mean
    times = meter.milliseconds([plan, plan], [NO_SECOND_PASS, NO_SECOND_PASS], queries[:, None], 3, 5, until=0)
    assert len(times) == 2
    assert all(0 < milliseconds < 1000 for milliseconds in times)


def test_a_stop_rule_lowers_the_measured_recall(ranker, answered):
    tight = graph_plan(160, candidates=160, stop=StopRule(gap=0.0, k=K))
    scores, _ = ranker.rank(answered[0].queries.vectors, tight, None, StageClock())
    expected = np.mean(scores >= answered[0].exact[:, K - 1 : K] - 1e-6)
    assert expected < 0.8
    assert Meter(ranker, 1).recalls(tight, answered).mean == pytest.approx(expected)


def test_an_excluded_row_takes_no_place_among_the_first_k(ranker, rows_as_queries):
    plan = graph_plan(160, candidates=160, stop=StopRule(gap=2, k=K))
    scores, found = Meter(ranker, 1)._rank_visible(plan, rows_as_queries)
    assert (found != np.arange(50)[:, None]).all()
    assert np.mean(scores >= rows_as_queries.exact[:, K - 1 : K] - 1e-6) > 0.9


def test_an_excluded_row_is_not_the_best_score_of_a_query(ranker, rows_as_queries):
    best = Meter(ranker, 1).best_scores(graph_plan(100), rows_as_queries)
    assert (best < 0.9999).all()
    found = ranker.candidates(rows_as_queries.queries.vectors, graph_plan(100), None)
    assert (found.scores[:, 0] > 0.9999).all()


@pytest.mark.parametrize("stop", [None, StopRule(gap=0.05, k=K)], ids=["all-candidates", "gap"])
def test_recall_with_a_second_look_is_that_of_the_search(ranker, answered, stop):
    queries = answered[0].queries.vectors
    median = float(np.median(ranker.candidates(queries, graph_plan(), None).scores[:, 0]))
    plan = graph_plan(second_look=SecondLook(below=median, effort=60), stop=stop)
    scores, rows = ranker.rank(queries, plan, None, StageClock())
    expected = answered[0].recalls(scores, rows, K).mean()
    assert Meter(ranker, 1).recalls(plan, answered).mean == pytest.approx(expected, abs=1e-9)


def test_the_queries_of_a_second_pass_are_those_below_the_threshold(ranker, answered):
    meter, queries = Meter(ranker, 1), answered[0].queries.vectors
    best = ranker.candidates(queries, graph_plan(), None).scores[:, 0]
    plan = graph_plan(second_look=SecondLook(below=float(np.quantile(best, 0.3)), effort=60))
    share, hard = meter.second_pass(plan, answered)
    assert share == pytest.approx(0.3)
    np.testing.assert_array_equal(hard, queries[best < plan.second_look.below])
    assert meter.second_pass(graph_plan(), answered) is NO_SECOND_PASS


def test_latency_with_a_second_look_is_the_average_of_both_paths_by_their_frequency(ranker, answered):
    queries = answered[0].queries.vectors
    hard = queries[50:52]

    class Timed(Meter):
        def _seconds(self, query, plan):
            if plan.second_look is None:
                return 1.0
            assert plan.second_look.below == math.inf
            assert any((query[0] == vector).all() for vector in hard)
            return 5.0

    meter, looked = Timed(ranker, 1), graph_plan(second_look=SecondLook(below=0.5, effort=200))
    passes = [NO_SECOND_PASS, SecondPass(0.25, hard), NO_SECOND_PASS]
    times = meter.milliseconds([graph_plan(), looked, looked], passes, queries[:4, None], 1, 4, math.inf)
    assert times == [1000, 2000, 1000]
    assert meter.milliseconds([looked], passes[:1], [], 1, 4, math.inf) == [0]


def test_recall_of_an_exact_plan_is_not_measured(ranker):
    plan = Plan(K, D, K, None, (FunnelStage(D, K),), "scan")
    nothing = QueriesWithAnswers(QuerySet.of("given", np.ones((1, D), np.float32)), np.full((1, K), np.nan))
    assert Meter(ranker, 1).trial(plan, [nothing]).recall == 1


def test_time_decides_how_many_queries_are_measured(ranker, answered):
    twice = [answered[0].joined(answered[0])]
    meter = Meter(ranker, 1)
    assert [recalls.counts for recalls in meter.recalls_of([graph_plan()], twice, until=0)] == [[100]]
    assert [recalls.counts for recalls in meter.recalls_of([graph_plan()], twice, until=math.inf)] == [[200]]


def test_kinds_of_queries_take_turns(answered):
    first, second = answered[0].part(slice(0, 2)), answered[0].part(slice(2, 4))
    vectors = answered[0].queries.vectors
    np.testing.assert_array_equal(list(alternating([first, second])), vectors[[0, 2, 1, 3]][:, None])
