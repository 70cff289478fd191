"""Vectors whose information lies in a few directions that truncation does not keep."""

import numpy as np
from scipy.stats import ortho_group

DIMENSION = 24


def make_vectors(count, seed, noise=1.0):
    """Clusters in 6 directions, noise of larger variance in the other 18, and a rotation of all of them."""
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(99).normal(size=(60, 6))
    told = directions[rng.integers(60, size=count)] + 0.3 * rng.normal(size=(count, 6))
    rest = noise * rng.normal(size=(count, DIMENSION - 6)) * np.linspace(1, 0.2, DIMENSION - 6)
    rotation = ortho_group.rvs(DIMENSION, random_state=7)
    return (np.concatenate([told, rest], axis=1) @ rotation).astype(np.float32)
