import pytest

from indexer import SearchOptions
from indexer.plan import make_plan
from models import InvalidOptionError


def plan(rows=1000, **options):
    return make_plan(SearchOptions(**options), rows, 32, 16, "hnsw")


def test_defaults():
    made = plan()
    assert (made.k, made.dims, made.candidates, made.rerank_dims, made.structure) == (10, 16, 200, 32, "hnsw")


@pytest.mark.parametrize(
    ("options", "structure"),
    [
        ({"dims": 8}, "scan"),
        ({"dims": 16, "rerank_dims": 16}, "scan"),
        ({"candidates": 1000}, "scan"),
        ({"candidates": 999}, "hnsw"),
        ({"rerank_dims": 20}, "hnsw"),
    ],
)
def test_the_structure_is_used_only_where_it_serves(options, structure):
    assert plan(**options).structure == structure


def test_a_structure_over_the_full_size_is_used_unless_an_exact_search_is_asked_for():
    own = make_plan(SearchOptions(), 1000, 32, 32, "hnsw")
    exact = make_plan(SearchOptions(dims=32), 1000, 32, 32, "hnsw")
    assert (own.structure, own.single) == ("hnsw", False)
    assert (exact.structure, exact.single) == ("scan", True)


def test_k_and_candidates_are_cut_to_the_rows_there_are():
    made = plan(rows=5, k=50)
    assert (made.k, made.candidates) == (5, 5)


def test_candidates_grow_with_k():
    assert plan(k=300).candidates == 600


@pytest.mark.parametrize(
    ("options", "param", "message"),
    [
        ({"k": 0}, "k", "k 0: give at least 1"),
        ({"dims": 0}, "dims", "dims 0: allowed are 1 to 32"),
        ({"dims": 33}, "dims", "dims 33: allowed are 1 to 32"),
        ({"rerank_dims": 33}, "rerank_dims", "rerank_dims 33: allowed are 1 to 32"),
        ({"rerank_dims": 8}, "rerank_dims", "rerank_dims 8 is smaller than dims 16"),
        ({"candidates": 5}, "candidates", "candidates 5 is smaller than k 10"),
        ({"effort": 0}, "effort", "effort 0: give at least 1"),
    ],
)
def test_options_outside_their_bounds(options, param, message):
    with pytest.raises(InvalidOptionError, match=message) as caught:
        plan(**options)
    assert caught.value.param == param
