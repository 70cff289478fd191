import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from indexer.errors import BundleCorruptError
from indexer.vectors import StoredVectors, VectorWriter, order_by_score
from models import truncate


def write(path, rows, storage="float16", batches=1):
    with VectorWriter(path, rows.shape[1], storage) as writer:
        for part in np.array_split(rows, batches):
            writer.append(part)
        writer.finish(len(rows))
    return StoredVectors(path, *rows.shape)


def unit_rows(count, dimension=12, seed=0):
    return truncate(np.random.default_rng(seed).normal(size=(count, dimension)), dimension)


@pytest.mark.parametrize("storage", ["float16", "float32"])
@pytest.mark.parametrize("count", [0, 1, 7, 1000])
def test_what_is_written_is_a_plain_npy_file(tmp_path, storage, count):
    rows = unit_rows(count)
    stored = write(tmp_path / "v.npy", rows, storage, batches=3)
    loaded = np.load(tmp_path / "v.npy", allow_pickle=False)
    np.testing.assert_array_equal(loaded, rows.astype(storage))
    assert len(stored) == count


def test_cut_to_drops_what_was_not_committed(tmp_path):
    rows = unit_rows(10)
    with VectorWriter(tmp_path / "v.npy", 12, "float32") as writer:
        writer.append(rows)
    with VectorWriter(tmp_path / "v.npy", 12, "float32") as writer:
        writer.cut_to(4)
        writer.append(rows[4:6])
        writer.finish(6)
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), rows[:6])


def test_cut_to_more_than_there_is_says_so(tmp_path):
    with VectorWriter(tmp_path / "v.npy", 12, "float32") as writer:
        writer.append(unit_rows(3))
        with pytest.raises(BundleCorruptError, match="is shorter than its 4 committed rows; build with --no-resume"):
            writer.cut_to(4)


def test_a_file_of_another_shape_or_kind_is_refused(tmp_path):
    write(tmp_path / "v.npy", unit_rows(3))
    with pytest.raises(BundleCorruptError, match=r"has shape \(3, 12\), the manifest says \(4, 12\)"):
        StoredVectors(tmp_path / "v.npy", 4, 12)
    np.save(tmp_path / "object.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(BundleCorruptError, match="cannot map"):
        StoredVectors(tmp_path / "object.npy", 1, 1)


@given(st.integers(1, 12), st.integers(0, 3))
def test_scores_are_cosines_of_prefixes(tmp_path_factory, dims, seed):
    rows = unit_rows(50, seed=seed)
    rows[7] = 0
    stored = write(tmp_path_factory.mktemp("v") / "v.npy", rows, "float32")
    queries = truncate(unit_rows(3, seed=seed + 9), dims)
    wanted = np.array([[0, 7, 49, -1], [3, 3, -1, -1], [1, 2, 3, 4]])
    expected = np.where(wanted < 0, -np.inf, np.take_along_axis(queries @ truncate(rows, dims).T, wanted % 50, axis=1))
    np.testing.assert_allclose(stored.scores(queries, wanted, dims), expected, atol=1e-6)


def test_scores_do_not_depend_on_how_much_is_asked_at_once(tmp_path, monkeypatch):
    rows = unit_rows(300)
    stored = write(tmp_path / "v.npy", rows)
    wanted = np.tile(np.arange(300), (5, 1))
    queries = unit_rows(5, seed=4)
    whole = stored.scores(queries, wanted, 12)
    monkeypatch.setattr("indexer.vectors._BLOCK_BYTES", 100)
    np.testing.assert_array_equal(stored.scores(queries, wanted, 12), whole)


@pytest.mark.parametrize("count", [1, 5, 299, 300, 500])
@pytest.mark.parametrize("block_bytes", [1 << 20, 2000])
def test_nearest_finds_what_sorting_all_scores_finds(tmp_path, monkeypatch, count, block_bytes):
    monkeypatch.setattr("indexer.vectors._BLOCK_BYTES", block_bytes)
    rows = unit_rows(300)
    stored = write(tmp_path / "v.npy", rows, "float32")
    queries = truncate(unit_rows(4, seed=2), 5)
    found = stored.nearest(queries, 5, count)
    expected = np.argsort(-(queries @ truncate(rows, 5).T), axis=1)[:, :count]
    assert found.shape == expected.shape
    for ours, theirs in zip(found, expected, strict=True):
        assert set(ours) == set(theirs)


def test_prefix_norms(tmp_path):
    rows = unit_rows(20)
    stored = write(tmp_path / "v.npy", rows, "float32")
    norms = np.concatenate(list(stored.prefix_norms(5)))
    np.testing.assert_allclose(norms, np.linalg.norm(rows[:, :5], axis=1), atol=1e-6)


@given(arrays(np.float32, (3, 8), elements=st.sampled_from([0.0, 0.5, 1.0, -np.inf])), st.permutations(range(8)))
def test_order_by_score_sorts_scores_with_their_rows_and_ties_by_row(scores, rows):
    rows = np.tile(np.array(rows, dtype=np.int64), (3, 1))
    before = scores.copy(), rows.copy()
    sorted_scores, sorted_rows = order_by_score(scores, rows)
    for i in range(3):
        pairs = sorted(zip(-scores[i], rows[i], strict=True))
        assert [(-s, r) for s, r in zip(sorted_scores[i], sorted_rows[i], strict=True)] == pairs
    np.testing.assert_array_equal(scores, before[0])
    np.testing.assert_array_equal(rows, before[1])
