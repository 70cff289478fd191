import numpy as np

from tests.indexer.shortlists import DIMS, exact, make, prefixes


def test_a_scan_is_exact_and_takes_four_bytes_per_dimension():
    rows, queries = prefixes(700), prefixes(5, seed=1)
    structure = make("flat", rows)
    found = structure.search(queries, 20)
    np.testing.assert_array_equal(found.rows, exact(rows, queries, 20))
    np.testing.assert_allclose(found.scores, -np.sort(-(queries @ rows.T))[:, :20], atol=1e-6)
    assert structure.exact_scores
    assert structure.close_scores
    assert structure.memory_bytes == 700 * DIMS * 4
