import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.calibration.bound import PlanRecalls, bounds_together


@settings(max_examples=8)
@given(
    mean=st.floats(0.5, 0.999),
    spread=st.sampled_from([0.5, 5.0, 100.0]),
    count=st.sampled_from([20, 100, 400]),
    seed=st.integers(0, 2**31),
)
def test_the_bound_misses_no_more_often_than_it_says(mean, spread, count, seed):
    rng = np.random.default_rng(seed)
    missed = 0
    for _ in range(150):
        found = rng.binomial(10, rng.beta(mean * spread, (1 - mean) * spread, size=count))
        missed += PlanRecalls([found / 10]).low(0.9) > mean
    # 10 % of 150 and four standard deviations.
    assert missed <= 15 + 4 * math.sqrt(150 * 0.1 * 0.9)


def test_the_bound_is_tight_where_nearly_all_is_found_and_is_that_of_the_hardest_kind():
    perfect, good = np.ones(700), np.repeat([1.0, 0.9], [650, 50])
    assert 0.99 < PlanRecalls([perfect]).low(0.95) < 1
    assert 0.98 < PlanRecalls([good]).low(0.95) < good.mean()
    both = PlanRecalls([perfect, good])
    assert both.low(0.95) == PlanRecalls([good]).low(0.95)
    assert both.mean == good.mean()
    assert both.counts == [700, 700]


def test_a_choice_among_many_plans_by_their_bounds_is_not_misled():
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(100):
        # Ten plans that all miss the target slightly, of which some look good by chance.
        samples = [PlanRecalls([(rng.random(60) < 0.89).astype(float)]) for _ in range(10)]
        wrong += max(bounds_together(samples, 0.75)) >= 0.9
    assert wrong <= 25


def test_a_bound_is_at_most_that_of_the_plans_before_it():
    samples = [PlanRecalls([np.full(50, recall)]) for recall in (0.9, 1.0, 0.5, 0.7)]
    lows = bounds_together(samples, 0.95)
    assert lows[1] == lows[0]
    assert lows[3] == lows[2] < lows[0]
    assert bounds_together([], 0.95) == []
