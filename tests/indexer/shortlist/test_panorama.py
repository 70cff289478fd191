import numpy as np
import pytest

from tests.indexer.shortlists import make, prefixes


@pytest.mark.parametrize("candidates", [1, 4096, 4097, 6000])
def test_is_exact_for_any_number_of_candidates(candidates):
    rows, queries = prefixes(5000), prefixes(3, seed=1)
    allowed = np.packbits(np.random.default_rng(2).random(5000) < 0.97, bitorder="little")
    structure, flat = make("panorama", rows), make("flat", rows)
    for bitmap in (None, allowed):
        found = structure.search(queries, candidates, None, bitmap)
        expected = flat.search(queries, candidates, None, bitmap)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)
        assert (found.rows == expected.rows).mean() > 0.99  # equal scores may change places


@pytest.mark.parametrize("dims", [1, 3, 10, 100])
def test_cuts_any_number_of_dimensions(dims):
    rows, queries = prefixes(300, dims=dims), prefixes(10, seed=1, dims=dims)
    found = make("panorama", rows, levels=8).search(queries, 5)
    np.testing.assert_allclose(found.scores, -np.sort(-(queries @ rows.T))[:, :5], atol=1e-6)
