import numpy as np
import pytest
from numba.core import config

from models.compiled import compiled


def ratio_of_sums(left, right):
    total = 0.0
    for i in range(left.shape[0]):
        total += left[i]
    return total / right[0]


@pytest.mark.parametrize("disabled", [False, True], ids=["compiled", "interpreted"])
def test_results_and_divisions_by_zero_are_the_same_in_both_ways(monkeypatch, disabled):
    monkeypatch.setattr(config, "DISABLE_JIT", disabled)
    function = compiled(ratio_of_sums)
    assert hasattr(function, "py_func") is not disabled
    left = np.arange(5, dtype=np.float64)
    assert function(left, np.array([4.0])) == 2.5
    assert function(left, np.array([0.0])) == np.inf
    assert np.isnan(function(left[:1], np.array([0.0])))
