import importlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.retrieval.builds import KINDS
from benchmarks.retrieval.config import DATA_SETS, STRUCTURES
from benchmarks.retrieval.data import Truth, exact, recall
from benchmarks.retrieval.encoders import name_as_words
from benchmarks.retrieval.run import merge
from benchmarks.retrieval.tables import cost_at, frontier, markdown
from models import truncate

# SymphonyQG rotates 64 dimensions at least.
ROWS, DIMENSION = 600, 64
LIBRARIES = {"hnswlib": "hnswlib", "usearch": "usearch", "svs": "svs", "symqg": "rabitqlib"}


def unit(count, dimension=DIMENSION, seed=0):
    return truncate(np.random.default_rng(seed).standard_normal((count, dimension), np.float32), dimension)


@given(rows=st.integers(5, 80), k=st.integers(1, 5), block=st.integers(1, 100))
def test_exact_is_a_full_sort(rows, k, block):
    vectors, queries = unit(rows), unit(3, seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.retrieval.data._SCANNED", block)
        truth = exact(vectors, queries, k)
    np.testing.assert_array_equal(truth.rows, np.argsort(-(queries @ vectors.T), axis=1)[:, :k])
    np.testing.assert_allclose(truth.scores, -np.sort(-(queries @ vectors.T), axis=1)[:, :k], atol=1e-6)


def test_recall_counts_rows_that_tie_with_the_last():
    vectors = np.array([[1, 0], [0.6, 0.8], [0.6, 0.8], [0, 1]], np.float32)
    queries = np.array([[1, 0]], np.float32)
    truth = Truth(np.array([[0, 1]]), np.array([[1, 0.6]], np.float32))
    assert recall(vectors, queries, np.array([[0, 1]]), truth) == 1
    assert recall(vectors, queries, np.array([[2, 0]]), truth) == 1, "the same vector as row 1"
    assert recall(vectors, queries, np.array([[0, 3]]), truth) == 0.5
    assert recall(vectors, queries, np.array([[0, 0]]), truth) == 0.5, "a row found twice"
    assert recall(vectors, queries, np.array([[0, -1]]), truth) == 0.5, "a row not found"


def test_names_become_queries():
    assert name_as_words("pypi:django-cotton-bs5") == "django cotton bs5"
    assert name_as_words("npm:@scope/some.name") == "scope some name"


def point(recall_, ms):
    return {"recall": recall_, "median_ms": ms, "mean_ms": ms, "batch_qps": 1000 / ms}


def test_the_frontier_leaves_out_what_another_beats():
    points = [point(0.9, 1.0), point(0.95, 3.0), point(0.94, 4.0), point(0.99, 2.5)]
    assert frontier(points) == [(0.9, 1.0), (0.99, 2.5)]


def test_costs_are_interpolated_between_knobs_and_never_beyond():
    points = [point(0.90, 1.0), point(0.98, 4.0)]
    assert cost_at(points, 0.94) == pytest.approx(2.0)
    assert cost_at(points, 0.5) == 1.0
    assert cost_at(points, 0.98) == pytest.approx(4.0)
    assert cost_at(points, 0.981) is None


def test_turns_are_merged_by_their_medians():
    def turn(ms):
        one = {"knob": {}, "queries": 5, "p95_ms": ms, **point(0.9, ms)}
        return {"points": [one], "memory": {"anonymous": int(ms)}, "others": 0.0}

    merged = merge([turn(1.0), turn(9.0), turn(2.0)])
    assert merged["points"][0]["median_ms"] == 2.0
    assert merged["points"][0]["spread_ms"] == [1.0, 9.0]
    assert merged["memory"] == {"anonymous": 2}


def test_the_table_compares_with_the_reference():
    def one(ms):
        build = {"disk_bytes": 400, "seconds": 7.0, "noisy": True}
        memory = {"anonymous": 500, "mapped": 0}
        return {"title": "some", "points": [point(0.96, ms)], "memory": memory, "build": build}

    table = markdown({"faiss-hnsw32": one(3.0), "symqg": one(1.0)}, rows=100)
    assert "| some | 1.000 (3.0x) | 1.000 (3.0x) | - | 1,000 | 5 | 0 | 4 | 7* |" in table


@pytest.mark.parametrize("name", [name for name, one in STRUCTURES.items() if one.kind != "ours"])
def test_every_peer_finds_neighbours_after_a_reload(tmp_path, name):
    structure = STRUCTURES[name]
    if structure.kind in LIBRARIES:
        pytest.importorskip(LIBRARIES[structure.kind])
    vectors, queries = unit(ROWS), unit(20, seed=1)
    options = {**structure.options, **({"prefix": 48} if name == "naive" else {})}
    kind = KINDS[structure.kind]
    kind.build(vectors, 1, **options).save(tmp_path)
    loaded = kind.load(tmp_path, vectors)
    found = loaded.searcher(10, 1, **structure.knobs[-1])(queries)
    assert found.shape == (20, 10)
    assert recall(vectors, queries, found, exact(vectors, queries, 10)) > 0.9
    single = np.concatenate([loaded.searcher(10, 1, **structure.knobs[-1])(query[None]) for query in queries])
    assert (single == found).mean() > 0.98, "one query a call finds what many do"


def test_each_structure_is_of_a_known_kind_and_each_set_of_a_known_encoder():
    encoders = importlib.import_module("benchmarks.retrieval.encoders").ENCODERS
    assert {structure.kind for structure in STRUCTURES.values()} == set(KINDS)
    assert {data_set.encoder for data_set in DATA_SETS.values()} == set(encoders)
