"""Linear probe: the accuracy of a linear classifier on frozen vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from models.nesting import Vectors

PENALTIES = (3e-2, 3e-3, 3e-4)
"""Weights of the L2 penalty relative to the mean loss. The first suits few rows of many dimensions, the last many rows
of few dimensions."""


def linear_probe(train: Vectors, train_labels: npt.NDArray[Any], test: Vectors, test_labels: npt.NDArray[Any]) -> float:
    """Top-1 accuracy of multinomial logistic regression (scikit-learn's L-BFGS, so no learning rate to choose).

    Dimensions are standardised on the training rows. The penalty is chosen on a fixed fifth of the training rows; the
    probe is then fitted on all of them.

    Args:
        train, test: shapes (N, m) and (n, m).
        train_labels, test_labels: shapes (N,) and (n,), with at least two training labels.
    """
    scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    held = np.random.default_rng(0).permutation(len(train)) < len(train) // 5
    penalty = PENALTIES[0]
    if held.any() and len(np.unique(train_labels[~held])) > 1:
        penalty = max(
            PENALTIES,
            key=lambda weight: _fit(train[~held], train_labels[~held], weight).score(train[held], train_labels[held]),
        )
    return float(_fit(train, train_labels, penalty).score(test, test_labels))


def _fit(train: Vectors, labels: npt.NDArray[Any], penalty: float) -> LogisticRegression:
    # scikit-learn sums the losses, so C scales with the number of rows.
    return LogisticRegression(C=1 / (penalty * len(train)), tol=1e-3, max_iter=1000).fit(train, labels)
