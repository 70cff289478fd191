"""Compiled without Numba's cache on disk, so that the instructions are generated again in each run."""

import numba
import numpy as np
import pytest

from indexer.kernels import intrinsics
from indexer.kernels.intrinsics import prefetch, stored_value


@numba.njit
def values_of(stored, values):
    for i in range(len(stored)):
        values[i] = stored_value(stored[i])


@numba.njit
def prefetch_all(stored):
    for row in range(stored.shape[0]):
        prefetch(stored, row, 0)
    return stored.shape[0]


STORED = pytest.mark.parametrize(
    ("numbers", "view"),
    [
        (np.array([0, 1.5, -2.25, 65504, np.inf], np.float16), np.uint16),
        (np.array([0.1, -3e38], np.float32), np.float32),
        (np.array([-127, 0, 127], np.int8), np.int8),
    ],
    ids=["float16", "float32", "int8"],
)


@STORED
def test_stored_numbers_become_float32(numbers, view):
    values = np.empty(len(numbers), np.float32)
    values_of(numbers.view(view), values)
    np.testing.assert_array_equal(values, numbers.astype(np.float32))


@STORED
def test_the_plain_python_forms_give_the_same(numbers, view):
    values = [intrinsics._stored_value(number) for number in numbers.view(view)]
    np.testing.assert_array_equal(np.array(values, np.float32), numbers.astype(np.float32))
    assert intrinsics._prefetch(numbers.view(view), 0, 0) is None


@pytest.mark.parametrize("dtype", [np.float32, np.uint16, np.int8])
def test_prefetching_leaves_rows_as_they_are(dtype):
    stored = np.arange(60).astype(dtype).reshape(6, 10)
    before = stored.copy()
    assert prefetch_all(stored) == 6
    np.testing.assert_array_equal(stored, before)
