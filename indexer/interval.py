"""Confidence bounds on the mean of a bounded random variable, by betting.

The hypothesis that the mean is m offers fair odds: a gambler who stakes the fraction c of the capital multiplies it by
1 + c (x/m - 1) at each value x, with an expected gain of at most zero. Multiplying the capital by 1/α therefore rejects
m at level α, for any distribution on [0, 1]. The best stake is not known in advance:

- :func:`mean_interval` splits the capital over several stakes, from all of it to a thousandth, and needs only the count
  of each value (Orabona and Jun, "Tight concentrations and confidence sequences from the regret of universal
  portfolio", 2024). It holds at every sample size simultaneously (Ville's inequality);
- :func:`mean_low` adapts its stake to the values seen so far, which needs the sample size in advance and is tighter
  (Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", 2024, section 4). It uses
  the final capital. The maximum over time is valid too and a sixth tighter on average, but after a lucky start it comes
  as close as the sample mean itself, which is exactly when that is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

_STAKES = 2.0 ** -np.arange(11.0)[:, None]
_MOST_STAKED = 0.75
"""Largest stake, as a fraction of the capital: staking all loses everything at the first 0."""
_FIRST_MEAN, _FIRST_VARIANCE = 0.5, 0.25
"""Prior mean and variance, with the weight of a single value."""
_HALVINGS = 16
"""Bisection steps: a bound has a precision of mean / 2^16, and is never tighter than the exact one."""

_Numbers = npt.NDArray[np.float64]


def mean_interval(counts: Mapping[float, int], confidence: float) -> tuple[float, float]:
    """Return a confidence interval of the mean.

    Args:
        counts: number of occurrences of each value in [0, 1].
        confidence: probability that the interval contains the mean at every size of a growing sample.

    Returns:
        the lower and upper bound; 0 and 1 for an empty sample.
    """
    if not counts:
        return 0.0, 1.0
    values, times = np.array(list(counts), dtype=np.float64), np.array(list(counts.values()), dtype=np.float64)
    proof = math.log(2 / (1 - confidence))
    return _lower(values, times, proof), 1 - _lower(1 - values, times, proof)


def mean_low(values: npt.ArrayLike, confidence: float) -> float:
    """Return a lower confidence bound on the mean.

    Args:
        values: the sample, in an order independent of the values, shape (n,); in [0, 1].
        confidence: probability that the mean is at least the bound.

    Returns:
        the bound; 0 for an empty sample.
    """
    seen = np.asarray(values, dtype=np.float64)
    if not len(seen):
        return 0.0
    proof = math.log(1 / (1 - confidence))
    numbers = np.arange(2.0, len(seen) + 2)
    means = (_FIRST_MEAN + np.cumsum(seen)) / numbers
    variances = (_FIRST_VARIANCE + np.cumsum((seen - means) ** 2)) / numbers
    # A stake may depend on earlier values only: a bet placed afterwards would prove nothing.
    stakes = np.sqrt(2 * proof / (len(seen) * np.concatenate([[_FIRST_VARIANCE], variances[:-1]])))

    def won(mean: float) -> float:
        return float(np.log1p(np.minimum(stakes, _MOST_STAKED / mean) * (seen - mean)).sum())

    return _refuted(won, float(seen.mean()), proof)


def _lower(values: _Numbers, times: _Numbers, proof: float) -> float:
    def won(mean: float) -> float:
        with np.errstate(divide="ignore"):  # staking all and losing leaves nothing: log 0
            capital = np.log(1 - _STAKES + _STAKES * (values / mean)) @ times
        most = capital.max()
        return float(most + math.log(np.exp(capital - most).mean()))

    return _refuted(won, float(values @ times / times.sum()), proof)


def _refuted(won: Callable[[float], float], most: float, proof: float) -> float:
    """Return by bisection the largest mean, up to ``most``, that is rejected as too small.

    ``won`` returns the log capital won by betting against a mean.
    """
    refuted, open_ = 0.0, most
    for _ in range(_HALVINGS):
        mean = (refuted + open_) / 2
        if mean == 0:
            break
        refuted, open_ = (mean, open_) if won(mean) >= proof else (refuted, mean)
    return refuted
