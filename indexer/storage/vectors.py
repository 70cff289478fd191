"""The full vectors of an index: one ``.npy`` file, written by appending, read through a memory map.

Stored as float32, float16, or int8: each row scaled so that its largest number is 127. The scale is not kept, because a
score is a cosine, from which it cancels.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
import numpy.typing as npt

from indexer.errors import BundleCorruptError
from indexer.kernels import rows as kernels
from indexer.kernels.rows import Rows
from indexer.kernels.threads import split
from models.nesting import Vectors, truncate

FILE_NAME = "vectors.npy"
Storage = Literal["float32", "float16", "int8"]
_BLOCK_BYTES = 32 << 20
_SLACK = 16


def encode(vectors: Vectors, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Turn rows into the numbers that are stored: float32, float16 or int8."""
    if dtype == np.int8:
        peaks = np.abs(vectors).max(axis=1, keepdims=True, initial=0)
        scaled: Vectors = vectors * np.divide(127, peaks, out=np.zeros_like(peaks), where=peaks > 0)
        return np.rint(scaled).astype(np.int8)
    return np.ascontiguousarray(vectors, dtype=dtype)


class VectorWriter:
    """Appends rows to a ``.npy`` file whose header is brought up to date at the end.

    NumPy pads the header so that the number of rows can grow in place.
    """

    def __init__(self, path: Path, dimension: int, storage: Storage) -> None:
        self._dtype, self._dimension = np.dtype(storage), dimension
        new = not path.exists() or path.stat().st_size < len(self._header(0))
        self._file = path.open("w+b" if new else "r+b")
        if new:
            self._file.write(self._header(0))
            self._file.flush()

    def __enter__(self) -> VectorWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def cut_to(self, rows: int) -> None:
        """Drop everything after the first ``rows`` rows: what a killed build wrote but did not commit.

        Raises:
            BundleCorruptError: the file holds fewer rows than that.
        """
        size = len(self._header(0)) + rows * self._dimension * self._dtype.itemsize
        if os.fstat(self._file.fileno()).st_size < size:
            raise BundleCorruptError(
                f"{self._file.name} is shorter than its {rows} committed rows; build with --no-resume"
            )
        self._file.truncate(size)
        self._file.seek(size)

    def append(self, vectors: Vectors) -> None:
        """Write rows to the disk and wait until they are there."""
        self._file.write(encode(vectors, self._dtype).tobytes())
        self._file.flush()
        os.fsync(self._file.fileno())

    def finish(self, rows: int) -> None:
        """Write the number of rows into the header."""
        self._file.seek(0)
        self._file.write(self._header(rows))
        self._file.flush()
        os.fsync(self._file.fileno())

    def _header(self, rows: int) -> bytes:
        buffer = io.BytesIO()
        description = {"descr": self._dtype.str, "fortran_order": False, "shape": (rows, self._dimension)}
        np.lib.format.write_array_header_1_0(buffer, description)
        return buffer.getvalue()


class StoredVectors:
    """Full rows, mapped from disk or in memory, scored where they lie.

    A score is the cosine of two prefixes: both cut to ``dims`` and normalised. It is computed in one way for every
    caller, row by row, so that the same query and row always score the same, and equal rows exactly equal.

    Attributes:
        bits: the rows as compiled code takes them, which has no float16 and converts its bits itself.
    """

    def __init__(self, rows: npt.NDArray[Any]) -> None:
        self._rows = rows
        self.bits = rows.view(np.uint16) if rows.dtype == np.float16 else rows

    @classmethod
    def open(cls, path: Path, rows: int, dimension: int) -> Self:
        """Map a file.

        Raises:
            BundleCorruptError: missing, unreadable, or not of the shape the manifest says.
        """
        try:
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise BundleCorruptError(f"cannot map {path}: {error}") from error
        if mapped.shape != (rows, dimension) or mapped.dtype.name not in get_args(Storage):
            raise BundleCorruptError(
                f"{path} has shape {mapped.shape} of {mapped.dtype}, the manifest says {(rows, dimension)}"
            )
        return cls(mapped.view(np.ndarray))

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def dimension(self) -> int:
        """The full size D."""
        return int(self._rows.shape[1])

    @property
    def stored(self) -> npt.NDArray[Any]:
        """The numbers as they are stored, shape (N, D)."""
        return self._rows

    def prefixes(self, rows: npt.NDArray[Any] | slice, dims: int) -> Vectors:
        """Return rows' unit prefixes, shape (n, dims)."""
        return truncate(self._rows[rows, :dims], dims)

    def blocks(self, dims: int) -> Iterator[tuple[int, Vectors]]:
        """Stream all rows' prefixes as (first row, unit prefixes of shape (n, dims)), a bounded block at a time."""
        step = block_rows(self.dimension)
        for start in range(0, len(self), step):
            yield start, self.prefixes(slice(start, start + step), dims)

    def prefix_norms(self, dims: int) -> Iterator[Vectors]:
        """Stream |x[:dims]| of each row normalised at D, a block at a time."""
        for _, rows in self.blocks(self.dimension):
            yield np.linalg.norm(rows[:, :dims], axis=1)

    def scores(self, queries: Vectors, rows: Rows, dims: int) -> Vectors:
        """Score rows against queries.

        Args:
            queries: unit prefixes, shape (n, dims).
            rows: shape (n, K); -1 stands for no row.
            dims: prefix size.

        Returns:
            float32, shape (n, K); -inf where there is no row.
        """
        scores = np.empty(rows.shape, dtype=np.float32)
        kernels.score(self.bits, queries, rows, dims, scores)
        return scores

    def rank(self, queries: Vectors, rows: Rows, dims: int, keep: int, threads: int = 1) -> tuple[Vectors, Rows]:
        """Score candidates and keep the best: the rerank of a shortlist, and one stage of a funnel.

        Args:
            queries: unit prefixes, shape (n, dims).
            rows: shape (n, K), or (1, K) where all queries have the same; -1 stands for no row.
            dims: prefix size.
            keep: rows kept.
            threads: used where there is more than one query.

        Returns:
            scores, float32, and rows, int64, new arrays of shape (n, keep), best first, equal scores by row; -inf and
            -1 where there are fewer.
        """
        best = np.empty((len(queries), keep), dtype=np.float32)
        best_rows = np.empty((len(queries), keep), dtype=np.int64)
        shared = len(rows) == 1

        def step(start: int, stop: int) -> None:
            own = rows if shared else rows[start:stop]
            kernels.rank(self.bits, queries[start:stop], own, dims, best[start:stop], best_rows[start:stop])

        split(len(queries), threads, step)
        return best, best_rows

    def nearest(self, queries: Vectors, dims: int, keep: int, threads: int = 1) -> tuple[Vectors, Rows]:
        """Find the rows of the highest scores by looking at all of them.

        Args:
            queries: unit prefixes, shape (n, dims).
            dims: prefix size.
            keep: rows a query.
            threads: used where there is more than one query.

        Returns:
            as :meth:`rank`.
        """
        # A block of queries is scored by a sum in another order, which moves scores by their last bit: some rows more
        # than asked for are taken and scored again, so that none is lost at the cut.
        count = min(len(self), keep + _SLACK)
        best = np.empty((len(queries), count), dtype=np.float32)
        rows = np.empty((len(queries), count), dtype=np.int64)

        def step(start: int, stop: int) -> None:
            kernels.scan(self.bits, 0, len(self), queries[start:stop], dims, best[start:stop], rows[start:stop])

        split(len(queries), threads, step)
        return self.rank(queries, rows, dims, keep, threads)


def block_rows(dimension: int) -> int:
    """Return how many rows are handled at a time where all are streamed."""
    return max(1, _BLOCK_BYTES // (4 * dimension))
