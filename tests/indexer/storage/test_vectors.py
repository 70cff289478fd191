import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import BundleCorruptError
from indexer.storage.vectors import StoredVectors, VectorWriter, encode
from models import truncate

STORAGES = ("float32", "float16", "int8")


def write(path, rows, storage="float16", batches=1):
    with VectorWriter(path, rows.shape[1], storage) as writer:
        for part in np.array_split(rows, batches):
            writer.append(part)
        writer.finish(len(rows))
    return StoredVectors.open(path, *rows.shape)


def unit_rows(count, dimension=12, seed=0):
    return truncate(np.random.default_rng(seed).normal(size=(count, dimension)), dimension)


def stored(rows, storage):
    return StoredVectors(encode(rows, np.dtype(storage)))


def naive_scores(vectors, queries, dims):
    """Cosines of all rows in float64."""
    rows = vectors.stored[:, :dims].astype(np.float64)
    norms = np.linalg.norm(rows, axis=1)
    return queries.astype(np.float64) @ rows.T / np.where(norms > 0, norms, 1)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("count", [0, 1, 7, 1000])
def test_the_file_is_a_plain_npy_file(tmp_path, storage, count):
    rows = unit_rows(count)
    opened = write(tmp_path / "v.npy", rows, storage, batches=3)
    loaded = np.load(tmp_path / "v.npy", allow_pickle=False)
    np.testing.assert_array_equal(loaded, encode(rows, np.dtype(storage)))
    assert len(opened) == count


def test_int8_rows_use_the_whole_range_and_keep_direction():
    rows = unit_rows(100, 64)
    numbers = encode(rows, np.dtype("int8"))
    assert (np.abs(numbers).max(axis=1) == 127).all()
    assert (np.vecdot(truncate(numbers, 64), rows) > 0.9999).all()
    assert (encode(np.zeros((2, 4), np.float32), np.dtype("int8")) == 0).all()


def test_cut_to_drops_what_was_not_committed(tmp_path):
    rows = unit_rows(10)
    with VectorWriter(tmp_path / "v.npy", 12, "float32") as writer:
        writer.append(rows)
    with VectorWriter(tmp_path / "v.npy", 12, "float32") as writer:
        writer.cut_to(4)
        writer.append(rows[4:6])
        writer.finish(6)
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), rows[:6])


def test_cutting_to_more_rows_than_the_file_has_is_refused(tmp_path):
    with VectorWriter(tmp_path / "v.npy", 12, "float32") as writer:
        writer.append(unit_rows(3))
        with pytest.raises(BundleCorruptError, match="is shorter than its 4 committed rows; build with --no-resume"):
            writer.cut_to(4)


def test_a_file_of_another_shape_or_kind_is_refused(tmp_path):
    write(tmp_path / "v.npy", unit_rows(3))
    with pytest.raises(BundleCorruptError, match=r"has shape \(3, 12\) of float16, the manifest says \(4, 12\)"):
        StoredVectors.open(tmp_path / "v.npy", 4, 12)
    np.save(tmp_path / "object.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(BundleCorruptError, match="cannot map"):
        StoredVectors.open(tmp_path / "object.npy", 1, 1)
    np.save(tmp_path / "long.npy", np.zeros((1, 1), dtype=np.int64))
    with pytest.raises(BundleCorruptError, match="of int64"):
        StoredVectors.open(tmp_path / "long.npy", 1, 1)
    whole = (tmp_path / "v.npy").read_bytes()
    (tmp_path / "v.npy").write_bytes(whole[:-1])
    with pytest.raises(BundleCorruptError, match="cannot map"):
        StoredVectors.open(tmp_path / "v.npy", 3, 12)


@pytest.mark.parametrize("storage", STORAGES)
@given(dims=st.integers(1, 12), seed=st.integers(0, 3))
def test_scores_are_cosines_of_prefixes(storage, dims, seed):
    rows = unit_rows(50, seed=seed)
    rows[7] = 0
    vectors = stored(rows, storage)
    queries = truncate(unit_rows(3, seed=seed + 9), dims)
    wanted = np.array([[0, 7, 49, -1], [3, 3, -1, -1], [1, 2, 3, 4]])
    exact = np.take_along_axis(naive_scores(vectors, queries, dims), wanted % 50, axis=1)
    np.testing.assert_allclose(vectors.scores(queries, wanted, dims), np.where(wanted < 0, -np.inf, exact), atol=1e-6)


@pytest.mark.parametrize("storage", STORAGES)
@given(dims=st.integers(1, 12), keep=st.integers(1, 40), seed=st.integers(0, 99), threads=st.sampled_from([1, 3]))
def test_rank_is_sorting_the_scores_of_the_candidates(storage, dims, keep, seed, threads):
    rng = np.random.default_rng(seed)
    vectors = stored(unit_rows(20)[rng.integers(0, 20, 60)], storage)  # rows repeat, so that scores tie
    queries = truncate(unit_rows(4, seed=seed), dims)
    rows = np.stack([rng.permutation(60)[:30] for _ in queries])
    rows[rng.random(rows.shape) < 0.2] = -1
    before = rows.copy()
    scores, found = vectors.rank(queries, rows, dims, keep, threads)
    np.testing.assert_array_equal(rows, before)
    all_scores = vectors.scores(queries, rows, dims)
    for i in range(4):
        pairs = sorted((-s, r) for s, r in zip(all_scores[i].tolist(), rows[i].tolist(), strict=True) if r >= 0)
        pairs = (pairs + [(np.inf, -1)] * keep)[:keep]
        assert [(-s, r) for s, r in zip(scores[i].tolist(), found[i].tolist(), strict=True)] == pairs


def test_rank_takes_one_list_of_candidates_for_all_queries():
    vectors, queries = stored(unit_rows(50), "float16"), unit_rows(3, seed=1)
    shared = np.arange(10, 30)[None]
    expected = vectors.rank(queries, np.repeat(shared, 3, axis=0), 12, 5)
    for ours, theirs in zip(vectors.rank(queries, shared, 12, 5, threads=2), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("storage", STORAGES)
@given(
    dims=st.integers(1, 12),
    keep=st.sampled_from([1, 5, 299, 300, 500]),
    queries=st.sampled_from([1, 2, 9]),
    seed=st.integers(0, 99),
)
def test_nearest_is_ranking_all_rows(storage, dims, keep, queries, seed):
    rng = np.random.default_rng(seed)
    vectors = stored(unit_rows(100)[rng.integers(0, 100, 300)], storage)
    prefixes = truncate(unit_rows(queries, seed=seed), dims)
    scores, rows = vectors.nearest(prefixes, dims, keep, threads=2)
    expected_scores, expected_rows = vectors.rank(prefixes, np.arange(300)[None], dims, keep)
    np.testing.assert_array_equal(scores, expected_scores)
    np.testing.assert_array_equal(rows, expected_rows)


def test_nearest_of_an_empty_index():
    scores, rows = stored(unit_rows(0), "float16").nearest(unit_rows(2), 12, 3)
    assert (rows == -1).all()
    assert (scores == -np.inf).all()


@given(st.integers(1, 12))
def test_blocks_and_prefixes_are_unit_and_whole(dims):
    rows = unit_rows(50)
    vectors = stored(rows, "float32")
    together = np.concatenate([block for _, block in vectors.blocks(dims)])
    np.testing.assert_array_equal(together, truncate(rows, dims))
    np.testing.assert_array_equal(vectors.prefixes(np.array([3, 1]), dims), truncate(rows, dims)[[3, 1]])


def test_prefix_norms():
    rows = unit_rows(20)
    norms = np.concatenate(list(stored(rows, "float32").prefix_norms(5)))
    np.testing.assert_allclose(norms, np.linalg.norm(rows[:, :5], axis=1), atol=1e-6)
