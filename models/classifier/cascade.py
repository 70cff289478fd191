"""Adaptive classification: stop at the shortest prefix whose answer is confident enough (MRL, section 4.2.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import InvalidOptionError

Confidences = npt.NDArray[np.float32]

_PRICES = np.geomspace(1e-6, 1e-1, 31)
"""Prices λ: the extra error rate accepted per dimension saved, from almost none to one that leaves few dimensions."""
_FOLDS = 5
_NEVER = 2.0
"""A threshold above every probability."""


@dataclass(frozen=True, slots=True)
class Cascade:
    """Confidence thresholds by size: an item stops at the first size whose top softmax probability reaches its own.

    Expectations are estimated by cross-validation over the held-out items that the thresholds were learned on.

    Attributes:
        sizes: increasing; the last size always answers.
        thresholds: one per size except the last; a size with a threshold above 1 is skipped.
        accuracy: expected accuracy.
        dims: expected dimensions, counting the last size used (the paper's count).
        dims_summed: expected dimensions, counting all sizes evaluated.
    """

    sizes: tuple[int, ...]
    thresholds: tuple[float, ...]
    accuracy: float
    dims: float
    dims_summed: float

    def stops(self, confidences: Mapping[int, Confidences]) -> npt.NDArray[np.int64]:
        """Return the index of the size each item stops at, shape (n,); 0 is the first size.

        Args:
            confidences: top softmax probability of each item, shape (n,), by size.
        """
        return _stops(_stacked(confidences, self.sizes), self.thresholds)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a JSON file."""
        return {
            "sizes": list(self.sizes),
            "thresholds": list(self.thresholds),
            "accuracy": self.accuracy,
            "dims": self.dims,
            "dims_summed": self.dims_summed,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Cascade:
        """Inverse of :meth:`to_json`."""
        return cls(**{**value, "sizes": tuple(value["sizes"]), "thresholds": tuple(value["thresholds"])})


@dataclass(frozen=True, slots=True)
class CascadeScore:
    """Result of a cascade on labelled items; see :class:`Cascade` for the other attributes.

    Attributes:
        shares: share of the items that stop at each size.
    """

    accuracy: float
    dims: float
    dims_summed: float
    shares: tuple[float, ...]


def measure(
    cascade: Cascade, confidences: Mapping[int, Confidences], correct: Mapping[int, npt.NDArray[np.bool_]]
) -> CascadeScore:
    """Measure a cascade on labelled items.

    Args:
        cascade: sizes and thresholds.
        confidences: top softmax probability of each item, shape (n,), by size.
        correct: whether each size classifies each item correctly, shape (n,), by size.
    """
    return _score(
        _stacked(confidences, cascade.sizes), _stacked(correct, cascade.sizes), cascade.sizes, cascade.thresholds
    )


def learn_cascades(
    confidences: Mapping[int, Confidences], correct: Mapping[int, npt.NDArray[np.bool_]]
) -> list[Cascade]:
    """Learn thresholds on held-out items for a range of trade-offs between accuracy and dimensions.

    For each price λ of a dimension, coordinate descent minimises mean(error + λ · last size used): one threshold at a
    time is set to its exact optimum given the other thresholds, from the largest size down, until none changes.
    Accuracy and dimensions are estimated by cross-validation, because thresholds look too good on the items they were
    learned on.

    Args:
        confidences, correct: see :func:`measure`; at least one item.

    Returns:
        The Pareto front of accuracy against dimensions, by increasing dimensions.

    Raises:
        InvalidOptionError: there are no items.
    """
    sizes = tuple(sorted(confidences))
    sure, right = _stacked(confidences, sizes), _stacked(correct, sizes)
    if not sure.shape[1]:
        raise InvalidOptionError("validation", "0 held-out items: thresholds need at least one to be learned on")
    fold = np.random.default_rng(0).permutation(sure.shape[1]) % _FOLDS
    found = [_learn(sure, right, sizes, fold, price) for price in _PRICES]
    # The largest size alone is a cascade too, so its accuracy is always available.
    found.append(Cascade(sizes, (_NEVER,) * (len(sizes) - 1), float(right[-1].mean()), sizes[-1], sizes[-1]))
    found.sort(key=lambda cascade: (cascade.dims, -cascade.accuracy))
    curve: list[Cascade] = []
    for cascade in found:
        if not curve or cascade.accuracy > curve[-1].accuracy:
            curve.append(cascade)
    return curve


def _learn(
    sure: Confidences,
    right: npt.NDArray[np.bool_],
    sizes: tuple[int, ...],
    fold: npt.NDArray[np.int64],
    price: float,
) -> Cascade:
    costs = ~right + price * np.asarray(sizes)[:, None]
    scores, weights = [], []
    for number in np.unique(fold):
        rest, held_out = fold != number, fold == number
        score = _score(sure[:, held_out], right[:, held_out], sizes, _descend(sure[:, rest], costs[:, rest]))
        scores.append((score.accuracy, score.dims, score.dims_summed))
        weights.append(held_out.sum())
    accuracy, dims, dims_summed = np.average(scores, axis=0, weights=weights).tolist()
    return Cascade(sizes, _descend(sure, costs), accuracy, dims, dims_summed)


def choose(curve: list[Cascade], accuracy: float) -> Cascade:
    """Return the cascade with the fewest dimensions that reaches an accuracy, or the most accurate if none does.

    Args:
        curve: the result of :func:`learn_cascades`.
        accuracy: expected accuracy to reach, between 0 and 1.
    """
    return next((cascade for cascade in curve if cascade.accuracy >= accuracy), curve[-1])


def choose_within(curve: list[Cascade], dims: float) -> Cascade:
    """Return the most accurate cascade within a budget of dimensions, or the cheapest if none fits.

    Args:
        curve: the result of :func:`learn_cascades`.
        dims: largest expected dimensions, counting the last size used.
    """
    return next((cascade for cascade in reversed(curve) if cascade.dims <= dims), curve[0])


def _stacked(by_size: Mapping[int, npt.NDArray[Any]], sizes: tuple[int, ...]) -> npt.NDArray[Any]:
    return np.stack([by_size[size] for size in sizes])


def _stops(sure: Confidences, thresholds: tuple[float, ...]) -> npt.NDArray[np.int64]:
    taken = np.ones(sure.shape, bool)
    # In the precision of the confidences, as a classifier compares them one size at a time.
    taken[:-1] = sure[:-1] >= np.asarray(thresholds, sure.dtype)[:, None]
    stops: npt.NDArray[np.int64] = taken.argmax(axis=0)
    return stops


def _score(
    sure: Confidences, right: npt.NDArray[np.bool_], sizes: tuple[int, ...], thresholds: tuple[float, ...]
) -> CascadeScore:
    stops = _stops(sure, thresholds)
    # A size whose threshold cannot be reached is never evaluated.
    read = np.where([threshold <= 1 for threshold in (*thresholds, 0.0)], sizes, 0)
    return CascadeScore(
        accuracy=float(right[stops, np.arange(len(stops))].mean()),
        dims=float(np.asarray(sizes)[stops].mean()),
        dims_summed=float(np.cumsum(read)[stops].mean()),
        shares=tuple((np.bincount(stops, minlength=len(sizes)) / len(stops)).tolist()),
    )


def _descend(sure: Confidences, costs: npt.NDArray[np.float64]) -> tuple[float, ...]:
    """Minimise the mean cost over thresholds by coordinate descent; every step lowers the cost, so it terminates."""
    thresholds = [_NEVER] * (len(sure) - 1)
    while True:
        before = list(thresholds)
        later = costs[-1]
        for place in reversed(range(len(thresholds))):
            arriving = (sure[:place] < np.asarray(thresholds[:place])[:, None]).all(axis=0)
            gain = (costs[place] - later)[arriving]
            thresholds[place] = _best_threshold(sure[place][arriving], gain, thresholds[place])
            later = np.where(sure[place] >= thresholds[place], costs[place], later)
        if thresholds == before:
            return tuple(thresholds)


def _best_threshold(sure: Confidences, gain: npt.NDArray[np.float64], now: float) -> float:
    """Return the threshold whose items at or above it have the lowest total gain; prefer the present one in a tie."""
    order = np.argsort(-sure, kind="stable")
    sums = np.concatenate([[0.0], np.cumsum(gain[order])])
    ordered = sure[order]
    # Items of equal confidence stop together or not at all.
    sums[1:-1][ordered[1:] == ordered[:-1]] = np.inf
    best = int(sums.argmin())
    if sums[best] >= gain[sure >= now].sum() - 1e-9:
        return now
    return float(ordered[best - 1]) if best else _NEVER
