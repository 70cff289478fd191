"""Where the mean of a bounded quantity lies, from a sample of it: confidence bounds by betting.

To hold that the mean is m is to offer even odds: a gambler who stakes the share c of the capital multiplies it by
1 + c (x/m - 1) at each value x, and cannot be expected to win. Whoever has multiplied the capital by 1/α has refuted m
at level α, for values of any distribution on [0, 1]. The stake that would win most is not known beforehand:

- :func:`mean_interval` spreads the capital over several stakes, from the whole to a thousandth, and needs nothing but
  how often each value was seen (Orabona and Jun, "Tight concentrations and confidence sequences from the regret of
  universal portfolio", 2024). It may be looked at after every value (Ville's inequality);
- :func:`mean_low` takes the values one by one, and stakes by what it has seen of them, which needs their number
  beforehand and gives a closer bound (Waudby-Smith and Ramdas, "Estimating means of bounded random variables by
  betting", 2024, section 4). What counts is the capital at the end: the most that there ever was would do as well, and
  comes a sixth closer on the average, but whenever the first values are lucky ones it comes as close as the mean
  itself, which is when it is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

_STAKES = 2.0 ** -np.arange(11.0)[:, None]
_MOST_STAKED = 0.75
"""Of the capital, at one value: who stakes all is ruined by the first 0."""
_FIRST_MEAN, _FIRST_VARIANCE = 0.5, 0.25
"""What is held of the values before any was seen, with the weight of one."""
_HALVINGS = 16
"""Steps of the search for a bound: it is found to the mean / 2^16, and lies outside, never inside, by so much."""

_Numbers = npt.NDArray[np.float64]


def mean_interval(counts: Mapping[float, int], confidence: float) -> tuple[float, float]:
    """Bound the mean of a quantity from both sides.

    Args:
        counts: how often each value was seen; values in [0, 1].
        confidence: probability that the interval holds the mean, at every moment of a growing sample.

    Returns:
        the lower and the upper bound; 0 and 1 where nothing was seen.
    """
    if not counts:
        return 0.0, 1.0
    values, times = np.array(list(counts), dtype=np.float64), np.array(list(counts.values()), dtype=np.float64)
    proof = math.log(2 / (1 - confidence))
    return _lower(values, times, proof), 1 - _lower(1 - values, times, proof)


def mean_low(values: npt.ArrayLike, confidence: float) -> float:
    """Bound the mean of a quantity from below.

    Args:
        values: the sample, in an order that has nothing to do with them, shape (n,); in [0, 1].
        confidence: probability that the mean is not lower.

    Returns:
        the bound; 0 where nothing was seen.
    """
    seen = np.asarray(values, dtype=np.float64)
    if not len(seen):
        return 0.0
    proof = math.log(1 / (1 - confidence))
    numbers = np.arange(2.0, len(seen) + 2)
    means = (_FIRST_MEAN + np.cumsum(seen)) / numbers
    variances = (_FIRST_VARIANCE + np.cumsum((seen - means) ** 2)) / numbers
    # What is staked at a value comes from those before it alone: a bet placed afterwards would prove nothing.
    stakes = np.sqrt(2 * proof / (len(seen) * np.concatenate([[_FIRST_VARIANCE], variances[:-1]])))

    def won(mean: float) -> float:
        return float(np.log1p(np.minimum(stakes, _MOST_STAKED / mean) * (seen - mean)).sum())

    return _refuted(won, float(seen.mean()), proof)


def _lower(values: _Numbers, times: _Numbers, proof: float) -> float:
    def won(mean: float) -> float:
        with np.errstate(divide="ignore"):  # who stakes all and loses has nothing left: log 0
            capital = np.log(1 - _STAKES + _STAKES * (values / mean)) @ times
        most = capital.max()
        return float(most + math.log(np.exp(capital - most).mean()))

    return _refuted(won, float(values @ times / times.sum()), proof)


def _refuted(won: Callable[[float], float], most: float, proof: float) -> float:
    """Return the largest mean up to ``most``, to the search's precision, that is refuted as too small.

    ``won`` is the logarithm of the capital won by who bets against a mean.
    """
    refuted, open_ = 0.0, most
    for _ in range(_HALVINGS):
        mean = (refuted + open_) / 2
        if mean == 0:
            break
        refuted, open_ = (mean, open_) if won(mean) >= proof else (refuted, mean)
    return refuted
