"""Fusion against its naive form."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.search.fusion import best_rows, fuse_ranks, fuse_scores

rows = st.lists(st.integers(0, 30), unique=True, max_size=12)
weights = st.floats(0, 1)


@given(dense=rows, lexical=rows, weight=weights)
def test_reciprocal_ranks_are_those_of_the_naive_form(dense, lexical, weight):
    naive = {}
    for found, share in ((dense, weight), (lexical, 1 - weight)):
        for rank, row in enumerate(found, start=1):
            naive[row] = naive.get(row, 0) + share / (60 + rank)
    union = sorted(naive)
    scores = fuse_ranks(*(np.array(part, np.int64) for part in (union, dense, lexical)), weight)
    assert scores == pytest.approx([naive[row] for row in union])


scores_of_both = st.lists(st.tuples(st.floats(-1, 1, width=32), st.floats(0, 50, width=32)), min_size=1, max_size=12)


@given(pairs=scores_of_both, weight=weights)
def test_weighted_scores_are_those_of_the_naive_form(pairs, weight):
    cosines, words = (np.array(column, np.float32) for column in zip(*pairs, strict=True))
    fused = fuse_scores(cosines, words, weight)
    low, high, most = float(cosines.min()), float(cosines.max()), float(words.max())
    for (cosine, word), score in zip(pairs, fused, strict=True):
        dense = 1.0 if high == low else (cosine - low) / (high - low)
        assert score == pytest.approx(weight * dense + (1 - weight) * (word / most if most else 0), abs=1e-5)


@given(st.lists(st.integers(0, 5), max_size=20), st.integers(0, 25))
def test_the_best_rows_are_those_of_a_full_sort(values, count):
    naive = sorted((i for i, value in enumerate(values) if value), key=lambda i: (-values[i], i))[:count]
    assert best_rows(np.array(values, np.float32), count).tolist() == naive


def test_nothing_to_fuse():
    nothing = np.zeros(0, np.int64)
    assert fuse_ranks(nothing, nothing, nothing, 0.5).tolist() == []
    assert fuse_scores(np.zeros(0, np.float32), np.zeros(0, np.float32), 0.5).tolist() == []
