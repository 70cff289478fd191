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
from indexer.shortlist import KINDS, cagra, faiss_file, require_available, shortlist_options, shortlist_type, symqg
from indexer.shortlist.effort import beam_efforts
from models import InvalidOptionError, truncate

DIMS = 16
VARIANTS = {
    "flat": ("flat", {}),
    "panorama": ("panorama", {"levels": 4}),
    "hnsw": ("hnsw", {}),
    "hnsw-fp16": ("hnsw", {"storage": "fp16"}),
    "hnsw-sq8": ("hnsw", {"storage": "sq8"}),
    "ivf-pq": ("ivf", {}),
    "ivf-rabitq": ("ivf", {"codes": "rabitq"}),
    "symqg": ("symqg", {}),
    "symqg-8": ("symqg", {"bits": 8}),
    "symqg-4": ("symqg", {"bits": 4}),
    "cagra": ("cagra", {}),  # as few rows as here are linked without a GPU
}
ESTIMATES = {"ivf-pq": 0.1, "ivf-rabitq": 0.4, "symqg-4": 0.03, "symqg-8": 0.003, "hnsw-sq8": 0.003}
"""Mean error of a score, where it is an estimate."""
EVERYTHING = 1 << 20
THREADS = Path("/proc/self/task")


class ArrayPrefixes:
    """Prefixes in memory, given in small blocks."""

    def __init__(self, array):
        self.array = array
        self.rows, self.dims = array.shape

    def blocks(self):
        for start in range(0, self.rows, 300):
            yield start, self.array[start : start + 300]

    def sample(self, count, seed=0):
        drawn = np.random.default_rng(seed).choice(self.rows, min(count, self.rows), replace=False)
        return self.array[np.sort(drawn)]


def prefixes(count, seed=0, dims=DIMS):
    return truncate(np.random.default_rng(seed).normal(size=(count, dims)), dims)


def make(kind, rows, **values):
    return shortlist_type(kind).build(ArrayPrefixes(rows), shortlist_options(kind, values))


def build(variant, rows):
    kind, values = VARIANTS[variant]
    return make(kind, rows, **values)


def exact(rows, queries, count, allowed=None):
    scores = queries @ rows.T
    if allowed is not None:
        scores[:, ~allowed] = -np.inf
    return np.argsort(-scores, axis=1)[:, :count]


def recall(found, wanted):
    return np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found.tolist(), wanted.tolist(), strict=True)])


def same(found, other):
    np.testing.assert_array_equal(found.rows, other.rows)
    np.testing.assert_array_equal(found.scores, other.scores)


@pytest.fixture(params=VARIANTS)
def variant(request):
    return request.param


@pytest.fixture(scope="module")
def built():
    """Each variant over the same 2,000 rows, built once."""
    known = {}

    def get(variant):
        if variant not in known:
            known[variant] = build(variant, prefixes(2000))
        return known[variant]

    return get


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
def test_fills_up_with_minus_one_where_there_are_fewer_rows(variant, count):
    found = build(variant, prefixes(count)).search(prefixes(2, seed=1), 40, EVERYTHING)
    assert found.rows.shape == found.scores.shape == (2, 40)
    assert (np.sort(found.rows, axis=1) == [[-1] * (40 - count) + list(range(count))] * 2).all()
    assert (found.rows[:, count:] == -1).all()
    assert (np.isneginf(found.scores) == (found.rows == -1)).all()


@pytest.mark.parametrize(("rows", "queries"), [(0, 2), (5, 0), (0, 0), (300, 0)])
def test_empty_structures_and_empty_batches(variant, rows, queries):
    found = build(variant, prefixes(rows)).search(prefixes(queries), 4)
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
    asked = prefixes(queries, seed=1, dims=dims)
    found = structure.search(asked, candidates, None, None, threads)
    for i, line in enumerate(found.rows):
        real = line[line >= 0]
        assert len(set(real.tolist())) == len(real) <= rows
        assert real.max(initial=0) < rows
        assert (line[len(real) :] == -1).all()
        alone = structure.search(asked[i : i + 1], candidates)
        np.testing.assert_allclose(alone.scores[0], found.scores[i], atol=1e-6)


def test_many_queries_on_many_threads_give_what_one_at_a_time_gives(variant, built):
    structure, queries = built(variant), prefixes(17, seed=1)
    together = structure.search(queries, 20, 40, None, 3)
    for i in range(len(queries)):
        same(structure.search(queries[i : i + 1], 20, 40), type(together)(*(part[i : i + 1] for part in together)))


def test_concurrent_searches_give_what_serial_ones_give(variant, built):
    structure, queries = built(variant), prefixes(40, seed=1)
    calls = [(i, effort) for i in range(len(queries)) for effort in (20, 50, 200)]

    def ask(call):
        i, effort = call
        return structure.search(queries[i : i + 1], 20, effort)

    serial = [ask(call) for call in calls]
    with ThreadPoolExecutor(8) as pool:
        for found, expected in zip(pool.map(ask, calls), serial, strict=True):
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
        time.sleep(0.0005)
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


def test_exact_scores_are_exact(variant, built):
    structure, rows, queries = built(variant), prefixes(2000), prefixes(20, seed=1)
    found = structure.search(queries, 30)
    error = np.abs(found.scores - np.take_along_axis(queries @ rows.T, found.rows, axis=1)).max()
    assert (error < 1e-6) == structure.exact_scores


def test_only_symqg_takes_no_filters():
    assert [kind for kind in KINDS if not shortlist_type(kind).filters] == ["symqg"]


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
def test_a_broken_file_is_refused_by_name(variant, count, change, tmp_path):
    structure = build(variant, prefixes(count))
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


def test_another_structures_file_is_refused(tmp_path):
    path = tmp_path / "shortlist.faiss"
    make("flat", prefixes(20)).save(path)
    with pytest.raises(BundleCorruptError, match="it holds IndexFlatIP, which is no 'hnsw'"):
        shortlist_type("hnsw").load(path)
    with pytest.raises(BundleCorruptError, match=r"cannot read .*shortlist\.faiss"):
        shortlist_type("symqg").load(path)


def test_work_counts_the_prefixes_looked_at(variant, built):
    structure = built(variant)
    work = structure.work(prefixes(10, seed=1), 10, 16)
    assert work == 2000 if structure.exact else 16 < work < 2000


def test_efforts_are_few_and_each_finds_at_least_as_much(variant, built):
    structure, rows, queries = built(variant), prefixes(2000), prefixes(100, seed=1)
    efforts = structure.efforts(50)
    if structure.exact:
        assert efforts == [None]
        return
    assert 1 < len(efforts) <= 6
    assert efforts == sorted(set(efforts))
    wanted = exact(rows, queries, 10)
    recalls = [recall(structure.search(queries, 50, effort).rows, wanted) for effort in efforts]
    # Cells farther away also bring rows that a rough estimate takes for near ones.
    slack = 0.1 if variant == "ivf-rabitq" else 0.02
    assert all(b >= a - slack for a, b in pairwise(recalls))
    works = [structure.work(queries, 50, effort) for effort in efforts]
    assert works == sorted(works)
    assert works[-1] > works[0]


def test_an_effort_below_one_is_refused(variant, built):
    structure = built(variant)
    if structure.exact:
        same(structure.search(prefixes(1, seed=1), 2, 0), structure.search(prefixes(1, seed=1), 2))
    else:
        with pytest.raises(InvalidOptionError, match="effort 0: give at least 1"):
            structure.search(prefixes(1), 2, 0)


@pytest.mark.parametrize("dims", [8, 72])
def test_rows_without_direction_hide_nobody(variant, dims):
    rows = np.concatenate([np.zeros((200, dims), np.float32), prefixes(600, dims=dims)])
    queries = truncate(rows[300:330] + 0.05 * prefixes(30, seed=2, dims=dims), dims)
    found = build(variant, rows).search(queries, 30, 100).rows
    assert recall(found, exact(rows, queries, 1)) >= (0.8 if variant.startswith("ivf") else 1)


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        ("nosuch", {}, "shortlist 'nosuch': known are flat, hnsw, symqg, ivf, panorama, cagra"),
        ("flat", {"links": 8}, "option links of shortlist 'flat': .* options: none"),
        (
            "hnsw",
            {"links": 1},
            r"option links of shortlist 'hnsw': .*\(given 1; options: links, build_effort, storage\)",
        ),
        ("hnsw", {"links": "many"}, r"option links .*\(given 'many'"),
        ("hnsw", {"storage": "int4"}, r"option storage .*'fp32', 'fp16' or 'sq8' \(given 'int4'"),
        ("symqg", {"degree": 40}, r"option degree .*multiple of 32 \(given 40; options: degree, build_effort, bits\)"),
        ("symqg", {"bits": 2}, r"option bits .*0, 4 or 8 \(given 2"),
        ("ivf", {"codes": "opq"}, r"option codes .*'pq' or 'rabitq' \(given 'opq'"),
        ("panorama", {"levels": 0}, r"option levels .*\(given 0; options: levels\)"),
        ("cagra", {"degree": 7}, r"option degree .*\(given 7"),
    ],
)
def test_unknown_structures_and_options_are_refused(kind, values, message):
    with pytest.raises(InvalidOptionError, match=message):
        shortlist_options(kind, values)


@pytest.mark.parametrize("kind", KINDS)
def test_options_are_read_from_text_as_on_the_command_line(kind):
    options = shortlist_options(kind, {})
    values = {name: str(value) for name, value in options.model_dump().items() if value is not None}
    assert shortlist_options(kind, values) == options
    assert shortlist_options("symqg", {"bits": "8"}) == shortlist_options("symqg", {"bits": 8})


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivf", "panorama"])
def test_what_needs_nothing_special_is_always_there(kind):
    require_available(kind)


class TestHnsw:
    def test_keeps_search_parameters_but_not_without_bound(self, monkeypatch):
        monkeypatch.setattr(faiss_file, "_MOST_KNOWN", 3)
        structure, queries = make("hnsw", prefixes(300)), prefixes(5, seed=1)
        found = [structure.search(queries, 10, effort) for effort in (10, 20, 30, 40, 50, 10)]
        same(found[0], found[-1])
        assert len(structure._known) == 3

    def test_smaller_codes_take_less_memory(self, built):
        sizes = [built(name).memory_bytes for name in ("hnsw", "hnsw-fp16", "hnsw-sq8")]
        assert [sizes[0] - size for size in sizes] == [0, 2000 * DIMS * 2, 2000 * DIMS * 3]


class TestIvf:
    def test_cells_are_found_by_the_first_dimensions_alone(self):
        rows = prefixes(2000)
        structure = make("ivf", rows, cells=20, cell_dims=4)
        queries = prefixes(30, seed=1)
        others = np.concatenate([queries[:, :4], -queries[:, 4:]], axis=1)
        cells = [structure._index.quantizer.search(asked, 3)[1] for asked in (queries, others)]
        np.testing.assert_array_equal(*cells)

    def test_looking_into_every_cell_finds_everything(self):
        structure = make("ivf", prefixes(500), cells=20)
        found = structure.search(prefixes(3, seed=1), 500, 20).rows
        assert (np.sort(found, axis=1) == np.arange(500)).all()

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"cells": 51}, "option cells of shortlist 'ivf': 51 for 50 rows; give at most as many"),
            ({"cell_dims": 17}, "option cell_dims of shortlist 'ivf': 17 for 16 dimensions; give at most as many"),
        ],
    )
    def test_more_than_there_are_is_refused(self, values, message):
        with pytest.raises(InvalidOptionError, match=message):
            make("ivf", prefixes(50), **values)


class TestPanorama:
    @pytest.mark.parametrize("candidates", [1, 4096, 4097, 6000])
    def test_is_exact_for_any_number_of_candidates(self, candidates):
        rows, queries = prefixes(5000), prefixes(3, seed=1)
        allowed = np.packbits(np.random.default_rng(2).random(5000) < 0.97, bitorder="little")
        structure, flat = make("panorama", rows), make("flat", rows)
        for bitmap in (None, allowed):
            found = structure.search(queries, candidates, None, bitmap)
            expected = flat.search(queries, candidates, None, bitmap)
            np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)
            assert (found.rows == expected.rows).mean() > 0.99  # equal scores may change places

    @pytest.mark.parametrize("dims", [1, 3, 10, 100])
    def test_cuts_any_number_of_dimensions(self, dims):
        rows, queries = prefixes(300, dims=dims), prefixes(10, seed=1, dims=dims)
        found = make("panorama", rows, levels=8).search(queries, 5)
        np.testing.assert_allclose(found.scores, -np.sort(-(queries @ rows.T))[:, :5], atol=1e-6)


class TestSymqg:
    def test_a_query_of_another_size_is_not_filled_up(self):
        structure = make("symqg", prefixes(200, dims=80))
        with pytest.raises(ValueError, match="query dimension does not match"):
            structure.search(prefixes(1, dims=72), 5)

    def test_gives_what_the_graph_reaches_where_that_is_too_little(self, built, monkeypatch):
        structure = symqg.SymqgShortlist(_Islands(built("symqg")._graph, reached=70))
        queries = prefixes(4, seed=1)
        found = structure.search(queries, 200, 300)
        whole = built("symqg").search(queries, 200, 300)
        for i in range(4):
            count = (found.rows[i] >= 0).sum()
            assert count == [50, 200, 50, 200][i]
            np.testing.assert_array_equal(found.rows[i, :count], whole.rows[i, :count])
            assert np.isneginf(found.scores[i, count:]).all()

    def test_gives_nothing_where_the_graph_reaches_nothing(self, built):
        found = symqg.SymqgShortlist(_Islands(built("symqg")._graph, reached=0)).search(prefixes(1, seed=1), 5)
        assert (found.rows == -1).all()
        assert np.isneginf(found.scores).all()

    @pytest.mark.parametrize("length", [64, 128, 256])
    def test_a_file_whose_links_lead_nowhere_is_refused(self, tmp_path, length):
        path = tmp_path / "shortlist.symqg"
        structure = make("symqg", prefixes(200, dims=64))
        structure.save(path)
        content = bytearray(path.read_bytes())
        row = structure.memory_bytes // 200
        end = len(content) - (path.stat().st_size - 200 * row) + 46  # the head comes first, links end a row
        content[end - length : end] = b"\xff" * length
        path.write_bytes(content)
        with pytest.raises(BundleCorruptError, match="neighbor"):
            symqg.SymqgShortlist.load(path)

    def test_says_that_the_library_is_missing(self, monkeypatch):
        monkeypatch.setattr(symqg, "rabitqlib", None)
        with pytest.raises(
            InvalidOptionError, match=r"'symqg' cannot run here: .*`pip install rabitqlib`, or use 'hnsw'"
        ):
            require_available("symqg", build=False)

    def test_says_what_the_processor_lacks(self, monkeypatch):
        monkeypatch.setattr(symqg.platform, "machine", lambda: "x86_64")
        monkeypatch.setattr(symqg.llvm, "get_host_cpu_features", lambda: {"avx2": False, "fma": True})
        with pytest.raises(InvalidOptionError, match="'symqg' cannot run here: this processor lacks AVX2; use 'hnsw'"):
            require_available("symqg")
        monkeypatch.setattr(symqg.platform, "machine", lambda: "arm64")
        assert symqg.SymqgShortlist.unavailable() is None


class _Islands:
    """A graph that for every other query reaches only some rows."""

    def __init__(self, graph, reached):
        self._graph, self._reached, self._odd = graph, reached, {}
        self.num_points, self.dim = graph.num_points, graph.dim

    def search(self, queries, k, ef):
        for query in queries:
            self._odd.setdefault(query.tobytes(), len(self._odd) % 2 == 1)
        if k > self._reached and not all(self._odd[query.tobytes()] for query in queries):
            raise RuntimeError("QuantizedGraph search could not produce k results")
        return self._graph.search(queries, k, ef)


class TestCagra:
    def test_says_that_there_is_no_gpu_to_build_on_but_searches(self, monkeypatch):
        monkeypatch.setattr(faiss, "GpuIndexCagra", object, raising=False)
        monkeypatch.setattr(faiss, "get_num_gpus", lambda: 0)
        with pytest.raises(
            InvalidOptionError, match="'cagra' cannot run here: no CUDA GPU is visible to FAISS; use 'hnsw', or build"
        ):
            require_available("cagra")
        require_available("cagra", build=False)
        monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
        require_available("cagra")

    def test_says_that_faiss_is_built_without_it(self, monkeypatch):
        monkeypatch.delattr(faiss, "GpuIndexCagra", raising=False)
        with pytest.raises(InvalidOptionError, match=r"built without cuVS \(faiss-gpu-cuvs, .* has it\); use"):
            require_available("cagra")

    def test_many_rows_are_linked_by_the_gpu_and_few_are_not(self, monkeypatch):
        given = []

        def linked_by_gpu(rows, options):
            given.append((rows.shape, rows.dtype, options.degree))
            return cagra._linked_by_cpu(rows, options)

        monkeypatch.setattr(cagra, "_linked_by_gpu", linked_by_gpu)
        monkeypatch.setattr(cagra, "_LEAST_ROWS", 300)
        make("cagra", prefixes(299))
        assert given == []
        make("cagra", prefixes(300), degree=16)
        assert given == [((300, DIMS), np.float16, 16)]

    def test_a_gpu_answers_where_it_can(self, monkeypatch):
        class Copy:
            asked = []  # noqa: RUF012

            @classmethod
            def of(cls, index):
                return cls()

            def search(self, queries, candidates, width):
                self.asked.append((len(queries), candidates, width))
                return "from the GPU"

        monkeypatch.setattr(cagra, "_why_no_gpu", lambda: None)
        monkeypatch.setattr(cagra, "_GpuCopy", Copy)
        structure, queries = make("cagra", prefixes(300)), prefixes(3, seed=1)
        assert structure.describe()["device"] == "cuda"
        assert structure.search(queries, 10, 20) == "from the GPU"
        bitmap = np.full(38, 255, np.uint8)
        for found in (structure.search(queries, 10, 20, bitmap), structure.search(queries, 10, 513)):
            assert recall(found.rows, exact(prefixes(300), queries, 10)) > 0.9
        assert structure.search(queries[:0], 10).rows.shape == (0, 10)
        assert Copy.asked == [(3, 10, 20)]

    def test_a_gpu_without_room_leaves_the_search_to_the_cpu(self, monkeypatch):
        def no_room(self, index):
            raise RuntimeError("out of memory")

        monkeypatch.setattr(cagra, "_why_no_gpu", lambda: None)
        monkeypatch.setattr(cagra._GpuCopy, "__init__", no_room)
        structure = make("cagra", prefixes(300))
        assert structure.describe()["device"] == "cpu"
        assert structure.search(prefixes(1, seed=1), 5).rows.min() >= 0

    @pytest.mark.skipif(cagra.CagraShortlist.unavailable() is not None, reason="needs a GPU")
    def test_gpu_and_cpu_find_the_same(self, tmp_path):
        rows, queries = prefixes(20000, dims=64), prefixes(50, seed=1, dims=64)
        structure = make("cagra", rows)
        wanted = exact(rows, queries, 10)
        assert recall(structure.search(queries, 100, 256).rows, wanted) > 0.95
        structure.save(tmp_path / structure.file_name)
        loaded = cagra.CagraShortlist.load(tmp_path / structure.file_name)
        everything = np.full(2500, 255, np.uint8)
        assert recall(loaded.search(queries, 100, 256, everything).rows, wanted) > 0.95


def test_beams_widen_from_the_candidates_on():
    assert beam_efforts(100) == [100, 150, 200, 300, 400, 800]
    assert beam_efforts(1) == [1, 2, 3, 4, 8]
