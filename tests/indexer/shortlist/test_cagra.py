from types import SimpleNamespace

import faiss
import numpy as np
import pytest

from indexer.shortlist import cagra, require_available
from models import InvalidOptionError
from models.errors import OptionalDependencyError
from tests.indexer.shortlists import DIMS, exact, make, prefixes, recall


def test_without_a_gpu_it_can_be_searched_but_not_built(monkeypatch):
    monkeypatch.setattr(faiss, "GpuIndexCagra", object, raising=False)
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 0)
    with pytest.raises(
        InvalidOptionError, match="'cagra' cannot run here: no CUDA GPU is visible to FAISS; use 'hnsw', or build"
    ):
        require_available("cagra")
    require_available("cagra", build=False)
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    require_available("cagra")


def test_faiss_without_cuvs_is_named(monkeypatch):
    monkeypatch.delattr(faiss, "GpuIndexCagra", raising=False)
    with pytest.raises(
        InvalidOptionError, match=r"a build on the GPU needs the package faiss-gpu-cuvs, .*; use 'hnsw'"
    ):
        require_available("cagra")


def test_many_rows_are_linked_on_the_gpu_and_few_on_the_cpu(monkeypatch):
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


def test_the_gpu_searches_what_it_can(monkeypatch):
    class Copy:
        searched = []  # noqa: RUF012

        @classmethod
        def of(cls, index):
            return cls()

        def search(self, queries, candidates, width):
            self.searched.append((len(queries), candidates, width))
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
    assert Copy.searched == [(3, 10, 20)]


def test_a_graph_too_large_for_the_gpu_is_searched_on_the_cpu(monkeypatch):
    def no_room(self, index):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(cagra, "_why_no_gpu", lambda: None)
    monkeypatch.setattr(cagra._GpuCopy, "__init__", no_room)
    structure = make("cagra", prefixes(300))
    assert structure.describe()["device"] == "cpu"
    assert structure.search(prefixes(1, seed=1), 5).rows.min() >= 0


def test_a_build_without_cuvs_raises(monkeypatch):
    monkeypatch.delattr(faiss, "GpuIndexCagra", raising=False)
    monkeypatch.setattr(cagra, "_LEAST_ROWS", 300)
    with pytest.raises(OptionalDependencyError, match="faiss-gpu-cuvs"):
        make("cagra", prefixes(300))


class FakeGpu:
    """The part of GPU FAISS that links rows; the copy to the CPU gets what it was given."""

    graph_build_algo_IVF_PQ = "ivf"  # noqa: N815
    graph_build_algo_NN_DESCENT = "descent"  # noqa: N815
    GpuIndexCagraConfig = StandardGpuResources = SimpleNamespace

    class GpuIndexCagra:
        def __init__(self, resources, dims, metric, config):
            self.config = config

        def train(self, rows, numeric_type):
            self.rows = len(rows)

        def copyTo(self, copy):  # noqa: N802
            copy.rows, copy.config = self.rows, self.config


def test_options_reach_the_build_on_the_gpu(monkeypatch):
    monkeypatch.setattr(cagra, "_gpu_faiss", lambda: FakeGpu)
    monkeypatch.setattr(faiss, "IndexHNSWCagra", SimpleNamespace)
    options = cagra.CagraOptions(degree=32, first_degree=16, algorithm="nn_descent")
    copy = cagra._linked_by_gpu(prefixes(10), options)
    assert (copy.rows, copy.base_level_only) == (10, True)
    config = copy.config
    assert (config.graph_degree, config.intermediate_graph_degree, config.build_algo) == (32, 32, "descent")


def test_the_copy_on_the_gpu_searches_with_whole_warps(monkeypatch):
    class OnGpu:
        def search(self, prefixes, candidates, params, numeric_type):
            assert (prefixes.dtype, params) == (np.float16, {"itopk_size": 64})
            return np.array([[0, 2, 9]], np.float32), np.array([[4, 5, -1]])

    monkeypatch.setattr(faiss, "StandardGpuResources", object, raising=False)
    monkeypatch.setattr(faiss, "index_cpu_to_gpu", lambda resources, device, index: OnGpu(), raising=False)
    monkeypatch.setattr(faiss, "SearchParametersCagra", lambda **values: values, raising=False)
    found = cagra._GpuCopy.of(None).search(prefixes(1), 3, 33)
    assert found.scores.tolist() == [[1, 0, -np.inf]]
    assert found.rows.tolist() == [[4, 5, -1]]


def test_comparisons_count_the_entry_points_and_memory_their_rows():
    structure = make("cagra", prefixes(1000))
    assert 64 < structure.comparisons(prefixes(5, seed=1), 10) < 1000
    graph = structure._index.hnsw
    links = 4 * graph.neighbors.size() + 8 * graph.offsets.size() + 4 * graph.levels.size()
    assert structure.memory_bytes == 1000 * DIMS * 2 + links + 64 * DIMS * 4


def test_an_index_without_rows_finds_nothing():
    assert (make("cagra", prefixes(0)).search(prefixes(2), 3).rows == -1).all()


@pytest.mark.skipif(cagra.CagraShortlist.unavailable() is not None, reason="needs a GPU")
def test_gpu_and_cpu_find_the_same(tmp_path):
    rows, queries = prefixes(20000, dims=64), prefixes(50, seed=1, dims=64)
    structure = make("cagra", rows)
    wanted = exact(rows, queries, 10)
    assert recall(structure.search(queries, 100, 256).rows, wanted) > 0.95
    structure.save(tmp_path / structure.file_name)
    loaded = cagra.CagraShortlist.load(tmp_path / structure.file_name)
    everything = np.full(2500, 255, np.uint8)
    assert recall(loaded.search(queries, 100, 256, everything).rows, wanted) > 0.95
