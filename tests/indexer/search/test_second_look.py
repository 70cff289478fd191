"""The second look: which queries are searched for again, what they get, and how calibration finds and chooses it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.calibration import choose_plan
from indexer.calibration.exact_answers import QueriesWithAnswers
from indexer.calibration.measure import NO_SECOND_PASS, Meter, SecondPass
from indexer.calibration.queries import MOST_COPIES, QuerySet
from indexer.calibration.second_looks import second_looks
from indexer.kernels.rowset import RowSet
from indexer.plan import SCAN, FunnelStage, Plan, SearchOptions, SecondLook, StopRule
from indexer.search.results import StageClock
from indexer.search.second_look import look_again
from indexer.shortlist.base import Candidates
from indexer.storage.manifest import CalibratedPlan
from tests.indexer.rankers import DS, D, K, make_ranker, unit


@pytest.fixture(scope="module")
def ranker():
    return make_ranker()


@pytest.fixture(scope="module")
def queries():
    return unit(100, 2)


def plan(effort=12, look=None, structure="hnsw", **more):
    return Plan(K, DS, 14, effort, (FunnelStage(D, K),), structure, second_look=look, **more)


def rank(ranker, queries, plan, allowed=None, threads=1):
    clock = StageClock()
    scores, rows = ranker.rank(queries, plan, allowed, clock, threads)
    return scores, rows, clock.stages


def middle(ranker, queries, plan):
    return float(np.median(ranker.candidates(queries, plan, None).scores[:, 0]))


@given(
    st.lists(st.tuples(st.floats(-1, 1, width=32), st.floats(-1, 1, width=32)), min_size=1, max_size=8),
    st.floats(-1, 1, width=32) | st.sampled_from([-math.inf, math.inf]),
)
def test_it_equals_deciding_query_by_query(bests, below):
    first, second = np.array(bests, dtype=np.float32).T
    found = Candidates(first[:, None].copy(), np.arange(len(first))[:, None])
    harder = Candidates(second[:, None], np.arange(len(first))[:, None] + 100)
    merged, again = look_again(
        found, first, SecondLook(below=below, effort=5), lambda hard: Candidates(harder.scores[hard], harder.rows[hard])
    )
    assert again.tolist() == [i for i, best in enumerate(first) if best < below]
    for i, best in enumerate(first):
        expected = harder if best < below else found
        assert (merged.scores[i], merged.rows[i]) == (expected.scores[i], expected.rows[i])
    np.testing.assert_array_equal(found.scores[:, 0], first)  # what was given is not written to


@pytest.mark.parametrize("threads", [1, 2])
def test_hard_queries_get_the_answer_of_more_effort_and_the_others_that_of_less(ranker, queries, threads):
    below = middle(ranker, queries, plan())
    hard = ranker.candidates(queries, plan(), None).scores[:, 0] < below
    _, rows, stages = rank(ranker, queries, plan(look=SecondLook(below=below, effort=200)), threads=threads)
    np.testing.assert_array_equal(rows[hard], rank(ranker, queries, plan(200))[1][hard])
    np.testing.assert_array_equal(rows[~hard], rank(ranker, queries, plan())[1][~hard])
    assert stages[0].again == hard.mean() == 0.5
    looked = plan(look=SecondLook(below=below, effort=200))
    one_by_one = [rank(ranker, query[None], looked)[1][0] for query in queries[:20]]
    np.testing.assert_array_equal(one_by_one, rows[:20])


def test_without_one_no_share_is_told(ranker, queries):
    assert rank(ranker, queries, plan())[2][0].again is None


def test_under_a_filter_only_what_may_be_found_decides(ranker, queries):
    allowed = RowSet(np.flatnonzero(np.arange(4000) % 4), 4000)
    scores, rows, stages = rank(ranker, queries, plan(look=SecondLook(below=math.inf, effort=60)), allowed)
    assert (rows % 4 > 0).all()
    assert (stages[0].structure, stages[0].again) == ("hnsw", 1)
    np.testing.assert_array_equal(scores, rank(ranker, queries, plan(60), allowed)[0])


def test_a_scan_serves_under_a_filter_where_the_second_look_would_take_longer(ranker, queries):
    allowed = RowSet(np.arange(0, 4000, 2), 4000)
    looks = None, SecondLook(below=0, effort=200)
    structures = [rank(ranker, queries, plan(look=look), allowed)[2][0].structure for look in looks]
    assert structures == ["hnsw", SCAN]


def test_calibration_tries_several_shares_of_the_queries(ranker, queries):
    meter, answered = Meter(ranker, 1), [QueriesWithAnswers.of(QuerySet.of("given", queries), ranker.vectors, K, 1)]
    found = list(second_looks(meter, answered, plan()))
    assert [one.second_look.effort for one in found] == [48, 48, 48]
    again = [meter.second_pass(one, answered) for one in found]
    assert [share for share, _ in again] == pytest.approx([0.1, 0.2, 0.4], abs=0.011)
    for one, (share, hard) in zip(found, again, strict=True):
        assert len(hard) == round(share * len(queries))
        assert (ranker.candidates(hard, plan(), None).scores[:, 0] < one.second_look.below).all()
    recalls = [meter.recalls(one, answered).mean for one in [plan(), *found, plan(48)]]
    assert recalls == sorted(recalls)
    assert recalls[0] < recalls[2] < recalls[-1]
    for none in (plan(structure=SCAN), plan(None), found[0]):
        assert list(second_looks(meter, answered, none)) == []
    assert list(second_looks(meter, [answered[0].part(slice(0, 30))], plan())) == []


def test_the_recall_measured_is_that_of_the_search(ranker, queries):
    answered = QueriesWithAnswers.of(QuerySet.of("given", queries), ranker.vectors, K, 1)
    for stop in (None, StopRule(gap=0.05, k=K)):
        one = plan(look=SecondLook(below=middle(ranker, queries, plan()), effort=60), stop=stop)
        scores, rows, _ = rank(ranker, queries, one)
        expected = answered.recalls(scores, rows, K).mean()
        assert Meter(ranker, 1).recalls(one, [answered]).mean == pytest.approx(expected, abs=1e-9)


def test_a_row_that_is_left_out_does_not_pass_for_a_near_one(ranker):
    rows = np.arange(50)
    excluded = np.full((50, MOST_COPIES), -1)
    excluded[:, 0] = rows
    made_of_rows = QuerySet.of("row", ranker.vectors.prefixes(rows, D), excluded)
    best = Meter(ranker, 1).best_scores(plan(100), QueriesWithAnswers.of(made_of_rows, ranker.vectors, K, 1))
    assert (best < 0.9999).all()
    assert (ranker.candidates(made_of_rows.vectors, plan(100), None).scores[:, 0] > 0.9999).all()


def test_its_time_is_that_of_both_ways_by_how_often_each_is_taken(ranker, queries):
    hard = queries[50:52]

    class Timed(Meter):
        def _seconds(self, query, plan):
            if plan.second_look is None:
                return 1.0
            assert plan.second_look.below == math.inf
            assert any((query[0] == one).all() for one in hard)
            return 5.0

    looked = plan(look=SecondLook(below=0.5, effort=200))
    again = [NO_SECOND_PASS, SecondPass(0.25, hard), NO_SECOND_PASS]
    times = Timed(ranker, 1).milliseconds([plan(), looked, looked], again, queries[:4, None], 1, 4, math.inf)
    assert times == [1000, 2000, 1000]


def test_a_chosen_plan_looks_again():
    measured = CalibratedPlan(
        k=K,
        structure="hnsw",
        dims=DS,
        candidates=14,
        effort=12,
        stages=(FunnelStage(D, K),),
        recall=0.97,
        recall_low=0.96,
        milliseconds=0.1,
        second_look=SecondLook(below=0.4, effort=48),
    )
    assert CalibratedPlan.model_validate_json(measured.model_dump_json()) == measured
    assert choose_plan([measured], SearchOptions(recall=0.95), 4000).second_look == SecondLook(below=0.4, effort=48)
    assert choose_plan([measured], SearchOptions(k=2 * K), 4000).second_look == SecondLook(below=0.4, effort=96)
