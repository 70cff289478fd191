"""All prefixes in one array, for builders that need them at once and compare them by Euclidean distance."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from indexer.shortlist.base import PrefixSource
from models.nesting import Vectors


def gather(prefixes: PrefixSource, width: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return the prefixes, padded with zeros to ``width`` dimensions, shape (N, width).

    Among unit vectors Euclidean distance ranks as the inner product does, but a zero vector would be closer to all rows
    than most of them are to each other, and would crowd out their neighbours in a graph. Zero rows are therefore
    replaced by the direction farthest from the mean of all rows.
    """
    whole: npt.NDArray[Any] = np.zeros((prefixes.rows, width), dtype=dtype)
    total = np.zeros(prefixes.dims)
    empty = np.zeros(prefixes.rows, dtype=bool)
    for start, block in prefixes.blocks():
        stop = start + len(block)
        whole[start:stop, : prefixes.dims] = block
        empty[start:stop] = ~block.any(axis=1)
        total += block.sum(axis=0, dtype=np.float64)
    norm = float(np.linalg.norm(total))
    whole[empty, : prefixes.dims] = -total / norm if norm else np.eye(1, prefixes.dims)
    return whole


def inner_products(distances: Vectors) -> Vectors:
    """Convert squared Euclidean distances between unit vectors to inner products, in a new array of equal shape."""
    scores: Vectors = np.float32(1) - distances / np.float32(2)
    return scores
