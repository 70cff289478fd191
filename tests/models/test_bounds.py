import math
from types import SimpleNamespace

import pytest

from models import InvalidOptionError, Nesting
from models.bounds import check_at_least, check_positive, check_width


def test_the_least_value_is_accepted_and_a_smaller_one_is_refused_by_name():
    options = SimpleNamespace(steps=1, seed=0)
    check_at_least(options, steps=1, seed=0)
    with pytest.raises(InvalidOptionError, match="steps 1: give at least 2") as refused:
        check_at_least(options, seed=0, steps=2)
    assert refused.value.param == "steps"


@pytest.mark.parametrize("value", [0, -1.0, math.inf, math.nan])
def test_what_is_not_positive_and_finite_is_refused_by_name(value):
    with pytest.raises(InvalidOptionError, match=f"rate {value}: give a positive number") as refused:
        check_positive(SimpleNamespace(other=None, rate=value), ("other", "rate"))
    assert refused.value.param == "rate"


def test_positive_numbers_and_none_are_accepted():
    check_positive(SimpleNamespace(other=None, rate=1e-9), ("other", "rate"))


def test_nested_sizes_end_in_the_width():
    check_width(None, Nesting((8, 16)))
    check_width(16, None)
    check_width(16, Nesting((8, 16)))
    with pytest.raises(InvalidOptionError, match=r"width 32: the last of the nested sizes \[8, 16\] must be the width"):
        check_width(32, Nesting((8, 16)))
