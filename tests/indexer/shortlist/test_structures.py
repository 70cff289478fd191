"""What every shortlist structure does, run over every structure and variant."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.errors import BundleCorruptError
from indexer.shortlist import KINDS
from models import InvalidOptionError, truncate
from tests.indexer.shortlists import (
    ESTIMATES,
    EVERYTHING,
    VARIANTS,
    build,
    exact,
    prefixes,
    recall,
    same,
)

THREADS = Path("/proc/self/task")


def test_the_suite_covers_every_structure():
    assert {kind for kind, _ in VARIANTS.values()} == set(KINDS)


def test_finds_the_nearest_among_the_candidates(variant, built):
    rows, queries = prefixes(2000), prefixes(50, seed=1)
    structure = built(variant)
    found = structure.search(queries, 100).rows
    expected = 1 if structure.exact else {"ivf-pq": 0.75, "ivf-rabitq": 0.7}.get(variant, 0.98)
    assert recall(found, exact(rows, queries, 10)) >= expected
    if structure.exact:
        np.testing.assert_array_equal(found, exact(rows, queries, 100))


def test_scores_estimate_the_inner_product_and_fall(variant, built):
    rows, queries = prefixes(2000), prefixes(20, seed=1)
    found = built(variant).search(queries, 30)
    assert found.scores.dtype == np.float32
    assert found.rows.dtype == np.int64
    assert (np.diff(found.scores, axis=1) <= 0).all()
    true = np.take_along_axis(queries @ rows.T, found.rows, axis=1)
    assert np.abs(found.scores - true).mean() < ESTIMATES.get(variant, 3e-4)


@pytest.mark.parametrize("count", [1, 3, 31, 33])
def test_fewer_rows_than_candidates_are_padded_with_minus_one(variant, built, count):
    found = built(variant, count).search(prefixes(2, seed=1), 40, EVERYTHING)
    assert found.rows.shape == found.scores.shape == (2, 40)
    assert (np.sort(found.rows, axis=1) == [[-1] * (40 - count) + list(range(count))] * 2).all()
    assert (found.rows[:, count:] == -1).all()
    assert (np.isneginf(found.scores) == (found.rows == -1)).all()


@pytest.mark.parametrize(("rows", "queries"), [(0, 2), (5, 0), (0, 0), (400, 0)])
def test_empty_structures_and_empty_batches(variant, built, rows, queries):
    found = built(variant, rows).search(prefixes(queries), 4)
    assert found.rows.shape == found.scores.shape == (queries, 4)
    assert (found.rows == -1).all() if rows == 0 else queries == 0


@settings(max_examples=15)
@given(
    rows=st.integers(1, 80),
    dims=st.sampled_from([1, 2, 7, 16, 65]),
    queries=st.integers(1, 5),
    candidates=st.integers(1, 90),
    threads=st.integers(1, 4),
    variant=st.sampled_from(sorted(VARIANTS)),
)
def test_any_shape_gives_distinct_rows_and_the_same_for_one_query_as_for_many(
    rows, dims, queries, candidates, threads, variant
):
    structure = build(variant, prefixes(rows, dims=dims))
    batch = prefixes(queries, seed=1, dims=dims)
    found = structure.search(batch, candidates, None, None, threads)
    for i, line in enumerate(found.rows):
        real = line[line >= 0]
        assert len(set(real.tolist())) == len(real) <= rows
        assert real.max(initial=0) < rows
        assert (line[len(real) :] == -1).all()
        alone = structure.search(batch[i : i + 1], candidates)
        np.testing.assert_allclose(alone.scores[0], found.scores[i], atol=1e-6)


def test_many_queries_on_many_threads_give_what_one_at_a_time_gives(variant, built):
    structure, queries = built(variant), prefixes(17, seed=1)
    together = structure.search(queries, 20, 40, None, 3)
    for i in range(len(queries)):
        same(structure.search(queries[i : i + 1], 20, 40), type(together)(*(part[i : i + 1] for part in together)))


def test_concurrent_searches_give_what_serial_ones_give(variant, built):
    structure, queries = built(variant), prefixes(40, seed=1)
    calls = [(i, effort) for i in range(len(queries)) for effort in (20, 50, 200)]

    def search(call):
        i, effort = call
        return structure.search(queries[i : i + 1], 20, effort)

    serial = [search(call) for call in calls]
    with ThreadPoolExecutor(8) as pool:
        for found, expected in zip(pool.map(search, calls), serial, strict=True):
            same(found, expected)


@pytest.mark.skipif(not THREADS.is_dir(), reason="threads are counted by Linux's /proc")
def test_one_query_starts_no_thread_and_leaves_faiss_as_it_was(variant, built):
    structure, before = built(variant), faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(7)
    try:
        threads = set(THREADS.iterdir())
        structure.search(prefixes(1, seed=1), 20, None, None, 4)
        assert set(THREADS.iterdir()) <= threads
        assert faiss.omp_get_max_threads() == 7
    finally:
        faiss.omp_set_num_threads(before)


def test_searching_lets_other_threads_run(variant, built):
    structure, queries = built(variant), prefixes(400, seed=1)
    before = time.perf_counter()
    structure.search(queries, 300, 1000)
    queries = np.tile(queries, (int(0.3 / (time.perf_counter() - before)) + 1, 1))  # a third of a second of work
    started, done, ticks = threading.Event(), threading.Event(), 0

    def search():
        started.set()
        structure.search(queries, 300, 1000)
        done.set()

    thread = threading.Thread(target=search)
    thread.start()
    started.wait()
    time.sleep(0.01)  # by now it is in the library
    while not done.is_set():
        ticks += 1
        time.sleep(0.001)
    thread.join()
    assert ticks >= 5


@pytest.mark.parametrize("share", [0.5, 0.02])
def test_filters_give_only_what_is_allowed(variant, built, share):
    structure, rows, queries = built(variant), prefixes(2000), prefixes(20, seed=1)
    if not structure.filters:
        pytest.skip("the structure takes no filters")
    allowed = np.random.default_rng(2).random(2000) < share
    bitmap = np.packbits(allowed, bitorder="little")
    found = structure.search(queries, 60, 500, bitmap).rows
    assert allowed[found[found >= 0]].all()
    wanted = exact(rows, queries, 10, allowed)
    assert recall(found, wanted) >= (1 if structure.exact else {"ivf-rabitq": 0.7}.get(variant, 0.9))


def test_a_filter_that_allows_fewer_rows_than_candidates_is_padded_with_minus_one(variant, built):
    structure = built(variant)
    if not structure.filters:
        pytest.skip("the structure takes no filters")
    allowed = np.zeros(2000, bool)
    allowed[[3, 500, 1999]] = True
    found = structure.search(prefixes(3, seed=1), 10, EVERYTHING, np.packbits(allowed, bitorder="little"))
    # A search that follows links may not reach every allowed row.
    assert set(found.rows.ravel().tolist()) <= {3, 500, 1999, -1}
    assert (np.isneginf(found.scores) == (found.rows == -1)).all()
    if structure.exact:
        assert (np.sort(found.rows, axis=1)[:, -3:] == [3, 500, 1999]).all()
        nothing = structure.search(prefixes(3, seed=1), 10, None, np.zeros(250, np.uint8))
        assert (nothing.rows == -1).all()


def test_exact_scores_are_exact(variant, built):
    structure, rows, queries = built(variant), prefixes(2000), prefixes(20, seed=1)
    found = structure.search(queries, 30)
    error = np.abs(found.scores - np.take_along_axis(queries @ rows.T, found.rows, axis=1)).max()
    assert (error < 1e-6) == structure.exact_scores


def test_close_scores_rank_the_ten_best_among_the_first_fifteen(variant, built):
    structure, rows, queries = built(variant), prefixes(2000), prefixes(50, seed=1)
    scores = np.take_along_axis(queries @ rows.T, structure.search(queries, 60, 300).rows, axis=1)
    kept = (scores[:, :15] >= -np.sort(-scores, axis=1)[:, 9:10]).sum(axis=1)
    assert kept.mean() >= 9.99 or not structure.close_scores


def test_save_and_load_give_the_same_structure(variant, built, tmp_path):
    structure, queries = built(variant), prefixes(20, seed=1)
    path = tmp_path / structure.file_name
    structure.save(path)
    loaded = type(structure).load(path)
    same(loaded.search(queries, 10), structure.search(queries, 10))
    assert loaded.describe() == structure.describe()
    assert loaded.efforts(10) == structure.efforts(10)
    assert list(tmp_path.iterdir()) == [path]


def test_memory_is_what_the_file_takes(variant, built, tmp_path):
    structure = built(variant)
    path = tmp_path / structure.file_name
    structure.save(path)
    assert 0.9 < structure.memory_bytes / path.stat().st_size < 1.1


@pytest.mark.parametrize("count", [20, 400])
@pytest.mark.parametrize("change", ["empty", "text", "cut in the head", "cut", "missing"])
def test_a_broken_file_is_refused_by_name(variant, built, count, change, tmp_path):
    structure = built(variant, count)
    path = tmp_path / structure.file_name
    structure.save(path)
    whole = path.read_bytes()
    if change == "missing":
        path.unlink()
    else:
        path.write_bytes(
            {"empty": b"", "text": b"not an index" * 99, "cut in the head": whole[:40], "cut": whole[:-30]}[change]
        )
    with pytest.raises(BundleCorruptError, match=f"cannot read .*{structure.file_name}"):
        type(structure).load(path)


def test_comparisons_are_all_rows_only_where_the_structure_is_exact(variant, built):
    structure = built(variant)
    compared = structure.comparisons(prefixes(10, seed=1), 10, 16)
    assert compared == 2000 if structure.exact else 16 < compared < 2000


def test_efforts_are_few_and_a_higher_one_finds_no_less(variant, built):
    structure, rows, queries = built(variant), prefixes(2000), prefixes(100, seed=1)
    efforts = structure.efforts(50)
    if structure.exact:
        assert efforts == [None]
        return
    assert 1 < len(efforts) <= 6
    assert efforts == sorted(set(efforts))
    wanted = exact(rows, queries, 10)
    recalls = [recall(structure.search(queries, 50, effort).rows, wanted) for effort in efforts]
    # Farther cells also contribute rows whose rough estimate is too high.
    slack = 0.1 if variant == "ivf-rabitq" else 0.02
    assert all(b >= a - slack for a, b in pairwise(recalls))
    compared = [structure.comparisons(queries, 50, effort) for effort in efforts]
    assert compared == sorted(compared)
    assert compared[-1] > compared[0]


def test_an_effort_below_one_is_refused(variant, built):
    structure = built(variant)
    if structure.exact:
        same(structure.search(prefixes(1, seed=1), 2, 0), structure.search(prefixes(1, seed=1), 2))
    else:
        with pytest.raises(InvalidOptionError, match="effort 0: give at least 1"):
            structure.search(prefixes(1), 2, 0)


@pytest.mark.parametrize("dims", [8, 72])
def test_zero_rows_do_not_crowd_out_others(variant, dims):
    rows = np.concatenate([np.zeros((200, dims), np.float32), prefixes(600, dims=dims)])
    queries = truncate(rows[300:330] + 0.05 * prefixes(30, seed=2, dims=dims), dims)
    found = build(variant, rows).search(queries, 30, 100).rows
    assert recall(found, exact(rows, queries, 1)) >= (0.8 if variant.startswith("ivf") else 1)
