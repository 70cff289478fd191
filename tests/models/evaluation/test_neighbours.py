import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.evaluation.neighbours import nearest, rerank, score_blocks
from tests.models.evaluation.naive import in_order

few = st.integers(-2, 2).map(float)  # few values, so that ties are common


@given(st.integers(1, 30).flatmap(lambda n: arrays(np.float32, (3, n), elements=few)), st.integers(1, 40))
def test_nearest_equals_sorting_with_ties_by_row(scores, keep):
    found = nearest(scores, keep)
    assert found.tolist() == [in_order(row, range(len(row)))[:keep] for row in scores]


@given(arrays(np.float32, (2, 20), elements=few), st.permutations(range(20)), st.integers(1, 12), st.integers(1, 12))
def test_rerank_equals_sorting_and_does_not_modify_its_input(scores, order, count, keep):
    candidates = np.array([order[:count], order[-count:]])
    before = candidates.copy()
    found = rerank(scores, candidates, keep)
    expected = [in_order(row, rows)[:keep] for row, rows in zip(scores, before.tolist(), strict=True)]
    assert found.tolist() == expected
    np.testing.assert_array_equal(candidates, before)


def test_blocks_cover_all_queries_once():
    rng = np.random.default_rng(0)
    queries = {4: rng.normal(size=(23, 4)).astype(np.float32), 2: rng.normal(size=(23, 2)).astype(np.float32)}
    database = {4: rng.normal(size=(10, 4)).astype(np.float32), 2: rng.normal(size=(10, 2)).astype(np.float32)}
    blocks = list(score_blocks(queries, database, budget=4 * 10 * 2 * 5))
    assert [start for start, _ in blocks] == [0, 5, 10, 15, 20]
    for size in (2, 4):
        together = np.concatenate([scores[size] for _, scores in blocks])
        np.testing.assert_allclose(together, queries[size] @ database[size].T, rtol=1e-5, atol=1e-6)
    assert len(list(score_blocks(queries, database, budget=1))) == 23, "never fewer than one query"
