"""What every shortlist structure offers: candidates for a query from the first Ds dimensions of each row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from models.nesting import Vectors

Rows = npt.NDArray[np.int64]
Blocks = Iterator[tuple[int, Vectors]]
"""Unit prefixes as (first row, float32 of shape (n, Ds)), in row order without gaps."""


class ShortlistOptions(BaseModel):
    """Build options of a structure: validated once, saved in the manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Shortlist(ABC):
    """A coarse structure over unit prefixes of Ds dimensions, searched by inner product.

    A structure is built once and read by any number of threads.
    """

    kind: ClassVar[str]
    """The name in manifests and on the command line."""
    file_name: ClassVar[str]
    """The file it lives in."""
    options_type: ClassVar[type[ShortlistOptions]]

    @classmethod
    @abstractmethod
    def build(cls, blocks: Blocks, dims: int, options: ShortlistOptions) -> Self:
        """Build from all rows' prefixes."""

    @classmethod
    @abstractmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            BundleCorruptError: the file cannot be read.
        """

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write to one file."""

    @abstractmethod
    def search(self, prefixes: Vectors, candidates: int, effort: int | None = None) -> Rows:
        """Find candidate rows.

        Args:
            prefixes: unit query prefixes, float32, shape (n, Ds).
            candidates: rows wanted for each query.
            effort: how hard to look, in the structure's own unit; None for its default. Ignored by exact structures.

        Returns:
            int64, shape (n, candidates), nearest first; -1 where fewer were found.
        """

    @abstractmethod
    def work(self, prefixes: Vectors, candidates: int, effort: int | None = None) -> float:
        """Return the prefixes looked at for a query, the mean over ``prefixes``; found by searching for them."""

    @property
    @abstractmethod
    def memory_bytes(self) -> int:
        """Bytes held in memory."""

    def describe(self) -> dict[str, Any]:
        """Facts for ``inspect``."""
        return {"kind": self.kind, "memory_bytes": self.memory_bytes}
