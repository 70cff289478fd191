"""Where the mean of a bounded quantity lies, from a sample of it: a confidence interval by betting.

To hold that the mean is m is to offer even odds: a gambler who stakes the share c of the capital multiplies it by
1 + c (x/m - 1) at each value x, and cannot be expected to win. Whoever has multiplied the capital by 1/α has refuted m
at level α, at whatever moment (Ville's inequality). So the interval holds however often it is looked at, for values of
any distribution on [0, 1], and needs nothing but how often each value was seen. The stake is not known beforehand: the
capital is spread over several, from the whole to a thousandth. After Waudby-Smith and Ramdas, "Estimating means of
bounded random variables by betting" (2024), section 4, and Orabona and Jun, "Tight concentrations and confidence
sequences from the regret of universal portfolio" (2024).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

_STAKES = 2.0 ** -np.arange(11.0)[:, None]
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


def _lower(values: _Numbers, times: _Numbers, proof: float) -> float:
    """Return the largest mean, to the search's precision, that is refuted as too small."""
    refuted, open_ = 0.0, float(values @ times / times.sum())
    for _ in range(_HALVINGS):
        mean = (refuted + open_) / 2
        if mean == 0:
            break
        with np.errstate(divide="ignore"):  # who stakes all and loses has nothing left: log 0
            capital = np.log(1 - _STAKES + _STAKES * (values / mean)) @ times
        most = capital.max()
        won = most + math.log(np.exp(capital - most).mean())
        refuted, open_ = (mean, open_) if won >= proof else (refuted, mean)
    return refuted
