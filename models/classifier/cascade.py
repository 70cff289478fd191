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
"""Errors an item that a dimension less is worth: from "never mind the dimensions" to "hardly any dimensions"."""
_FOLDS = 5
_NEVER = 2.0
"""A threshold above every probability."""


@dataclass(frozen=True, slots=True)
class Cascade:
    """A size's answer is taken where its greatest softmax probability reaches the size's threshold.

    Attributes:
        sizes: increasing; the last one's answer is always taken.
        thresholds: one for each size but the last; above 1 the size is passed over.
        accuracy: expected, by cross-validation over the held-out items the thresholds were learned from.
        dims: expected dimensions by the same, the last size used (the paper's count).
        dims_summed: expected dimensions by the same, all sizes looked at added up.
    """

    sizes: tuple[int, ...]
    thresholds: tuple[float, ...]
    accuracy: float
    dims: float
    dims_summed: float

    def stops(self, confidences: Mapping[int, Confidences]) -> npt.NDArray[np.int64]:
        """Return the number of the size each item stops at, shape (n,); 0 is the first size.

        Args:
            confidences: greatest softmax probability of each item, shape (n,), by size.
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
    """What a cascade does on labelled items; the attributes are those of :class:`Cascade`.

    Attributes:
        shares: of the items, those that stop at each size.
    """

    accuracy: float
    dims: float
    dims_summed: float
    shares: tuple[float, ...]


def measure(
    cascade: Cascade, confidences: Mapping[int, Confidences], correct: Mapping[int, npt.NDArray[np.bool_]]
) -> CascadeScore:
    """Run a cascade over labelled items.

    Args:
        cascade: sizes and thresholds.
        confidences: greatest softmax probability of each item, shape (n,), by size.
        correct: whether each size's answer is right, shape (n,), by size.
    """
    return _score(
        _stacked(confidences, cascade.sizes), _stacked(correct, cascade.sizes), cascade.sizes, cascade.thresholds
    )


def learn_cascades(
    confidences: Mapping[int, Confidences], correct: Mapping[int, npt.NDArray[np.bool_]]
) -> list[Cascade]:
    """Learn thresholds on held-out items for every trade of accuracy against dimensions.

    For each price λ of a dimension, thresholds are chosen that make mean(error + λ · last size used) small: one
    threshold at a time is set to its exact optimum given the others, from the largest size down, until none moves.
    What they would do on other items is told by cross-validation: on the items they were learned from, the best of
    many thresholds always look better than they are.

    Args:
        confidences, correct: see :func:`measure`; at least one item.

    Returns:
        The cascades that no other beats in both, by rising dimensions: the accuracy-against-dimensions curve.
    """
    sizes = tuple(sorted(confidences))
    sure, right = _stacked(confidences, sizes), _stacked(correct, sizes)
    if not sure.shape[1]:
        raise InvalidOptionError("validation", "0 held-out items: thresholds are learned from at least one")
    fold = np.random.default_rng(0).permutation(sure.shape[1]) % _FOLDS
    found = [_learn(sure, right, sizes, fold, price) for price in _PRICES]
    # The largest size alone is a cascade too: what it reaches can always be had.
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
    """Return the cascade of fewest dimensions that reaches an accuracy, or the most accurate where none does.

    Args:
        curve: what :func:`learn_cascades` returned.
        accuracy: expected; between 0 and 1.
    """
    return next((cascade for cascade in curve if cascade.accuracy >= accuracy), curve[-1])


def choose_within(curve: list[Cascade], dims: float) -> Cascade:
    """Return the most accurate cascade of at most so many expected dimensions, or the cheapest where none is.

    Args:
        curve: what :func:`learn_cascades` returned.
        dims: expected dimensions, the last size used.
    """
    return next((cascade for cascade in reversed(curve) if cascade.dims <= dims), curve[0])


def _stacked(by_size: Mapping[int, npt.NDArray[Any]], sizes: tuple[int, ...]) -> npt.NDArray[Any]:
    return np.stack([by_size[size] for size in sizes])


def _stops(sure: Confidences, thresholds: tuple[float, ...]) -> npt.NDArray[np.int64]:
    taken = np.ones(sure.shape, bool)
    # In the precision of the confidences, as where a classifier compares them one size at a time.
    taken[:-1] = sure[:-1] >= np.asarray(thresholds, sure.dtype)[:, None]
    stops: npt.NDArray[np.int64] = taken.argmax(axis=0)
    return stops


def _score(
    sure: Confidences, right: npt.NDArray[np.bool_], sizes: tuple[int, ...], thresholds: tuple[float, ...]
) -> CascadeScore:
    stops = _stops(sure, thresholds)
    # A size whose threshold cannot be reached is never looked at.
    read = np.where([threshold <= 1 for threshold in (*thresholds, 0.0)], sizes, 0)
    return CascadeScore(
        accuracy=float(right[stops, np.arange(len(stops))].mean()),
        dims=float(np.asarray(sizes)[stops].mean()),
        dims_summed=float(np.cumsum(read)[stops].mean()),
        shares=tuple((np.bincount(stops, minlength=len(sizes)) / len(stops)).tolist()),
    )


def _descend(sure: Confidences, costs: npt.NDArray[np.float64]) -> tuple[float, ...]:
    """Minimise the mean cost over thresholds by coordinate descent; each step lowers it, so it ends."""
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
    """The threshold whose items at or above it have the least sum of gains; the present one where it is as good."""
    order = np.argsort(-sure, kind="stable")
    sums = np.concatenate([[0.0], np.cumsum(gain[order])])
    ordered = sure[order]
    # Items of equal confidence stop together or not at all.
    sums[1:-1][ordered[1:] == ordered[:-1]] = np.inf
    best = int(sums.argmin())
    if sums[best] >= gain[sure >= now].sum() - 1e-9:
        return now
    return float(ordered[best - 1]) if best else _NEVER
