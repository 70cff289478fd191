import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from indexer.kernels.rowset import RowSet


@given(st.integers(0, 70), st.integers(0, 99))
def test_a_row_set_as_a_bitmap(universe, seed):
    rng = np.random.default_rng(seed)
    first, second = (RowSet(np.flatnonzero(rng.random(universe) < 0.5), universe) for _ in range(2))
    bits = np.unpackbits(first.bitmap, bitorder="little")[:universe]
    assert np.flatnonzero(bits).tolist() == first.rows.tolist()
    assert (first & second).rows.tolist() == sorted(set(first.rows.tolist()) & set(second.rows.tolist()))
    assert RowSet.without(first.rows, universe).rows.tolist() == [i for i in range(universe) if not bits[i]]
    assert len(first) == bits.sum()
