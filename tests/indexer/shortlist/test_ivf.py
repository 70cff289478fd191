import numpy as np
import pytest

from models import InvalidOptionError
from tests.indexer.shortlists import exact, make, prefixes, recall


def test_cells_are_assigned_by_the_first_dimensions_alone():
    rows = prefixes(2000)
    structure = make("ivf", rows, cells=20, cell_dims=4)
    queries = prefixes(30, seed=1)
    others = np.concatenate([queries[:, :4], -queries[:, 4:]], axis=1)
    cells = [structure._index.quantizer.search(batch, 3)[1] for batch in (queries, others)]
    np.testing.assert_array_equal(*cells)


def test_a_visit_to_every_cell_finds_everything():
    structure = make("ivf", prefixes(500), cells=20)
    found = structure.search(prefixes(3, seed=1), 500, 20).rows
    assert (np.sort(found, axis=1) == np.arange(500)).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cells": 51}, "option cells of shortlist 'ivf': 51 for 50 rows; give at most 50"),
        ({"cell_dims": 17}, "option cell_dims of shortlist 'ivf': 17 for 16 dimensions; give at most 16"),
    ],
)
def test_more_cells_or_dimensions_than_there_are_are_refused(values, message):
    with pytest.raises(InvalidOptionError, match=message):
        make("ivf", prefixes(50), **values)


@pytest.mark.parametrize("codes", ["pq", "rabitq"])
@pytest.mark.parametrize("dims", [7, 16])
def test_both_codes_find_most_of_the_nearest_rows(codes, dims):
    rows, queries = prefixes(1000, dims=dims), prefixes(30, seed=1, dims=dims)
    structure = make("ivf", rows, cells=10, codes=codes)
    assert recall(structure.search(queries, 100, 10).rows, exact(rows, queries, 10)) > 0.6


@pytest.mark.parametrize("count", [0, 1, 15])
def test_fewer_rows_than_a_code_has_values_can_be_indexed(count):
    found = make("ivf", prefixes(count)).search(prefixes(2, seed=1), 20).rows
    assert (np.sort(found, axis=1) == [-1] * (20 - count) + list(range(count))).all()


def test_efforts_are_numbers_of_cells_and_comparisons_grow_with_them():
    structure, queries = make("ivf", prefixes(2000), cells=60), prefixes(5, seed=1)
    assert structure.efforts(10) == [1, 2, 4, 8, 16, 32]
    assert structure.comparisons(queries, 10, 60) >= 2000
    assert structure.comparisons(queries, 10, 1) < 500


def test_memory_is_that_of_codes_row_numbers_and_centroids(tmp_path):
    structure = make("ivf", prefixes(2000))
    structure.save(tmp_path / "file")
    assert 0.9 < structure.memory_bytes / (tmp_path / "file").stat().st_size < 1.1
