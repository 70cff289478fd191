import numpy as np
import pytest

from models.evaluation.labels import EvaluationOptions, evaluate_labels

QUICK = {"episodes": 2, "shots": (1, 3)}


@pytest.fixture(scope="module")
def labelled_vectors():
    """Training rows, their labels, test rows and theirs: five clusters, most of their spread in front."""
    rng = np.random.default_rng(3)
    scale = np.linspace(2, 0.4, 32)
    centres = rng.normal(size=(5, 32)) * scale
    labels = rng.integers(0, 5, size=360)
    vectors = (centres[labels] + 2 * rng.normal(size=(360, 32)) * scale).astype(np.float32)
    names = np.array(["v", "w", "x", "y", "z"])[labels]
    return vectors[:260], names[:260], vectors[260:], names[260:]


@pytest.fixture(scope="module")
def evaluation(labelled_vectors):
    return evaluate_labels(*labelled_vectors, sizes=(4, 8, 16, 32), options=EvaluationOptions(**QUICK))
