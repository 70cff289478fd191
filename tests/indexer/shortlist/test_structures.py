import faiss
import numpy as np
import pytest

from indexer.errors import BundleCorruptError
from indexer.shortlist import cagra, faiss_file, require_available, symqg
from models import InvalidOptionError
from tests.indexer.shortlists import DIMS, build, exact, make, prefixes, recall, same


@pytest.fixture(scope="module")
def built():
    """Each variant over the same 2,000 rows, built once."""
    known = {}

    def get(variant):
        if variant not in known:
            known[variant] = build(variant, prefixes(2000))
        return known[variant]

    return get


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

    @pytest.mark.parametrize(("bits", "head"), [(0, 46), (8, 314)])
    @pytest.mark.parametrize("length", [64, 128, 256])
    def test_a_file_whose_links_lead_nowhere_is_refused(self, tmp_path, bits, head, length):
        path = tmp_path / "shortlist.symqg"
        structure = make("symqg", prefixes(200, dims=64), bits=bits)
        structure.save(path)
        content = bytearray(path.read_bytes())
        end = head + structure.memory_bytes  # the head comes first, links end a row
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
