import faiss
import numpy as np
import pytest

from tests.indexer.shortlists import DIMS, exact, make, prefixes, recall


@pytest.mark.parametrize(
    ("storage", "width", "exact_scores"), [("fp32", 4, True), ("fp16", 2, False), ("sq8", 1, False)]
)
def test_storage_decides_memory_and_precision_of_scores(storage, width, exact_scores):
    rows, queries = prefixes(500), prefixes(10, seed=1)
    structure = make("hnsw", rows, storage=storage)
    assert faiss.downcast_index(structure._index.storage).code_size == DIMS * width
    assert structure.exact_scores == exact_scores
    assert structure.close_scores
    found = structure.search(queries, 50, 200)
    assert recall(found.rows, exact(rows, queries, 10)) > 0.95
    error = np.abs(found.scores - np.take_along_axis(queries @ rows.T, found.rows, axis=1)).max()
    assert (error < 1e-6) == exact_scores


def test_smaller_codes_take_less_memory(built):
    sizes = [built(name).memory_bytes for name in ("hnsw", "hnsw-fp16", "hnsw-sq8")]
    assert [sizes[0] - size for size in sizes] == [0, 2000 * DIMS * 2, 2000 * DIMS * 3]


@pytest.mark.parametrize("storage", ["fp32", "sq8"])
def test_an_index_without_rows_finds_nothing(storage):
    assert (make("hnsw", prefixes(0), storage=storage).search(prefixes(2), 3).rows == -1).all()


def test_options_reach_the_graph():
    structure = make("hnsw", prefixes(100), links=8, build_effort=40)
    assert structure._index.hnsw.nb_neighbors(0) == 16
    assert structure._index.hnsw.efConstruction == 40
