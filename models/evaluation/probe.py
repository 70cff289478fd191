"""Linear probe: how far a linear classifier on frozen vectors gets."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.pipeline import make_pipeline  # type: ignore[import-untyped]
from sklearn.preprocessing import StandardScaler  # type: ignore[import-untyped]

from models.nesting import Vectors


def linear_probe(train: Vectors, train_labels: npt.NDArray[Any], test: Vectors, test_labels: npt.NDArray[Any]) -> float:
    """Top-1 accuracy of multinomial logistic regression (scikit-learn, L-BFGS: no seed, no learning rate).

    Dimensions are standardised by the training rows, so that the fixed penalty (C = 1) means the same at every size.

    Args:
        train, test: shapes (N, m) and (n, m).
        train_labels, test_labels: shapes (N,) and (n,); at least two labels to train on.
    """
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, tol=1e-3, max_iter=1000))
    return float(probe.fit(train, train_labels).score(test, test_labels))
