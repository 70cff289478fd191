import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import BundleCorruptError
from indexer.kernels.rowset import RowSet
from indexer.search.distinct import DistinctPrefixes, DistinctRows
from indexer.storage.vectors import StoredVectors
from models import truncate

DIMENSION = 8


def repeated_rows(count, different, seed):
    """Rows of which many are equal."""
    rng = np.random.default_rng(seed)
    pool = truncate(rng.normal(size=(different, DIMENSION)), DIMENSION).astype(np.float16)
    return StoredVectors(pool[rng.integers(0, different, count)])


def some(count, share, seed):
    rng = np.random.default_rng(seed)
    return RowSet(np.flatnonzero(rng.random(count) < share), count)


def all_numbers(distinct, queries):
    return np.tile(np.arange(len(distinct)), (queries, 1))


corpora = {"count": st.integers(1, 120), "different": st.integers(1, 130), "seed": st.integers(0, 999)}


@given(**corpora)
def test_every_vector_is_numbered_by_its_first_row(count, different, seed):
    vectors = repeated_rows(count, different, seed)
    distinct = DistinctRows.find(vectors)
    first = {row.tobytes(): i for i, row in reversed(list(enumerate(vectors.stored)))}
    assert distinct.first.tolist() == sorted(first.values())


@given(**corpora, k=st.integers(1, 20), share=st.sampled_from([None, 0.0, 0.1, 0.6, 1.0]))
def test_ranking_vectors_and_expanding_is_ranking_all_rows(count, different, seed, k, share):
    vectors = repeated_rows(count, different, seed)
    distinct = DistinctRows.find(vectors)
    allowed = None if share is None else some(count, share, seed)
    queries = truncate(np.random.default_rng(seed).normal(size=(3, DIMENSION)), DIMENSION)
    rows = distinct.rows_of(all_numbers(distinct, 3), allowed)
    found = distinct.expand(*vectors.rank(queries, rows, DIMENSION, k), allowed)
    every = np.arange(count) if allowed is None else allowed.rows
    expected = vectors.rank(queries, every[None], DIMENSION, k)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@given(**corpora, share=st.sampled_from([0.0, 0.2, 1.0]))
def test_vectors_that_have_an_allowed_row(count, different, seed, share):
    vectors = repeated_rows(count, different, seed)
    distinct, allowed = DistinctRows.find(vectors), some(count, share, seed)
    numbers = {row.tobytes(): i for i, row in enumerate(vectors.stored[distinct.first])}
    expected = sorted({numbers[vectors.stored[row].tobytes()] for row in allowed.rows})
    assert distinct.numbers_of(allowed).rows.tolist() == expected


def test_no_row_stays_no_row():
    distinct = DistinctRows.find(repeated_rows(20, 5, 0))
    assert distinct.rows_of(np.array([[-1, 0]]), None).tolist() == [[-1, int(distinct.first[0])]]


def test_save_and_load(tmp_path):
    vectors = repeated_rows(100, 30, 0)
    distinct = DistinctRows.find(vectors)
    distinct.save(tmp_path / "d.safetensors")
    loaded = DistinctRows.load(tmp_path / "d.safetensors")
    assert loaded.first.tolist() == distinct.first.tolist()
    numbers = all_numbers(distinct, 1)
    scores = np.zeros((1, 30), dtype=np.float32)
    for ours, theirs in zip(
        loaded.expand(scores, loaded.rows_of(numbers, None), None),
        distinct.expand(scores, distinct.rows_of(numbers, None), None),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("content", [b"", b"x" * 100, None])
def test_a_broken_file_is_named(tmp_path, content):
    path = tmp_path / "d.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BundleCorruptError, match=r"cannot read .*d\.safetensors"):
        DistinctRows.load(path)


def test_prefixes_for_a_structure():
    vectors = repeated_rows(100, 30, 0)
    distinct = DistinctRows.find(vectors)
    prefixes = DistinctPrefixes(vectors, distinct, 4)
    expected = truncate(vectors.stored[distinct.first], 4)
    for _ in range(2):
        np.testing.assert_array_equal(np.concatenate([block for _, block in prefixes.blocks()]), expected)
    assert (prefixes.rows, prefixes.dims) == (len(distinct), 4)
    sample = prefixes.sample(10)
    assert sample.shape == (10, 4)
    assert {row.tobytes() for row in sample} <= {row.tobytes() for row in expected}
    np.testing.assert_array_equal(prefixes.sample(1000), expected)
