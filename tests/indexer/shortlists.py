"""Helpers of the tests of shortlist structures: prefixes, one structure of each variant, and exact answers."""

import numpy as np

from indexer.shortlist import shortlist_options, shortlist_type
from models import truncate

DIMS = 16
VARIANTS = {
    "flat": ("flat", {}),
    "panorama": ("panorama", {"levels": 4}),
    "hnsw": ("hnsw", {}),
    "hnsw-fp16": ("hnsw", {"storage": "fp16"}),
    "hnsw-sq8": ("hnsw", {"storage": "sq8"}),
    "ivf-pq": ("ivf", {}),
    "ivf-rabitq": ("ivf", {"codes": "rabitq"}),
    "symqg": ("symqg", {}),
    "symqg-32": ("symqg", {"bits": 0}),
    "symqg-4": ("symqg", {"bits": 4}),
    "cagra": ("cagra", {}),  # so few rows are linked on the CPU
}
ESTIMATES = {"ivf-pq": 0.1, "ivf-rabitq": 0.4, "symqg-4": 0.03, "symqg": 0.003, "hnsw-sq8": 0.003}
"""Upper bound on the mean error of scores that are estimates."""
EVERYTHING = 1 << 20


class ArrayPrefixes:
    """A prefix source over an array, in small blocks."""

    def __init__(self, array):
        self.array = array
        self.rows, self.dims = array.shape

    def blocks(self):
        for start in range(0, self.rows, 300):
            yield start, self.array[start : start + 300]

    def sample(self, count, seed=0):
        drawn = np.random.default_rng(seed).choice(self.rows, min(count, self.rows), replace=False)
        return self.array[np.sort(drawn)]


def prefixes(count, seed=0, dims=DIMS):
    return truncate(np.random.default_rng(seed).normal(size=(count, dims)), dims)


def make(kind, rows, **values):
    return shortlist_type(kind).build(ArrayPrefixes(rows), shortlist_options(kind, values))


def build(variant, rows):
    kind, values = VARIANTS[variant]
    return make(kind, rows, **values)


def exact(rows, queries, count, allowed=None):
    scores = queries @ rows.T
    if allowed is not None:
        scores[:, ~allowed] = -np.inf
    return np.argsort(-scores, axis=1)[:, :count]


def recall(found, wanted):
    return np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found.tolist(), wanted.tolist(), strict=True)])


def same(found, other):
    np.testing.assert_array_equal(found.rows, other.rows)
    np.testing.assert_array_equal(found.scores, other.scores)


def no_memory(*arguments, **options):
    """Stand in for a library's reader."""
    raise MemoryError
