import itertools

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models import InvalidOptionError
from models.classifier.cascade import Cascade, _descend, choose, choose_within, learn_cascades, measure

SIZES = (2, 4, 8)


def items(count, seed, levels=100):
    """Calibrated confidences, rising with the size: an answer is correct with that probability."""
    rng = np.random.default_rng(seed)
    hardness = rng.random(count)
    sure, right = {}, {}
    for size in SIZES:
        # Rounded, so that some are equal.
        sure[size] = (np.round(np.clip(1 - hardness * 4 / (2 + size), 0.05, 1) * levels) / levels).astype(np.float32)
        right[size] = rng.random(count) < sure[size]
    return sure, right


def stops_of_each(sure, thresholds):
    stops = []
    for item in range(len(sure[SIZES[0]])):
        for place, size in enumerate(SIZES):
            if place == len(SIZES) - 1 or sure[size][item] >= thresholds[place]:
                stops.append(place)
                break
    return stops


@given(st.lists(st.floats(0, 2), min_size=2, max_size=2), st.integers(1, 40), st.integers(0, 99))
@example([0.95, 0.0], 4, 94)  # a confidence of 0.95 in float32, which is less than 0.95 in float64
def test_a_batch_equals_single_items_and_dimensions_are_counted_both_ways(thresholds, count, seed):
    sure, right = items(count, seed)
    cascade = Cascade(SIZES, tuple(thresholds), 0, 0, 0)
    stops = stops_of_each(sure, thresholds)
    assert cascade.stops(sure).tolist() == stops
    score = measure(cascade, sure, right)
    read = [size if threshold <= 1 else 0 for size, threshold in zip(SIZES, [*thresholds, 0], strict=True)]
    assert score.accuracy == pytest.approx(np.mean([right[SIZES[stop]][i] for i, stop in enumerate(stops)]))
    assert score.dims == pytest.approx(np.mean([SIZES[stop] for stop in stops]))
    assert score.dims_summed == pytest.approx(np.mean([sum(read[: stop + 1]) for stop in stops]))
    assert sum(score.shares) == pytest.approx(1)


@given(st.integers(1, 25), st.integers(0, 999), st.floats(0, 0.1))
def test_no_change_of_a_single_threshold_lowers_the_cost(count, seed, price):
    sure, right = items(count, seed, levels=10)
    stacked = np.stack([sure[size] for size in SIZES])
    costs = ~np.stack([right[size] for size in SIZES]) + price * np.array(SIZES)[:, None]

    def cost(thresholds):
        return sum(costs[stop, i] for i, stop in enumerate(stops_of_each(sure, thresholds)))

    found = _descend(stacked, costs)
    for place, value in itertools.product(range(2), [*np.unique(stacked), 2.0]):
        moved = list(found)
        moved[place] = float(value)
        assert cost(found) <= cost(moved) + 1e-6


def test_the_curve_rises_and_saves_dimensions():
    sure, right = items(4000, 1)
    curve = learn_cascades(sure, right)
    assert len(curve) > 3
    assert [c.dims for c in curve] == sorted(c.dims for c in curve)
    assert [c.accuracy for c in curve] == sorted(c.accuracy for c in curve)
    for cascade in curve:
        score = measure(cascade, sure, right)
        assert cascade.accuracy == pytest.approx(score.accuracy, abs=0.01)
        assert cascade.dims == pytest.approx(score.dims, rel=0.1)
        assert cascade.dims_summed == pytest.approx(score.dims_summed, rel=0.1)
    full = right[8].mean()
    chosen = choose(curve, full)
    assert chosen.accuracy >= full
    assert chosen.dims <= 8
    assert chosen == min((c for c in curve if c.accuracy >= full), key=lambda c: c.dims)
    assert choose(curve, full - 0.01).dims < 7
    assert choose(curve, 1.0) == curve[-1]
    assert choose_within(curve, 4.0) == max((c for c in curve if c.dims <= 4), key=lambda c: c.accuracy)
    assert choose_within(curve, 1.0) == curve[0]


def test_the_expected_accuracy_is_that_on_new_items():
    """Thresholds overfit few items; the expectation must not."""
    expected, fitted, true = [], [], []
    others = items(20000, 999)
    for seed in range(8):
        few = items(60, seed)
        curve = learn_cascades(*few)
        expected.append(np.mean([cascade.accuracy for cascade in curve]))
        fitted.append(np.mean([measure(cascade, *few).accuracy for cascade in curve]))
        true.append(np.mean([measure(cascade, *others).accuracy for cascade in curve]))
    assert abs(np.mean(expected) - np.mean(true)) < abs(np.mean(fitted) - np.mean(true))


def test_what_holds_on_held_out_items_holds_on_others():
    curve = learn_cascades(*items(4000, 1))
    sure, right = items(20000, 2)
    chosen = choose(curve, 0.6)
    score = measure(chosen, sure, right)
    assert score.accuracy == pytest.approx(chosen.accuracy, abs=0.02)
    assert score.dims == pytest.approx(chosen.dims, rel=0.1)


def test_json_and_back():
    curve = learn_cascades(*items(200, 3))
    assert [Cascade.from_json(cascade.to_json()) for cascade in curve] == curve


def test_one_size_has_nothing_to_learn():
    curve = learn_cascades({4: np.array([0.5, 0.9], np.float32)}, {4: np.array([True, False])})
    assert curve == [Cascade((4,), (), 0.5, 4.0, 4.0)]


def test_nothing_held_out_is_refused():
    with pytest.raises(InvalidOptionError, match="0 held-out items"):
        learn_cascades({4: np.zeros(0, np.float32)}, {4: np.zeros(0, bool)})
