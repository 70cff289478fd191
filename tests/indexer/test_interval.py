import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.interval import mean_interval, mean_low


class TestMeanInterval:
    @pytest.mark.parametrize(
        "draw",
        [
            lambda rng, n: rng.binomial(10, 0.96, n) / 10,
            lambda rng, n: np.where(rng.random(n) < 0.9, 1, rng.binomial(10, 0.5, n) / 10),
            lambda rng, n: (rng.random(n) < 0.98) * 1.0,
        ],
        ids=["alike", "easy-and-hard", "k-1"],
    )
    def test_it_holds_the_mean_at_every_moment(self, draw):
        mean = draw(np.random.default_rng(0), 1_000_000).mean()
        rng = np.random.default_rng(1)
        missed = 0
        for _ in range(100):
            values = draw(rng, 1000)
            looks = (mean_interval(Counter(values[:n].tolist()), 0.9) for n in (3, 10, 30, 100, 300, 1000))
            missed += not all(low < mean < high for low, high in looks)
        assert missed <= 10

    def test_it_is_narrow_enough_to_be_of_use(self):
        values = Counter((np.random.default_rng(0).binomial(10, 0.95, 1000) / 10).tolist())
        low, high = mean_interval(values, 0.95)
        standard_error = np.std([*values.elements()]) / 1000**0.5
        assert high - low < 2 * 1.96 * 2 * standard_error, "twice the interval that takes the mean for normal"

    @given(st.lists(st.sampled_from([0.0, 0.3, 0.9, 1.0]), min_size=1, max_size=30))
    def test_its_ends_are_where_a_gambler_has_won_enough(self, values):
        def won(mean, values):
            stakes = 2.0 ** -np.arange(11.0)
            return np.mean([np.prod([1 + c * (x / mean - 1) for x in values]) for c in stakes])

        low, high = mean_interval(Counter(values), 0.95)
        assert 0 <= low <= np.mean(values) <= high <= 1
        for end, mirrored in ((low, values), (1 - high, [1 - x for x in values])):
            assert end == 0 or won(end, mirrored) >= 2 / 0.05 * (1 - 1e-9)
            if np.mean(mirrored):
                assert won(end + 2e-5, mirrored) < 2 / 0.05

    def test_nothing_seen_says_nothing(self):
        assert mean_interval({}, 0.95) == (0, 1)

    def test_more_of_the_same_says_more(self):
        lows = [mean_interval({1.0: n}, 0.95)[0] for n in (1, 10, 100, 1000)]
        assert lows == sorted(set(lows))
        assert lows[-1] > 0.99


@given(st.lists(st.sampled_from([0.0, 0.3, 0.9, 1.0]), min_size=1, max_size=30))
def test_the_lower_bound_is_where_a_gambler_who_adapts_the_stake_has_won_enough(values):
    def won(mean):
        capital = 1.0
        for number, value in enumerate(values):
            seen = values[:number]
            means = [(0.5 + sum(seen[: i + 1])) / (i + 2) for i in range(number)]
            variance = (0.25 + sum((x - m) ** 2 for x, m in zip(seen, means, strict=True))) / (number + 1)
            stake = min(math.sqrt(2 * math.log(1 / 0.05) / (len(values) * variance)), 0.75 / mean)
            capital *= 1 + stake * (value - mean)
        return capital

    low = mean_low(values, 0.95)
    assert 0 <= low <= np.mean(values)
    assert low == 0 or won(low) >= 1 / 0.05 * (1 - 1e-9)
    if np.mean(values):
        assert won(low + 2e-5) < 1 / 0.05 or low + 2e-5 >= np.mean(values)
    assert mean_low([], 0.95) == 0


def test_a_known_sample_size_gives_a_tighter_bound_than_a_growing_sample():
    rng = np.random.default_rng(0)
    for count in (200, 1000):
        found = np.where(rng.random(count) < 0.7, 1.0, rng.binomial(10, 0.8, count) / 10)
        growing = mean_interval(Counter(found.tolist()), 0.9)[0]
        assert found.mean() - mean_low(found, 0.95) < 0.8 * (found.mean() - growing)
