"""Batches of shuffled rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


class ShuffledBatches:
    """The batches of a run: every epoch visits the rows in a new order, without those that do not fill a batch.

    The order depends on the seed and the epoch alone, so a resumed run sees the batches it would have seen.

    Attributes:
        size: rows per batch, at most ``rows``.
        per_epoch: batches per epoch.
    """

    def __init__(self, rows: int, batch_size: int, seed: int, *, first_epoch: int = 0) -> None:
        """Take the number of rows, and the number that the first epoch has in the random seed."""
        self.size = min(batch_size, rows)
        self.per_epoch = rows // self.size
        self._rows, self._seed, self._first_epoch = rows, seed, first_epoch
        self._order: tuple[int, Rows] = (-1, np.zeros(0, np.int64))

    def __getitem__(self, step: int) -> Rows:
        """Return the rows of the batch of a step, counted from 0 over the whole run."""
        epoch, number = divmod(step, self.per_epoch)
        if self._order[0] != epoch:
            order = np.random.default_rng([self._seed, self._first_epoch + epoch]).permutation(self._rows)
            self._order = epoch, order
        return self._order[1][number * self.size : (number + 1) * self.size]
