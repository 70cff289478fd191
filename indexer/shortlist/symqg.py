"""SymphonyQG: a graph whose nodes hold 1-bit codes of their neighbours, compared all at once (DOI 10.1145/3709730)."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import llvmlite.binding as llvm
import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, Field

from indexer.errors import BundleCorruptError
from indexer.kernels.threads import cores, split
from indexer.shortlist.base import Bitmap, Candidates, PrefixSource, Shortlist, ShortlistOptions
from indexer.shortlist.beam import beam_efforts, beam_width
from indexer.shortlist.gathered import gather, inner_products
from indexer.storage.resource_errors import out_of_memory_reading
from models.errors import OptionalDependencyError
from models.nesting import Vectors

_LEAST_DIMS = 64
"""The library's rotation needs at least as many."""


def _number(value: Any) -> Any:
    """Parse a number given as text, as on the command line; pydantic does not do so for a Literal of numbers."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


class SymqgOptions(ShortlistOptions):
    """Options of ``symqg``.

    Attributes:
        degree: neighbours per row, a multiple of 32.
        build_effort: candidates examined for each row's neighbours.
        bits: bits per dimension of the row itself; 0 stores float32. 8 has the recall and speed of float32 in less
            memory, 4 a slightly lower recall. Neighbours' codes take one bit per dimension in any case.
    """

    degree: int = Field(default=32, ge=32, le=256, multiple_of=32)
    build_effort: int = Field(default=400, ge=8, le=2000)
    bits: Annotated[Literal[0, 4, 8], BeforeValidator(_number)] = 8


class SymqgShortlist(Shortlist[SymqgOptions]):
    """``rabitqlib.SymqgIndex`` by Euclidean distance; effort is the beam width, by default the number of candidates.

    Building needs all prefixes in memory as float32, in addition to the graph.
    """

    kind = "symqg"
    file_name = "shortlist.symqg"
    options_type = SymqgOptions
    filters = False

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self._rows, self._dims = graph.num_points, graph.dim

    @classmethod
    def unavailable(cls, build: bool = True) -> str | None:
        """Return which package or processor instructions are missing; see :meth:`Shortlist.unavailable`."""
        try:
            _library()
        except OptionalDependencyError as error:
            return f"{error}, or use 'hnsw'"
        missing = [name for name in ("avx2", "fma") if not llvm.get_host_cpu_features().get(name)]
        if platform.machine().lower() in ("x86_64", "amd64") and missing:
            return f"this processor lacks {' and '.join(missing).upper()}; use 'hnsw'"
        return None

    @classmethod
    def build(cls, prefixes: PrefixSource, options: SymqgOptions) -> Self:
        """See :meth:`Shortlist.build`."""
        rows = gather(prefixes, max(prefixes.dims, _LEAST_DIMS), np.float32)
        if len(rows) <= options.degree:
            return cls(_FewRows(rows))
        graph = _library().SymqgIndex(rows.shape[1], options.degree, "l2", options.bits)
        graph.build(rows, options.build_effort, cores())
        return cls(graph)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file of a graph, or of rows too few for one; see :meth:`Shortlist.load`."""
        try:
            with path.open("rb") as file:
                few = file.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX
            return cls(_FewRows(np.load(path, allow_pickle=False)) if few else _library().SymqgIndex.load(str(path)))
        except MemoryError as error:
            raise out_of_memory_reading(path) from error
        except (OSError, RuntimeError, ValueError) as error:
            raise BundleCorruptError(f"cannot read {path}: {error}") from error

    def save(self, path: Path) -> None:
        """Write one file in the library's own format."""
        self._graph.save(str(path))

    def _search(
        self, prefixes: Vectors, candidates: int, effort: int | None, allowed: Bitmap | None, threads: int
    ) -> Candidates:
        width = beam_width(effort, candidates)
        if prefixes.shape[1] < self._dims == _LEAST_DIMS:
            prefixes = np.pad(prefixes, ((0, 0), (0, self._dims - prefixes.shape[1])))
        if len(prefixes) == 1 and candidates <= self._rows:
            return self._found(prefixes, candidates, width)
        scores = np.full((len(prefixes), candidates), -np.inf, dtype=np.float32)
        rows = np.full((len(prefixes), candidates), -1, dtype=np.int64)
        count = min(candidates, self._rows)

        def step(start: int, stop: int) -> None:
            scores[start:stop, :count], rows[start:stop, :count] = self._found(prefixes[start:stop], count, width)

        if count:
            split(len(prefixes), threads, step)
        return Candidates(scores, rows)

    def _found(self, prefixes: Vectors, count: int, width: int) -> Candidates:
        try:
            numbers, distances = self._graph.search(prefixes, count, width)
        except RuntimeError:
            return self._fewer(prefixes, count, width)
        return Candidates(inner_products(distances), numbers.astype(np.int64))

    def _fewer(self, prefixes: Vectors, count: int, width: int) -> Candidates:
        """Search for half as many rows, recursively: if a query reaches fewer than K rows the library returns none."""
        if len(prefixes) > 1:
            parts = [self._found(prefixes[i : i + 1], count, width) for i in range(len(prefixes))]
            return Candidates(np.concatenate([p.scores for p in parts]), np.concatenate([p.rows for p in parts]))
        half = count // 2
        scores = np.full((1, count), -np.inf, dtype=np.float32)
        rows = np.full((1, count), -1, dtype=np.int64)
        if half:
            scores[:, :half], rows[:, :half] = self._found(prefixes, half, width)
        return Candidates(scores, rows)

    @property
    def exact_scores(self) -> bool:
        """Whether rows are stored as float32; codes then only guide the search."""
        return int(self._graph.quantization_bits) == 0

    @property
    def close_scores(self) -> bool:
        """Whether rows have at least 8 bits per dimension."""
        return int(self._graph.quantization_bits) != 4

    def efforts(self, candidates: int) -> list[int | None]:
        """Return beam widths from the number of candidates on."""
        return beam_efforts(candidates)

    def comparisons(self, prefixes: Vectors, candidates: int, effort: int | None = None) -> float:
        """Return the number of neighbours of the nodes in the beam; the library does not count comparisons."""
        return float(min(self._rows, beam_width(effort, candidates) * self._graph.max_degree))

    @property
    def memory_bytes(self) -> int:
        """Bytes of the rows, of their neighbours' codes with two factors each, and of the links, as in the file."""
        bits, coded_dims = self._graph.quantization_bits, -(-self._dims // 32) * 32
        row = coded_dims * bits // 8 + 8 if bits else 4 * self._dims
        neighbour = coded_dims // 8 + 8 + 4
        return int(self._rows * (row + self._graph.max_degree * neighbour))


def _library() -> Any:
    """Import rabitqlib, which has no wheels for some platforms.

    Raises:
        OptionalDependencyError: it is not installed.
    """
    try:
        import rabitqlib
    except ImportError:
        raise OptionalDependencyError("rabitqlib", "shortlist 'symqg'", "`pip install rabitqlib`") from None
    return rabitqlib


class _FewRows:
    """Stands in for a graph over fewer rows than a node has neighbours, and compares all of them."""

    max_degree = 0
    quantization_bits = 0

    def __init__(self, rows: Vectors) -> None:
        self._rows = rows
        self.num_points, self.dim = rows.shape

    def search(self, prefixes: Vectors, count: int, width: int) -> tuple[npt.NDArray[np.uint32], Vectors]:
        # Not a matrix product, whose rounding depends on the number of queries in the batch.
        distances = 2 - 2 * np.vecdot(prefixes[:, None], self._rows)
        nearest = np.argsort(distances, axis=1, kind="stable")[:, :count]
        return nearest.astype(np.uint32), np.take_along_axis(distances, nearest, axis=1)

    def save(self, path: str) -> None:
        with Path(path).open("wb") as file:
            np.save(file, self._rows, allow_pickle=False)
