import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.kernels.rowset import RowSet
from indexer.plan import SCAN, FunnelStage, Plan
from indexer.search.filter_cache import Selection
from indexer.watch.repeat import SampledQuery
from models import truncate
from tests.indexer.watch.views import SHORTLIST, D, K, NaiveView


@given(st.integers(1, 12), st.integers(0, 2**32 - 1), st.sampled_from([2, D]), st.booleans())
def test_recall_equals_counting_by_hand(k, seed, rerank, filtered):
    rng = np.random.default_rng(seed)
    # Few distinct vectors, so that ties are common, also at the end of the answer.
    exact = NaiveView(rng.normal(size=(6, D)).astype(np.float32)[rng.integers(6, size=30)])
    among = np.flatnonzero(rng.random(30) < 0.5) if filtered else np.arange(30)
    selection = Selection(RowSet(among, 30), np.zeros(0, np.int64)) if filtered else None
    query = rng.normal(size=(1, D)).astype(np.float32)
    scores = (truncate(query, D) @ truncate(exact.rows, D).T)[0]
    count = min(k, len(among))
    rows = np.full((1, k), -1)
    rows[0, :count] = rng.permutation(among)[:count]
    answer = np.where(rows >= 0, (truncate(query, rerank) @ truncate(exact.rows, rerank).T)[0][rows], -np.inf)
    plan = Plan(k, 2, 20, None, (FunnelStage(rerank, k),), "hnsw")
    recall = SampledQuery(query, plan, answer.astype(np.float32), rows, selection, exact).recall()
    if not count:
        assert recall is None
        return
    worst = np.sort(scores[among])[-count]
    assert recall == np.count_nonzero(scores[rows[0, :count]] >= worst - 1e-6) / count


def sampled(plan=SHORTLIST, selection=None):
    view = NaiveView(np.eye(D, dtype=np.float32), "000007")
    return SampledQuery(np.ones((1, D), np.float32), plan, np.zeros((1, K)), np.zeros((1, K)), selection, view)


@pytest.mark.parametrize(
    ("plan", "exact"),
    [
        (SHORTLIST, False),
        (Plan(K, D, K, None, (FunnelStage(D, K),), SCAN), True),
        (Plan(K, 4, K, None, (FunnelStage(4, K),), SCAN), False),
    ],
    ids=["shortlist", "scan", "scan-of-a-prefix"],
)
def test_only_a_scan_at_the_full_dimension_is_exact(plan, exact):
    assert sampled(plan).exact == exact


def test_a_query_knows_its_generation_and_the_size_of_its_filter():
    assert sampled().generation == "000007"
    assert sampled().selected == 0
    added = np.arange(8, 11)
    assert sampled(selection=Selection(RowSet(np.arange(5), 8), added)).selected == 8
    assert sampled(selection=Selection(None, added)).selected == 3
