import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.kernels.merging import merged, without

lists = st.lists(st.sampled_from([0.9, 0.7, 0.5, 0.1]), max_size=6)


def padded(scores, rows, length):
    """One result list as an array of ``length``, padded with -inf and -1."""
    line = np.full((1, length), -np.inf, np.float32), np.full((1, length), -1)
    line[0][0, : len(scores)], line[1][0, : len(rows)] = scores, rows
    return line


@settings(max_examples=60)
@given(scores=lists, hidden=st.sets(st.integers(0, 5)), keep=st.integers(1, 8))
def test_hidden_rows_are_dropped_in_order(scores, hidden, keep):
    scores = sorted(scores, reverse=True)
    mask = np.isin(np.arange(6), list(hidden))
    best, rows, counts = without(*padded(scores, range(len(scores)), 6), mask, keep)
    kept = [row for row in range(len(scores)) if row not in hidden][:keep]
    assert counts.tolist() == [len(kept)]
    assert rows[0].tolist() == kept + [-1] * (keep - len(kept))
    expected = [scores[row] for row in kept] + [-np.inf] * (keep - len(kept))
    np.testing.assert_array_equal(best[0], np.float32(expected))


@settings(max_examples=60)
@given(first=lists, second=lists, length=st.integers(1, 6))
def test_merging_is_a_stable_sort_of_both(first, second, length):
    first, second = (sorted(part, reverse=True)[:length] for part in (first, second))
    rows = range(len(first)), range(10, 10 + len(second))
    best, found = merged(padded(first, rows[0], length), padded(second, rows[1], length))
    both = sorted(zip([*first, *second], [*rows[0], *rows[1]], strict=True), key=lambda pair: -pair[0])[:length]
    assert [row for row in found[0].tolist() if row >= 0] == [row for _, row in both]
    assert (best[0, len(both) :] == -np.inf).all()


@pytest.mark.parametrize("queries", [0, 3])
def test_shapes_follow_the_queries(queries):
    scores, rows = np.full((queries, 4), -np.inf, np.float32), np.full((queries, 4), -1)
    assert without(scores, rows, np.zeros(1, bool), 2)[1].shape == (queries, 2)
    assert merged((scores, rows), (scores, rows))[1].shape == (queries, 4)
