"""SymphonyQG: a graph whose nodes hold 1-bit codes of their neighbours, all compared at once (DOI 10.1145/3709730)."""

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
from indexer.shortlist.effort import beam_efforts, beam_width
from indexer.shortlist.gathered import gather, inner_products
from indexer.storage.resource_errors import not_read
from models.nesting import Vectors

try:
    import rabitqlib
except ImportError:  # there are no wheels for this platform
    rabitqlib = None

_LEAST_DIMS = 64
"""The library's rotation takes no fewer."""


def _number(value: Any) -> Any:
    """Read a number written as text, as on the command line, which pydantic does not do for a choice of numbers."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


class SymqgOptions(ShortlistOptions):
    """How the graph is built.

    Attributes:
        degree: neighbours of a row, a multiple of 32.
        build_effort: candidates looked at for each row's neighbours.
        bits: what a dimension of a row itself takes; 0 for float32. With 8 as much is found as fast, in less memory;
            with 4 a little less. Neighbours' codes take one bit a dimension in any case.
    """

    degree: int = Field(default=32, ge=32, le=256, multiple_of=32)
    build_effort: int = Field(default=400, ge=8, le=2000)
    bits: Annotated[Literal[0, 4, 8], BeforeValidator(_number)] = 8


class SymqgShortlist(Shortlist):
    """``rabitqlib.SymqgIndex`` by Euclidean distance; effort is the width of the beam, by default the candidates.

    Building needs all prefixes in memory as float32, beside the graph.
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
        """Say where the library is missing, or the processor's instructions that it is made of."""
        if rabitqlib is None:
            return "it needs the package rabitqlib, which is not installed; `pip install rabitqlib`, or use 'hnsw'"
        missing = [name for name in ("avx2", "fma") if not llvm.get_host_cpu_features().get(name)]
        if platform.machine().lower() in ("x86_64", "amd64") and missing:
            return f"this processor lacks {' and '.join(missing).upper()}; use 'hnsw'"
        return None

    @classmethod
    def build(cls, prefixes: PrefixSource, options: ShortlistOptions) -> Self:
        """Build from all rows' prefixes."""
        assert isinstance(options, SymqgOptions)
        rows = gather(prefixes, max(prefixes.dims, _LEAST_DIMS), np.float32)
        if len(rows) <= options.degree:
            return cls(_FewRows(rows))
        graph = rabitqlib.SymqgIndex(rows.shape[1], options.degree, "l2", options.bits)
        graph.build(rows, options.build_effort, cores())
        return cls(graph)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file of the graph, or of the few rows there are no graph for; see :meth:`Shortlist.load`."""
        try:
            with path.open("rb") as file:
                few = file.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX
            return cls(_FewRows(np.load(path, allow_pickle=False)) if few else rabitqlib.SymqgIndex.load(str(path)))
        except MemoryError as error:
            raise not_read(path) from error
        except (OSError, RuntimeError, ValueError) as error:
            raise BundleCorruptError(f"cannot read {path}: {error}") from error

    def save(self, path: Path) -> None:
        """Write to one file, in the library's own format."""
        self._graph.save(str(path))

    def search(
        self,
        prefixes: Vectors,
        candidates: int,
        effort: int | None = None,
        allowed: Bitmap | None = None,
        threads: int = 1,
    ) -> Candidates:
        """Find candidate rows; see :meth:`Shortlist.search`."""
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
        """Find half as many, and half of that: where the links lead to too few rows, the library gives none at all."""
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
        """Where the rows themselves are held as float32; only the way to them goes by codes."""
        return int(self._graph.quantization_bits) == 0

    @property
    def close_scores(self) -> bool:
        """Where the rows have 8 bits or more."""
        return int(self._graph.quantization_bits) != 4

    def efforts(self, candidates: int) -> list[int | None]:
        """From as many as candidates are wanted."""
        return beam_efforts(candidates)

    def work(self, prefixes: Vectors, candidates: int, effort: int | None = None) -> float:
        """Neighbours' codes looked at: those of each node in the beam. The library keeps no count of its own."""
        return float(min(self._rows, beam_width(effort, candidates) * self._graph.max_degree))

    @property
    def memory_bytes(self) -> int:
        """Rows, the codes of their neighbours with two factors each, and links, as the file has them."""
        bits, coded_dims = self._graph.quantization_bits, -(-self._dims // 32) * 32
        row = coded_dims * bits // 8 + 8 if bits else 4 * self._dims
        neighbour = coded_dims // 8 + 8 + 4
        return int(self._rows * (row + self._graph.max_degree * neighbour))


class _FewRows:
    """Stands for a graph where there are fewer rows than a node has neighbours: looks at all of them."""

    max_degree = 0
    quantization_bits = 0

    def __init__(self, rows: Vectors) -> None:
        self._rows = rows
        self.num_points, self.dim = rows.shape

    def search(self, prefixes: Vectors, count: int, width: int) -> tuple[npt.NDArray[np.uint32], Vectors]:
        # Not a matrix product, whose rounding depends on how many queries come together.
        distances = 2 - 2 * np.vecdot(prefixes[:, None], self._rows)
        nearest = np.argsort(distances, axis=1, kind="stable")[:, :count]
        return nearest.astype(np.uint32), np.take_along_axis(distances, nearest, axis=1)

    def save(self, path: str) -> None:
        with Path(path).open("wb") as file:
            np.save(file, self._rows, allow_pickle=False)
