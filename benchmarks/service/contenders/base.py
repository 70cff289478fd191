"""What a contender offers."""

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
"""Of every HNSW: the links that all of them have by default, and more effort in building than most take."""

Vectors = npt.NDArray[np.float32]
Knob = dict[str, Any]
Search = Callable[[Vectors], Any]
"""From one vector of shape (D,) to the answer in Python's objects, payloads too where they were asked for."""


@dataclass(frozen=True)
class Corpus:
    """The rows, as files that every process reads for itself."""

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
    """A store that is ready to be searched."""

    @abstractmethod
    def searcher(self, knob: Knob, payload: bool) -> Search:
        """Return a search with everything decided that can be decided beforehand."""

    @abstractmethod
    def rows(self, answer: Any) -> list[int]:
        """Return the numbers of the rows in an answer; not part of the time measured."""

    def processes(self) -> Sequence[psutil.Process]:
        """The processes that hold the store in memory, where it is not this one."""
        return ()


class Contender(ABC):
    """A database in one of its forms."""

    asked: ClassVar[tuple[Knob, ...]] = ()
    """Knobs that are measured whatever they reach."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Of its results."""

    @property
    def store(self) -> str:
        """Contenders with the same store share one build."""
        return self.name

    @property
    @abstractmethod
    def form(self) -> str:
        """What a call is: protocol, process, parameters."""

    @property
    @abstractmethod
    def version(self) -> str:
        """Of the database.

        Raises:
            ImportError: it is not installed.
        """

    @property
    @abstractmethod
    def knobs(self) -> tuple[Knob, ...]:
        """Cheapest first."""

    @abstractmethod
    def build(self, corpus: Corpus, folder: Path) -> None:
        """Make the store in an empty folder."""

    def data(self, folder: Path) -> Path:
        """Where in the folder the rows and the index lie."""
        return folder

    @abstractmethod
    def opened(self, corpus: Corpus, folder: Path) -> AbstractContextManager[Opened]:
        """Open what :meth:`build` made."""


EXACT: Knob = {"exact": True}
"""The end of every ladder: each of them can look at all rows, as a promised recall may make ours do."""


def installed(distribution: str) -> str:
    """Return a distribution's name and version.

    Raises:
        ImportError: it is not installed (PackageNotFoundError).
    """
    from importlib.metadata import version

    return f"{distribution} {version(distribution)}"


def candidates_and_efforts() -> tuple[Knob, ...]:
    """The ladder of searches by a prefix: rows to rank by the whole vector, and the effort to find them."""
    pairs = ((50, 50), (50, 100), (100, 100), (100, 200), (100, 400), (200, 400), (200, 800), (400, 800), (400, 1000))
    return *({"candidates": candidates, "effort": effort} for candidates, effort in pairs), EXACT
