"""Linear probe: how far a linear classifier on frozen vectors gets."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from models.nesting import Vectors

PENALTIES = (3e-2, 3e-3, 3e-4)
"""Weights of half the squared norm beside the mean loss: few rows of many dimensions want the first, many rows of few
dimensions the last."""


def linear_probe(train: Vectors, train_labels: npt.NDArray[Any], test: Vectors, test_labels: npt.NDArray[Any]) -> float:
    """Top-1 accuracy of multinomial logistic regression (scikit-learn, L-BFGS: no learning rate).

    Dimensions are standardised by the training rows. The penalty is the one that does best on a fifth of the training
    rows, always the same fifth, after learning from the others; the probe then learns from all of them.

    Args:
        train, test: shapes (N, m) and (n, m).
        train_labels, test_labels: shapes (N,) and (n,); at least two labels to train on.
    """
    scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    held = np.random.default_rng(0).permutation(len(train)) < len(train) // 5
    penalty = PENALTIES[0]
    if held.any() and len(np.unique(train_labels[~held])) > 1:
        penalty = max(
            PENALTIES,
            key=lambda tried: _fit(train[~held], train_labels[~held], tried).score(train[held], train_labels[held]),
        )
    return float(_fit(train, train_labels, penalty).score(test, test_labels))


def _fit(train: Vectors, labels: npt.NDArray[Any], penalty: float) -> LogisticRegression:
    # scikit-learn adds the losses up, so its C is by the number of rows.
    return LogisticRegression(C=1 / (penalty * len(train)), tol=1e-3, max_iter=1000).fit(train, labels)
