"""What every shortlist structure offers: candidates for a query from the first Ds dimensions of each row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from models.nesting import Vectors

Rows = npt.NDArray[np.int64]
Bitmap = npt.NDArray[np.uint8]
"""One bit a row, lowest bit first: bit i & 7 of byte i >> 3 says whether row i may be found."""
Blocks = Iterator[tuple[int, Vectors]]
"""Unit prefixes as (first row, float32 of shape (n, Ds)), in row order without gaps."""


class PrefixSource(Protocol):
    """All rows' unit prefixes; may be read more than once."""

    @property
    def rows(self) -> int:
        """How many there are."""

    @property
    def dims(self) -> int:
        """Ds."""

    def blocks(self) -> Blocks:
        """Stream the prefixes; each call begins anew."""

    def sample(self, count: int, seed: int = 0) -> Vectors:
        """Draw ``min(count, rows)`` rows without repetition, C-contiguous; the same for the same seed."""


class Candidates(NamedTuple):
    """What a structure found: both of shape (n, K), nearest first.

    Attributes:
        scores: float32, the structure's own estimate of the inner product of the unit prefixes; -inf where none.
        rows: int64; -1 where fewer were found.
    """

    scores: Vectors
    rows: Rows


class ShortlistOptions(BaseModel):
    """Build options of a structure: validated once, saved in the manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Shortlist(ABC):
    """A coarse structure over unit prefixes of Ds dimensions, searched by inner product.

    A structure is built once and read by any number of threads. A search of one query runs on the calling thread
    alone; of many queries, on ``threads`` threads.
    """

    kind: ClassVar[str]
    """The name in manifests and on the command line."""
    file_name: ClassVar[str]
    """The file it lives in."""
    options_type: ClassVar[type[ShortlistOptions]]
    exact: ClassVar[bool] = False
    """Whether it looks at every row, so that effort means nothing to it."""
    filters: ClassVar[bool] = True
    """Whether :meth:`search` takes a bitmap of the rows that may be found."""

    @property
    def exact_scores(self) -> bool:
        """Whether the scores of its candidates are cosines of the prefixes, exact to rounding."""
        return self.exact

    @property
    def close_scores(self) -> bool:
        """Whether its scores rank candidates nearly as cosines of the prefixes do: those of 8 bits a dimension."""
        return self.exact_scores

    @classmethod
    def unavailable(cls, build: bool = True) -> str | None:
        """Return why this machine cannot run the structure and what to use in its place; None where it can.

        Args:
            build: whether it is to be built here, or only loaded and searched.
        """
        return None

    @classmethod
    @abstractmethod
    def build(cls, prefixes: PrefixSource, options: ShortlistOptions) -> Self:
        """Build from all rows' prefixes.

        Args:
            prefixes: what is held.
            options: of :attr:`options_type`.

        Raises:
            InvalidOptionError: the options do not fit the number of rows or dimensions; the message names what does.
        """

    @classmethod
    @abstractmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            BundleCorruptError: the file cannot be read.
            OutOfMemoryError: there is not enough memory for it.
        """

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write to one file."""

    @abstractmethod
    def search(
        self,
        prefixes: Vectors,
        candidates: int,
        effort: int | None = None,
        allowed: Bitmap | None = None,
        threads: int = 1,
    ) -> Candidates:
        """Find candidate rows.

        Args:
            prefixes: unit query prefixes, float32, shape (n, Ds), C-contiguous and finite.
            candidates: rows wanted for each query, K ≥ 1; may be more than there are.
            effort: how hard to look, in the structure's own unit; None for its default. Ignored by exact structures.
            allowed: rows that may be found, all where None; only where :attr:`filters` says so.
            threads: used where there is more than one query.

        Raises:
            InvalidOptionError: effort under 1.
        """

    @abstractmethod
    def efforts(self, candidates: int) -> list[int | None]:
        """Return efforts worth trying in calibration for K candidates, cheapest first; [None] where there is none."""

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
