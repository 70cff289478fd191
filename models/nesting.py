"""Nested (Matryoshka) embeddings: their sizes and loss weights, and the function that truncates them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.compiled import compiled
from models.errors import InvalidOptionError

Vectors = npt.NDArray[np.float32]

SMALLEST_SIZE = 8
"""Halving stops here: prefixes below 8 dimensions are unusable (MRL, section 5, ablations)."""


def truncate(vectors: npt.NDArray[Any], size: int) -> Vectors:
    """Truncate vectors to their first ``size`` dimensions and normalise the result to unit length.

    A prefix of a unit vector is not a unit vector, so truncating without normalising ranks incorrectly. All code of
    this project that shortens an embedding calls this function.

    >>> truncate(np.array([[3.0, 4.0, 12.0]]), 2)
    array([[0.6, 0.8]], dtype=float32)

    Args:
        vectors: shape (..., D), any floating-point type.
        size: dimensions to keep, 1 ≤ size ≤ D.

    Returns:
        A new array, float32, shape (..., size). An all-zero prefix has no direction and stays zero.

    Raises:
        InvalidOptionError: ``size`` is not between 1 and D.
    """
    dimension = vectors.shape[-1]
    if not 1 <= size <= dimension:
        raise InvalidOptionError("dims", f"cannot truncate to {size} dimensions: allowed are 1 to {dimension}")
    prefix = np.array(vectors[..., :size], dtype=np.float32, order="C")
    _normalise(prefix.reshape(-1, size))
    return prefix


# Compiled because NumPy takes longer for these few operations than a search for one query spends in its shortlist.
@compiled
def _normalise(rows: Vectors) -> None:
    for i in range(rows.shape[0]):
        square = 0.0  # float64, because the squares of large float32 numbers overflow
        for j in range(rows.shape[1]):
            square += np.float64(rows[i, j]) * np.float64(rows[i, j])
        norm = np.sqrt(square)
        if norm > 0:
            for j in range(rows.shape[1]):
                rows[i, j] /= norm


@dataclass(frozen=True, slots=True)
class Nesting:
    """The nested sizes m₁ < m₂ < … < D of an embedding, and the weight cₘ of each in the loss (MRL, equation 1).

    >>> Nesting((64, 128, 256))
    >>> Nesting((64, 256), weights=(2.0, 1.0))
    >>> Nesting.halving(256)  # sizes 8, 16, 32, 64, 128 and 256
    >>> Nesting.parse("64,128,256")

    Attributes:
        sizes: strictly increasing; the last is the full dimension D.
        weights: one positive number per size; by default all 1, as in the paper.

    Raises:
        InvalidOptionError: sizes do not increase, or the weights do not match them.
    """

    sizes: tuple[int, ...]
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.weights:
            object.__setattr__(self, "weights", (1.0,) * len(self.sizes))
        if not self.sizes or self.sizes[0] < 1 or any(a >= b for a, b in zip(self.sizes, self.sizes[1:], strict=False)):
            raise InvalidOptionError(
                "sizes", f"nested sizes {list(self.sizes)}: give strictly increasing positive sizes, such as 64,128,256"
            )
        if len(self.weights) != len(self.sizes) or not all(0 < w < float("inf") for w in self.weights):
            raise InvalidOptionError(
                "weights",
                f"weights {list(self.weights)}: give one positive number for each of the sizes {list(self.sizes)}",
            )

    @classmethod
    def halving(cls, dimension: int, smallest: int = SMALLEST_SIZE) -> Nesting:
        """Return ``dimension`` and its halves down to ``smallest``, as long as they are whole (as in the paper)."""
        sizes = [dimension]
        while sizes[-1] % 2 == 0 and sizes[-1] // 2 >= smallest:
            sizes.append(sizes[-1] // 2)
        return cls(tuple(reversed(sizes)))

    @classmethod
    def parse(cls, sizes: str, weights: str | None = None) -> Nesting:
        """Parse sizes and optional weights from comma-separated text such as ``32,64,128``."""
        return cls(tuple(_numbers("sizes", sizes, int)), tuple(_numbers("weights", weights, float)) if weights else ())

    @property
    def dimension(self) -> int:
        """The full dimension D."""
        return self.sizes[-1]

    @property
    def shortlist_size(self) -> int:
        """The default prefix size of a shortlist: the smallest trained size of at least D/4 and 128.

        Shorter prefixes miss candidates that no rerank can recover; docs/design.md has the measurement.
        """
        wanted = max(128, self.dimension // 4)
        return next((size for size in self.sizes if size >= wanted), self.dimension)

    def to_json(self) -> dict[str, list[int] | list[float]]:
        """Return plain lists, for a JSON file."""
        return {"sizes": list(self.sizes), "weights": list(self.weights)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Nesting:
        """Return the nesting that :meth:`to_json` wrote."""
        return cls(tuple(value["sizes"]), tuple(value["weights"]))


def _numbers(param: str, text: str, kind: type) -> Sequence[Any]:
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        raise InvalidOptionError(
            param, f"{param} {text!r}: give numbers separated by commas, such as 64,128,256"
        ) from None
