"""An adapter: a rotation that moves the information of an embedding into its first dimensions. Needs no torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from models.directory.files import read_json
from models.errors import InvalidOptionError, ModelError
from models.nesting import Nesting, Vectors

MATRIX_NAME = "adapter.safetensors"
RECORD_NAME = "adapter.json"
_TOLERANCE = 1e-5


@dataclass(frozen=True, eq=False)
class Adapter:
    """An orthogonal map that makes the vectors of an existing, non-Matryoshka model nested.

    Inner products and cosines of whole vectors do not change; those of prefixes do.

    >>> adapter = Adapter.load("adapter")
    >>> short = truncate(adapter.apply(vectors), 64)

    Attributes:
        matrix: W, float32, shape (D, D), orthonormal rows; a vector x becomes W x.
        nesting: the sizes the map was learned for.

    Raises:
        ModelError: the matrix has another shape or is not orthogonal.
    """

    matrix: Vectors
    nesting: Nesting

    def __post_init__(self) -> None:
        dimension = self.nesting.dimension
        if self.matrix.shape != (dimension, dimension):
            raise ModelError(
                f"the adapter's matrix has shape {' x '.join(map(str, self.matrix.shape))}: sizes "
                f"{list(self.nesting.sizes)} need {dimension} x {dimension}"
            )
        product = self.matrix.astype(np.float64) @ self.matrix.T.astype(np.float64)
        error = float(np.abs(product - np.eye(dimension)).max())
        if not error <= _TOLERANCE:
            raise ModelError(
                f"the adapter's matrix is not orthogonal: off by {error:.2g}, allowed are {_TOLERANCE:.0e}"
            )

    def apply(self, vectors: npt.NDArray[Any]) -> Vectors:
        """Map vectors, of documents and of queries alike.

        Args:
            vectors: shape (..., D), any floating-point type and scale.

        Returns:
            float32, the same shape. Lengths and inner products of unit vectors change by less than 1e-5.

        Raises:
            InvalidOptionError: the vectors have another dimension.
        """
        if vectors.shape[-1] != self.nesting.dimension:
            raise InvalidOptionError(
                "vectors",
                f"vectors of {vectors.shape[-1]} dimensions: the adapter maps vectors of {self.nesting.dimension}",
            )
        mapped: Vectors = np.asarray(vectors, np.float32) @ self.matrix.T
        return mapped

    def save(self, directory: str | Path, **facts: Any) -> None:
        """Write ``adapter.safetensors`` and ``adapter.json``: the nesting, and how the map was learned."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        save_file({"matrix": np.ascontiguousarray(self.matrix)}, directory / MATRIX_NAME)
        record = {"format": 1, "nesting": self.nesting.to_json(), **facts}
        (directory / RECORD_NAME).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, directory: str | Path) -> Self:
        """Read an adapter that :meth:`save` wrote.

        Raises:
            ModelError: a file is missing or broken.
        """
        directory = Path(directory)
        record = read_json(directory / RECORD_NAME)
        try:
            nesting = Nesting.from_json(record["nesting"])
            matrix = load_file(directory / MATRIX_NAME)["matrix"]
        except (OSError, SafetensorError, KeyError, TypeError) as error:
            raise ModelError(f"cannot read the adapter in {directory}: {error!r}") from error
        return cls(matrix.astype(np.float32), nesting)
