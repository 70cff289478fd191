"""Few-shot classification by nearest class mean (MRL, section 5: few-shot learning)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from models.nesting import Vectors, truncate


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over repetitions with its 95 % confidence interval (Student's t)."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Interval:
        """Compute the interval from the values of at least two repetitions."""
        mean = float(np.mean(values))
        half = float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
        return cls(mean, mean - half, mean + half)

    def to_json(self) -> dict[str, float]:
        """A dictionary for JSON."""
        return asdict(self)


def few_shot(
    train: Vectors,
    train_labels: npt.NDArray[Any],
    test: Vectors,
    test_labels: npt.NDArray[Any],
    *,
    sizes: Sequence[int],
    shots: Sequence[int] = (1, 3, 5, 9),
    episodes: int = 100,
    seed: int = 0,
) -> dict[int, dict[int, Interval]]:
    """Top-1 accuracy of the nearest class mean over all classes, by size and by shots.

    Each episode samples rows of each class without replacement. All sizes share the sample, and larger shot counts
    extend smaller ones. A class with fewer rows than shots contributes all its rows. Means of unit prefixes are
    compared by cosine; ties go to the label that sorts first.

    Args:
        train, test: shapes (N, D) and (n, D).
        train_labels, test_labels: shapes (N,) and (n,).
        sizes: prefix sizes.
        shots: numbers of rows per class that a mean is computed from.
        episodes: number of samples, at least two.
        seed: seed of the samples.
    """
    labels, classes = np.unique(train_labels, return_inverse=True)
    draws = [_draw(classes, max(shots), np.random.default_rng([seed, episode])) for episode in range(episodes)]
    results: dict[int, dict[int, Interval]] = {}
    for size in sizes:
        cut_train, cut_test = truncate(train, size), truncate(test, size)
        results[size] = {}
        for count in shots:
            accuracies = []
            for rows, place in draws:
                chosen = rows[place < count]
                starts = np.flatnonzero(place[place < count] == 0)
                # Cosine ignores length, so the sum serves as the mean.
                means = truncate(np.add.reduceat(cut_train[chosen], starts), size)
                accuracies.append(float((labels[(cut_test @ means.T).argmax(axis=1)] == test_labels).mean()))
            results[size][count] = Interval.of(accuracies)
    return results


def _draw(
    classes: npt.NDArray[np.int64], most: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Sample up to ``most`` rows per class, grouped by class, with each row's position in its class's sample."""
    order = rng.permutation(len(classes))
    order = order[np.argsort(classes[order], kind="stable")]
    counts = np.bincount(classes)
    place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    return order[place < most], place[place < most]
