import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import InvalidOptionError, truncate
from models.evaluation.retrieval import RetrievalPlan, average_precision, evaluate_retrieval
from tests.models.evaluation.naive import in_order

SIZES = (8, 12, 16, 32, 64)


def naive_average_precision(found, relevant, k):
    """The definition, from the list of rows found and the set of relevant rows."""
    total = 0.0
    for rank in range(1, k + 1):
        if rank <= len(found) and found[rank - 1] in relevant:
            total += sum(row in relevant for row in found[:rank]) / rank
    return total / min(k, len(relevant)) if relevant else 0.0


@given(st.lists(st.integers(0, 3), min_size=1, max_size=25), st.integers(0, 4), st.integers(1, 12), st.randoms())
def test_average_precision_equals_its_definition(labels, own, k, random):
    found = list(range(len(labels)))
    random.shuffle(found)
    relevant = {row for row, label in enumerate(labels) if label == own}
    hits = np.array([[labels[row] == own for row in found]])
    value = average_precision(hits, np.array([len(relevant)]), k)[0]
    assert math.isclose(value, naive_average_precision(found, relevant, k), abs_tol=1e-12)
    assert 0 <= value <= 1


def test_average_precision_is_divided_by_the_number_of_relevant_rows():
    found_all = np.array([[True, True, True] + [False] * 7])
    assert average_precision(found_all, np.array([3]))[0] == 1.0, "divided by 10 it would be 0.3"
    found_one = np.array([[True] + [False] * 9])
    assert average_precision(found_one, np.array([500]))[0] == 0.1, "divided by the hits found it would be 1"
    assert average_precision(np.array([[False] * 10]), np.array([0]))[0] == 0.0


@pytest.fixture(scope="module")
def labelled():
    """Clusters whose leading dimensions carry the most; label 99 has queries and no row in the database."""
    rng = np.random.default_rng(5)
    scale = np.linspace(2, 0.4, 64)
    centres = rng.normal(size=(12, 64)) * scale
    labels = rng.integers(0, 12, size=660)
    vectors = (centres[labels] + 1.6 * rng.normal(size=(660, 64)) * scale).astype(np.float32)
    labels[-5:] = 99
    return vectors[:600], labels[:600], vectors[600:], labels[600:]


def naive_search(plan, database, query):
    """A plan for a single query, taken literally: truncate, normalise, sort, keep, repeat."""
    rows = list(range(len(database)))
    for stage, size in enumerate(plan.sizes):
        cut = database[:, :size] / np.linalg.norm(database[:, :size], axis=1, keepdims=True)
        scores = cut @ (query[:size] / np.linalg.norm(query[:size]))
        rows = in_order(scores, rows)
        if stage < len(plan.keeps):
            rows = rows[: plan.keeps[stage]]
    return rows


PLANS = [
    *(RetrievalPlan((size,)) for size in SIZES),
    RetrievalPlan((8, 64), (200,)),
    RetrievalPlan((8, 16), (40,)),
    RetrievalPlan((16, 64), (1000,)),
    RetrievalPlan.funnel(8, 64),
    RetrievalPlan((8, 12, 32, 64), (60, 30, 15)),
]


def test_every_plan_equals_the_naive_search(labelled):
    database, database_labels, queries, query_labels = labelled
    for plan, score in zip(PLANS, evaluate_retrieval(*labelled, PLANS), strict=True):
        found = [naive_search(plan, database.astype(np.float64), query.astype(np.float64)) for query in queries]
        relevant = [set(np.flatnonzero(database_labels == label).tolist()) for label in query_labels]
        expected = [naive_average_precision(rows, own, 10) for rows, own in zip(found, relevant, strict=True)]
        assert math.isclose(score.map, sum(expected) / len(expected), abs_tol=1e-9), plan
        top1 = [rows[0] in own for rows, own in zip(found, relevant, strict=True)]
        assert math.isclose(score.top1, sum(top1) / len(top1)), plan
        longest = plan.keeps[-1] if plan.keeps else 600
        assert list(score.precision) == [k for k in (10, 25, 50, 100) if k <= longest]
        for k, value in score.precision.items():
            precisions = [sum(row in own for row in rows[:k]) / k for rows, own in zip(found, relevant, strict=True)]
            assert math.isclose(value, sum(precisions) / len(precisions)), (plan, k)


def test_a_plan_scores_the_same_alone_and_among_other_plans(labelled):
    together = evaluate_retrieval(*labelled, PLANS)
    for plan, score in zip(PLANS, together, strict=True):
        assert evaluate_retrieval(*labelled, [plan])[0].map == pytest.approx(score.map, abs=1e-12)


def test_prefixes_are_renormalised(labelled):
    database, database_labels, queries, query_labels = labelled
    lengths = np.random.default_rng(0).uniform(0.1, 10, size=(600, 1)).astype(np.float32)
    (scaled,) = evaluate_retrieval(database * lengths, database_labels, queries, query_labels, [PLANS[0]])
    (plain,) = evaluate_retrieval(*labelled, [PLANS[0]])
    assert scaled.map == pytest.approx(plain.map, abs=1e-6)
    cut = truncate(database, 64)[:, :8]
    unnormalised = np.argmax(queries[:, :8] @ cut.T, axis=1)
    assert (database_labels[unnormalised] == query_labels).mean() != plain.top1


def test_a_database_of_fewer_rows_than_k():
    vectors = np.eye(4, dtype=np.float32)
    labels = np.array(["a", "a", "b", "c"])
    plans = [RetrievalPlan((4,)), RetrievalPlan((2, 4), (10,))]
    single, adaptive = evaluate_retrieval(vectors, labels, vectors[:1], labels[:1], plans)
    assert single.map == adaptive.map == 1.0, "both rows labelled a come first: ties go by row"
    assert (single.precision, adaptive.precision) == ({}, {})
    assert adaptive.multiply_adds == 2 * 4 + 4 * 4, "at most all rows are reranked"


def test_multiply_adds_are_those_of_the_paper():
    # MRL, section 4.3.1: 1.281 million rows, Ds = 16, K = 200, Dr = 2048.
    assert RetrievalPlan((2048,)).multiply_adds(1_281_167) == (2_623_830_016, 2_623_830_016)
    scan, total = RetrievalPlan((16, 2048), (200,)).multiply_adds(1_281_167)
    assert (scan, total - scan) == (20_498_672, 409_600)
    assert round(2_623_830_016 / scan) == 128
    assert round(2_623_830_016 / total, 1) == 125.5


def test_the_funnel_is_the_papers():
    plan = RetrievalPlan.funnel(16, 2048)
    assert plan == RetrievalPlan((16, 32, 64, 128, 256, 2048), (200, 100, 50, 25, 10))
    scan, total = plan.multiply_adds(1000)
    assert total - scan == 200 * 32 + 100 * 64 + 50 * 128 + 25 * 256 + 10 * 2048
    assert RetrievalPlan.funnel(64, 256) == RetrievalPlan((64, 128, 256), (200, 100))
    assert RetrievalPlan.funnel(128, 300).sizes == (128, 256, 300)
    assert [RetrievalPlan.funnel(first, 256).kind for first in (64, 128)] == ["funnel", "adaptive"]


@pytest.mark.parametrize(("sizes", "keeps"), [((), ()), ((8,), (10,)), ((8, 16), ()), ((8, 16), (9,))])
def test_invalid_plans_are_refused(sizes, keeps):
    with pytest.raises(InvalidOptionError, match="give at least one size"):
        RetrievalPlan(sizes, keeps)
