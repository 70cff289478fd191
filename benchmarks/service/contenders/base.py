"""The interface of a contender."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import psutil
import pyarrow.parquet as pq

K = 10
DEGREE, EF_CONSTRUCTION = 16, 200
"""For every HNSW: the default number of links, and more build effort than most defaults."""

Vectors = npt.NDArray[np.float32]
Knob = dict[str, Any]
Search = Callable[[Vectors], Any]
"""From a vector of shape (D,) to the answer as Python objects, with payloads if requested."""


@dataclass(frozen=True)
class Corpus:
    """The rows, as files that every process reads."""

    table: Path
    vectors_file: Path
    calibration: tuple[str, ...]
    """Queries of the kind that is asked, and none of those."""

    @cached_property
    def vectors(self) -> Vectors:
        return np.load(self.vectors_file)

    def __reduce__(self) -> tuple[Any, ...]:
        return Corpus, (self.table, self.vectors_file, self.calibration)  # not what was read

    @cached_property
    def ids(self) -> list[str]:
        return pq.read_table(self.table, columns=["id"])["id"].to_pylist()

    @cached_property
    def rows(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.ids)}

    @cached_property
    def texts(self) -> list[str]:
        return pq.read_table(self.table, columns=["text"])["text"].to_pylist()


class Opened(ABC):
    """A store ready to be searched."""

    @abstractmethod
    def searcher(self, knob: Knob, payload: bool) -> Search:
        """Return a search function with everything prepared in advance."""

    @abstractmethod
    def rows(self, answer: Any) -> list[int]:
        """Return the row numbers of an answer; not part of the measured time."""

    def processes(self) -> Sequence[psutil.Process]:
        """The processes that hold the store in memory, if not this process."""
        return ()


class Contender(ABC):
    """A database in one of its configurations."""

    asked: ClassVar[tuple[Knob, ...]] = ()
    """Knobs that are measured whatever they reach."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Name in the results."""

    @property
    def store(self) -> str:
        """Contenders with the same store share one build."""
        return self.name

    @property
    @abstractmethod
    def form(self) -> str:
        """Description of a call: protocol, process, parameters."""

    @property
    @abstractmethod
    def version(self) -> str:
        """Version of the database.

        Raises:
            ImportError: the database is not installed.
        """

    @property
    @abstractmethod
    def knobs(self) -> tuple[Knob, ...]:
        """The knobs, cheapest first."""

    @abstractmethod
    def build(self, corpus: Corpus, folder: Path) -> None:
        """Create the store in an empty folder."""

    def data(self, folder: Path) -> Path:
        """Paths of rows and index in the folder."""
        return folder

    @abstractmethod
    def opened(self, corpus: Corpus, folder: Path) -> AbstractContextManager[Opened]:
        """Open what :meth:`build` created."""


EXACT: Knob = {"exact": True}
"""The last knob of every contender: a look at all rows, which a promised recall may also require of ours."""


def installed(distribution: str) -> str:
    """Return a distribution's name and version.

    Raises:
        ImportError: the distribution is not installed (PackageNotFoundError).
    """
    from importlib.metadata import version

    return f"{distribution} {version(distribution)}"


def candidates_and_efforts() -> tuple[Knob, ...]:
    """The knobs of a search by a prefix: candidates to rerank by the full vector, and the effort to find them."""
    pairs = ((50, 50), (50, 100), (100, 100), (100, 200), (100, 400), (200, 400), (200, 800), (400, 800), (400, 1000))
    return *({"candidates": candidates, "effort": effort} for candidates, effort in pairs), EXACT
