import numpy as np
import pytest

from indexer.shortlist.gathered import gather, inner_products
from tests.indexer.shortlists import ArrayPrefixes, prefixes


def test_prefixes_are_padded_and_converted():
    rows = prefixes(700)
    whole = gather(ArrayPrefixes(rows), 20, np.float16)
    assert (whole.shape, whole.dtype) == ((700, 20), np.float16)
    np.testing.assert_array_equal(whole[:, :16], rows.astype(np.float16))
    assert not whole[:, 16:].any()


def test_zero_rows_get_the_direction_opposite_to_the_mean():
    rows = np.concatenate([np.zeros((2, 16), np.float32), prefixes(50)])
    whole = gather(ArrayPrefixes(rows), 16, np.float32)
    mean = rows.sum(axis=0) / np.linalg.norm(rows.sum(axis=0))
    np.testing.assert_allclose(whole[:2], [-mean, -mean], atol=1e-6)
    np.testing.assert_array_equal(whole[2:], rows[2:])


def test_zero_rows_alone_get_any_direction():
    whole = gather(ArrayPrefixes(np.zeros((3, 16), np.float32)), 16, np.float32)
    np.testing.assert_allclose(np.linalg.norm(whole, axis=1), 1)


def test_distances_of_unit_vectors_become_inner_products():
    a, b = prefixes(5), prefixes(5, seed=1)
    assert inner_products(((a - b) ** 2).sum(axis=1)) == pytest.approx((a * b).sum(axis=1), abs=1e-6)
