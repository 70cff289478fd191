"""A set of rows: those a filter matches, or those not deleted."""

from __future__ import annotations

from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from indexer.kernels.rows import Rows


class RowSet:
    """An immutable subset of the rows 0 to N-1; its bitmap is built on first use."""

    def __init__(self, rows: Rows, universe: int) -> None:
        """Store ``rows``, ascending; ``universe`` is N."""
        self.rows, self.universe = rows, universe

    @classmethod
    def without(cls, hidden: Rows, universe: int) -> Self:
        """Return the rows of the universe except ``hidden``."""
        return cls(np.setdiff1d(np.arange(universe, dtype=np.int64), hidden, assume_unique=True), universe)

    def __len__(self) -> int:
        return len(self.rows)

    def __and__(self, other: Self) -> Self:
        return type(self)(np.intersect1d(self.rows, other.rows, assume_unique=True), self.universe)

    @cached_property
    def bitmap(self) -> npt.NDArray[np.uint8]:
        """One bit per row, lowest bit first, shape (ceil(N/8),)."""
        mask = np.zeros(self.universe, dtype=bool)
        mask[self.rows] = True
        return np.packbits(mask, bitorder="little")
