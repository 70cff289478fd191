"""The compiled loops against NumPy. ``tests.own_coverage`` also runs them uncompiled, so the data are small."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.kernels import rows as kernels

DIMENSION = 12
SEED = np.uint64(0xCBF29CE484222325)

# Float16 rows are viewed as uint16, as the storage does.
STORAGE = {
    "float32": lambda rows: rows.astype(np.float32),
    "float16": lambda rows: rows.astype(np.float16).view(np.uint16),
    "int8": lambda rows: np.round(rows * 40).clip(-127, 127).astype(np.int8),
}


def as_numbers(stored):
    return (stored.view(np.float16) if stored.dtype == np.uint16 else stored).astype(np.float64)


def make_rows(storage, count=30, seed=0):
    rows = np.random.default_rng(seed).normal(size=(count, DIMENSION))
    rows[3] = 0
    rows[7] = rows[5]
    return STORAGE[storage](rows)


def unit_queries(dims, count=3, seed=1):
    queries = np.random.default_rng(seed).normal(size=(count, dims))
    return (queries / np.linalg.norm(queries, axis=1, keepdims=True)).astype(np.float32)


def naive_scores(stored, queries, dims):
    prefixes = as_numbers(stored)[:, :dims]
    norms = np.linalg.norm(prefixes, axis=1, keepdims=True)
    return queries.astype(np.float64) @ np.divide(prefixes, norms, out=np.zeros_like(prefixes), where=norms > 0).T


def outputs(queries, keep):
    return np.empty((queries, keep), np.float32), np.empty((queries, keep), np.int64)


@pytest.fixture(params=STORAGE)
def storage(request):
    return request.param


@pytest.mark.parametrize("dims", [1, 5, DIMENSION])
def test_scores_are_cosines_of_prefixes(storage, dims):
    stored, queries = make_rows(storage), unit_queries(dims)
    rows = np.tile(np.arange(len(stored)), (3, 1))
    rows[0, 4] = -1
    scores = np.empty(rows.shape, np.float32)
    kernels.score(stored, queries, rows, dims, scores)
    expected = naive_scores(stored, queries, dims)
    expected[0, 4] = -np.inf
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    assert scores[1, 3] == 0


@pytest.mark.parametrize("keep", [1, 7, 40])
def test_ranking_sorts_by_score_then_row(storage, keep):
    stored, queries = make_rows(storage), unit_queries(DIMENSION)
    rows = np.stack([np.random.default_rng(i).permutation(30) for i in range(3)])
    rows[:, 5] = -1
    best, best_rows = outputs(3, keep)
    kernels.rank(stored, queries, rows, DIMENSION, best, best_rows)
    scores = np.empty(rows.shape, np.float32)
    kernels.score(stored, queries, rows, DIMENSION, scores)
    for i in range(3):
        expected = sorted((-score, row) for score, row in zip(scores[i].tolist(), rows[i], strict=True) if row >= 0)
        found = [(-score, row) for score, row in zip(best[i].tolist(), best_rows[i], strict=True) if row >= 0]
        assert found == expected[:keep]
        assert (best_rows[i, len(expected) :] == -1).all()
        assert (best[i, len(expected) :] == -np.inf).all()


def test_one_list_of_candidates_serves_every_query(storage):
    stored, queries = make_rows(storage), unit_queries(DIMENSION)
    rows = np.arange(30)[None]
    together, alone = outputs(3, 5), outputs(3, 5)
    kernels.rank(stored, queries, rows, DIMENSION, *together)
    kernels.rank(stored, queries, np.tile(rows, (3, 1)), DIMENSION, *alone)
    for ours, theirs in zip(together, alone, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("count", [1, 3], ids=["one query", "a batch"])
@pytest.mark.parametrize(("start", "stop"), [(0, 30), (4, 20), (9, 9)])
def test_a_scan_ranks_every_row_of_its_range(storage, count, start, stop):
    stored, queries = make_rows(storage), unit_queries(DIMENSION, count)
    best, best_rows = outputs(count, 6)
    kernels.scan(stored, start, stop, queries, DIMENSION, best, best_rows)
    expected = naive_scores(stored, queries, DIMENSION)[:, start:stop]
    found = min(6, stop - start)
    np.testing.assert_allclose(best[:, :found], -np.sort(-expected, axis=1)[:, :found], atol=1e-5)
    for i in range(count):
        np.testing.assert_allclose(expected[i, best_rows[i, :found] - start], best[i, :found], atol=1e-5)
    assert (best_rows[:, found:] == -1).all()


def test_equal_scores_are_ordered_by_row_and_nan_never_wins():
    scores, rows = np.full(3, -np.inf, np.float32), np.full(3, -1, np.int64)
    for score, row in [(0.5, 9), (0.5, 2), (np.nan, 1), (0.9, 4), (0.5, 3), (0.1, 0)]:
        kernels.insert(scores, rows, np.float32(score), row)
    assert rows.tolist() == [4, 2, 3]
    np.testing.assert_array_equal(scores, np.float32([0.9, 0.5, 0.5]))


def test_prefetching_changes_nothing(storage):
    stored = make_rows(storage)
    before = stored.copy()
    for row in (-1, 0, 29):
        kernels.prefetch_row(stored, row, DIMENSION)
    np.testing.assert_array_equal(stored, before)


def fnv1a(data):
    value = int(SEED)
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def test_hashes_are_fnv_1a_and_equal_rows_share_their_first_row():
    data = np.array([[1, 2, 3], [0, 0, 0], [1, 2, 3], [3, 2, 1], [0, 0, 0], [1, 2, 3]], np.uint8)
    hashes, head = np.empty(6, np.uint64), np.empty(6, np.int64)
    kernels.hash_rows(data, SEED, hashes)
    assert hashes.tolist() == [fnv1a(row) for row in data.tolist()]
    kernels.equal_rows(data, hashes, np.argsort(hashes, kind="stable"), head)
    assert head.tolist() == [0, 1, 0, 3, 1, 0]


def test_different_rows_with_the_same_hash_are_told_apart():
    data = np.array([[1], [2], [2]], np.uint8)
    head = np.empty(3, np.int64)
    kernels.equal_rows(data, np.zeros(3, np.uint64), np.arange(3), head)
    assert head.tolist() == [0, 1, 1]
    kernels.equal_rows(data[:0], np.zeros(0, np.uint64), np.arange(0), head[:0])


# Rows 2, 5 and 8 hold one vector, 3 and 4 another.
GROUPS = {
    "repeated": np.array([2, 3, 4, 5, 8]),
    "group": np.array([0, 1, 1, 0, 0]),
    "starts": np.array([0, 3, 5]),
    "members": np.array([2, 5, 8, 3, 4]),
}
MEMBERS = {2: [2, 5, 8], 3: [3, 4]}


def bitmap(allowed):
    mask = np.zeros(10, bool)
    mask[list(allowed)] = True
    return np.packbits(mask, bitorder="little")


@settings(max_examples=40)
@given(allowed=st.sets(st.integers(0, 9)))
def test_the_first_allowed_row_stands_for_its_vector(allowed):
    rows = np.array([[0, 2, 3, 9, -1]])
    kernels.first_allowed(rows, *GROUPS.values(), bitmap(allowed))

    def first(row):
        return next((member for member in MEMBERS.get(row, [row]) if member in allowed), -1)

    assert rows[0].tolist() == [first(0), first(2), first(3), first(9), -1]


@settings(max_examples=40)
@given(allowed=st.none() | st.sets(st.integers(0, 9)), keep=st.integers(1, 6))
def test_vectors_are_expanded_to_all_their_allowed_rows(allowed, keep):
    numbers = np.array([[3, 2, 0, -1, -1, -1]])[:, :keep]
    scores = np.array([[0.9, 0.9, 0.5, -np.inf, -np.inf, -np.inf]], np.float32)[:, :keep]
    given = np.zeros(0, np.uint8) if allowed is None else bitmap(allowed)
    best, best_rows = outputs(1, keep)
    kernels.expand(scores, numbers, *GROUPS.values(), given, best, best_rows)
    everything = [
        (-score, member)
        for score, row in zip(scores[0].tolist(), numbers[0].tolist(), strict=True)
        if row >= 0
        for member in MEMBERS.get(row, [row])
        if row not in MEMBERS or allowed is None or member in allowed
    ]
    expected = [row for _, row in sorted(everything)[:keep]]
    assert [row for row in best_rows[0].tolist() if row >= 0] == expected
