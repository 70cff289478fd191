"""The second look: which queries are searched for again, what they get, and how calibration finds and chooses it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.kernels.rowset import RowSet
from indexer.plan import SCAN, FunnelStage, Plan, SecondLook
from indexer.search.results import StageClock
from indexer.search.second_look import look_again
from indexer.shortlist.base import Candidates
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
