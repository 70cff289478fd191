"""The interface of shortlist structures: candidates for a query from the first Ds dimensions of each row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from models.errors import InvalidOptionError
from models.nesting import Vectors

Rows = npt.NDArray[np.int64]
Bitmap = npt.NDArray[np.uint8]
"""One bit per row, lowest bit first: bit i & 7 of byte i >> 3 is set if row i may be returned."""
Blocks = Iterator[tuple[int, Vectors]]
"""Unit prefixes as (first row, float32 of shape (n, Ds)), in row order without gaps."""


class PrefixSource(Protocol):
    """The unit prefixes of all rows, readable more than once."""

    @property
    def rows(self) -> int:
        """Number of rows N."""

    @property
    def dims(self) -> int:
        """Prefix size Ds."""

    def blocks(self) -> Blocks:
        """Stream the prefixes from the first row on."""

    def sample(self, count: int, seed: int = 0) -> Vectors:
        """Draw distinct rows; the same rows for the same seed.

        Returns:
            float32, shape (min(count, N), Ds), C-contiguous.
        """


class Candidates(NamedTuple):
    """The result of a shortlist search; both arrays have shape (n, K), nearest first.

    Attributes:
        scores: float32, the structure's estimate of the inner product of the unit prefixes; -inf in unused places.
        rows: int64; -1 in unused places.
    """

    scores: Vectors
    rows: Rows


class ShortlistOptions(BaseModel):
    """Build options of a structure, validated once and saved in the manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Options = TypeVar("Options", bound=ShortlistOptions)


class Shortlist(ABC, Generic[Options]):
    """A coarse structure over unit prefixes of Ds dimensions, searched by inner product.

    A structure is immutable once built, and any number of threads may search it. A single query is searched on the
    calling thread; a batch is split over ``threads`` threads.
    """

    kind: ClassVar[str]
    """Name in manifests and on the command line."""
    file_name: ClassVar[str]
    """File that holds the structure in a generation's directory."""
    options_type: ClassVar[type[ShortlistOptions]]
    """The ``Options`` of this structure."""
    exact: ClassVar[bool] = False
    """Whether a search compares every row, so that effort has no meaning."""
    filters: ClassVar[bool] = True
    """Whether :meth:`search` accepts a bitmap of allowed rows."""

    @property
    def exact_scores(self) -> bool:
        """Whether scores are the cosines of the prefixes, exact to rounding."""
        return self.exact

    @property
    def close_scores(self) -> bool:
        """Whether scores rank candidates almost as the cosines do, as with codes of 8 bits per dimension."""
        return self.exact_scores

    @classmethod
    def unavailable(cls, build: bool = True) -> str | None:
        """Return why this machine cannot run the structure and what to use instead; None if it can.

        Args:
            build: whether the structure is to be built here, rather than only loaded and searched.
        """
        return None

    @classmethod
    @abstractmethod
    def build(cls, prefixes: PrefixSource, options: Options) -> Self:
        """Build from the prefixes of all rows.

        Args:
            prefixes: the rows to index.
            options: an instance of :attr:`options_type`.

        Raises:
            InvalidOptionError: the options do not fit the number of rows or dimensions; the message gives the limits.
            OptionalDependencyError: a package that builds the structure is not installed.
        """

    @classmethod
    @abstractmethod
    def load(cls, path: Path) -> Self:
        """Read a file written by :meth:`save`.

        Raises:
            BundleCorruptError: the file cannot be read.
            OptionalDependencyError: the package that reads the file is not installed.
            OutOfMemoryError: there is not enough memory for the structure.
        """

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write the structure to one file."""

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
            candidates: number of candidates per query, K ≥ 1; may exceed N.
            effort: how thoroughly to search, in the structure's own unit (for example efSearch or nprobe); the
                structure's default if None. Exact structures ignore it.
            allowed: rows that may be returned; all if None. Only supported if :attr:`filters` is true.
            threads: number of threads for a batch of queries.

        Raises:
            InvalidOptionError: effort is below 1.
        """
        if effort is not None and effort < 1 and not self.exact:
            raise InvalidOptionError("effort", f"effort {effort}: give at least 1")
        return self._search(prefixes, candidates, effort, allowed, threads)

    @abstractmethod
    def _search(
        self, prefixes: Vectors, candidates: int, effort: int | None, allowed: Bitmap | None, threads: int
    ) -> Candidates:
        """Do the work of :meth:`search`, whose arguments have been checked."""

    @abstractmethod
    def efforts(self, candidates: int) -> list[int | None]:
        """Return the efforts that calibration should try for K candidates, cheapest first; [None] if exact."""

    @abstractmethod
    def comparisons(self, prefixes: Vectors, candidates: int, effort: int | None = None) -> float:
        """Return the mean number of rows compared per query, measured by searching.

        Args:
            prefixes: unit query prefixes, shape (n, Ds).
            candidates, effort: as in :meth:`search`.
        """

    @property
    @abstractmethod
    def memory_bytes(self) -> int:
        """Bytes held in memory."""

    def describe(self) -> dict[str, Any]:
        """Return facts for ``mrl index inspect``."""
        return {"kind": self.kind, "memory_bytes": self.memory_bytes}
