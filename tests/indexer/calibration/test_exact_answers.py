import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.calibration.exact_answers import QueriesWithAnswers, answer_exactly, split_queries
from indexer.calibration.queries import MOST_COPIES, GivenQueries, QuerySet
from indexer.storage.vectors import StoredVectors


@settings(max_examples=20)
@given(seed=st.integers(0, 2**31), k=st.integers(1, 8), copies=st.integers(1, MOST_COPIES))
def test_recall_is_the_share_of_the_exact_answer_without_the_rows_left_out(seed, k, copies):
    rng = np.random.default_rng(seed)
    rows = rng.integers(-3, 4, size=(40, 6)).astype(np.float32)  # coarse, so that scores tie
    rows[10 : 10 + copies] = rows[5]
    vectors = StoredVectors(rows)
    own = np.flatnonzero((rows == rows[5]).all(axis=1))
    if len(own) > MOST_COPIES or not rows[5].any():
        return
    excluded = np.full((1, MOST_COPIES), -1)
    excluded[0, : len(own)] = own
    queries = QuerySet.of("row", rows[5:6], excluded)
    answered = QueriesWithAnswers.of(queries, vectors, k, 1)
    chosen = np.sort(rng.choice(40, 25, replace=False))[None]
    scores, found = vectors.rank(queries.vectors, chosen, 6, k + MOST_COPIES)
    recall = answered.recalls(scores, found, k)[0]

    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    exact = {row: float(unit[row] @ queries.vectors[0]) for row in range(40) if row not in own}
    kth = sorted(exact.values(), reverse=True)[k - 1]
    expected = min(k, sum(exact[row] >= kth - 1e-6 for row in chosen[0] if row in exact)) / k
    assert recall == pytest.approx(expected)


def test_time_decides_how_many_queries_are_examined():
    rows = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    given_, vectors = GivenQueries(rows, seed=0), StoredVectors(rows)
    assert len(answer_exactly(given_, vectors, 5, most=1000, fewest=1, until=0, threads=1)[0]) == 64
    everything = answer_exactly(
        GivenQueries(rows, 0), vectors, 5, most=1000, fewest=1, until=time.monotonic() + 60, threads=1
    )
    assert len(everything[0]) == 300
    first, rest = split_queries(everything, 64)
    assert (len(first[0]), len(rest[0])) == (64, 236)
    assert [len(part[0]) for part in split_queries([rest[0].part(slice(0, 10))], 64)] == [3, 7]
    joined = first[0].joined(rest[0])
    np.testing.assert_array_equal(joined.exact, everything[0].exact)
    np.testing.assert_array_equal(
        np.sort(joined.queries.vectors, axis=0), np.sort(everything[0].queries.vectors, axis=0)
    )
