"""Adaptive classification: stop at the shortest prefix whose answer is confident enough (MRL, section 4.2.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import InvalidOptionError

Confidences = npt.NDArray[np.float32]

_TRADES = np.geomspace(1e-6, 1e-1, 61)
"""Errors an item that one more dimension is worth; from "never mind the dimensions" to "hardly any dimensions"."""


@dataclass(frozen=True, slots=True)
class Cascade:
    """A size's answer is taken where its greatest softmax probability reaches the size's threshold.

    Attributes:
        sizes: increasing; the last one's answer is always taken.
        thresholds: one for each size but the last; above 1 the size is passed over.
        accuracy: on the held-out items the thresholds were learned from.
        dims: expected dimensions there, the last size used (the paper's count).
        dims_summed: expected dimensions there, all sizes looked at added up.
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

    Args:
        confidences, correct: see :func:`measure`; at least one item.

    Returns:
        The cascades that no other beats in both, by rising dimensions: the accuracy-against-dimensions curve.
    """
    sizes = tuple(sorted(confidences))
    sure, right = _stacked(confidences, sizes), _stacked(correct, sizes)
    if not sure.shape[1]:
        raise InvalidOptionError("validation", "0 held-out items: thresholds are learned from at least one")
    found = []
    for price in _TRADES:
        thresholds = _descend(sure, ~right + price * np.asarray(sizes)[:, None])
        score = _score(sure, right, sizes, thresholds)
        found.append(Cascade(sizes, thresholds, score.accuracy, score.dims, score.dims_summed))
    found.sort(key=lambda cascade: (cascade.dims, -cascade.accuracy))
    curve: list[Cascade] = []
    for cascade in found:
        if not curve or cascade.accuracy > curve[-1].accuracy:
            curve.append(cascade)
    return curve


def choose(curve: list[Cascade], accuracy: float) -> Cascade:
    """Return the cascade of fewest dimensions that reaches an accuracy, or the most accurate where none does.

    Args:
        curve: what :func:`learn_cascades` returned.
        accuracy: on the held-out items; between 0 and 1.
    """
    return next((cascade for cascade in curve if cascade.accuracy >= accuracy), curve[-1])


def _stacked(by_size: Mapping[int, npt.NDArray[Any]], sizes: tuple[int, ...]) -> npt.NDArray[Any]:
    return np.stack([by_size[size] for size in sizes])


def _stops(sure: Confidences, thresholds: tuple[float, ...]) -> npt.NDArray[np.int64]:
    taken = np.ones(sure.shape, bool)
    taken[:-1] = sure[:-1] >= np.asarray(thresholds)[:, None]
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
    # Above every probability: at first all items go to the largest size.
    thresholds = [2.0] * (len(sure) - 1)
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
    return float(ordered[best - 1]) if best else 2.0
