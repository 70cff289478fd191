"""The full vectors of a generation: one ``.npy`` file, written by appending, memory-mapped for reading.

They are stored as float32, float16 or int8. An int8 row is scaled so that its largest absolute value is 127; the scale
is not stored, as it cancels in a cosine.
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
    """Convert vectors, shape (n, D), to a storage type: float32, float16 or int8."""
    if dtype == np.int8:
        peaks = np.abs(vectors).max(axis=1, keepdims=True, initial=0)
        scaled: Vectors = vectors * np.divide(127, peaks, out=np.zeros_like(peaks), where=peaks > 0)
        return np.rint(scaled).astype(np.int8)
    return np.ascontiguousarray(vectors, dtype=dtype)


class VectorWriter:
    """Appends rows to a ``.npy`` file and updates its header at the end.

    NumPy pads the header, so the number of rows can grow in place. An existing file is continued.
    """

    def __init__(self, path: str | Path, dimension: int, storage: Storage) -> None:
        path = Path(path)
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
        """Truncate the file to its first ``rows`` rows: a killed build may have written more than it committed.

        Raises:
            BundleCorruptError: the file holds fewer rows.
        """
        size = len(self._header(0)) + rows * self._dimension * self._dtype.itemsize
        if os.fstat(self._file.fileno()).st_size < size:
            raise BundleCorruptError(
                f"{self._file.name} is shorter than its {rows} committed rows; build with --no-resume"
            )
        self._file.truncate(size)
        self._file.seek(size)

    def append(self, vectors: Vectors) -> None:
        """Append rows, shape (n, D), and wait until they are on the disk."""
        self._file.write(encode(vectors, self._dtype).tobytes())
        self._file.flush()
        os.fsync(self._file.fileno())

    def finish(self, rows: int) -> None:
        """Write the header for ``rows`` rows."""
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

    A score is the cosine of two prefixes, both truncated to ``dims`` and normalised. It is always computed the same
    way, row by row: the same query and row always have the same score, and equal rows have equal scores.

    Attributes:
        bits: the rows as the kernels take them: float16 as uint16, since compiled code has no float16.
    """

    def __init__(self, rows: npt.NDArray[Any]) -> None:
        """Use full rows, shape (N, D), of any scale: float32, float16 or int8."""
        self._rows = rows
        self.bits = rows.view(np.uint16) if rows.dtype == np.float16 else rows

    @classmethod
    def open(cls, path: str | Path, rows: int, dimension: int) -> Self:
        """Memory-map a file.

        Raises:
            BundleCorruptError: it is missing or unreadable, or its shape differs from the manifest's.
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
        """The full dimension D."""
        return int(self._rows.shape[1])

    @property
    def stored(self) -> npt.NDArray[Any]:
        """The rows in their storage type, shape (N, D)."""
        return self._rows

    def prefixes(self, rows: npt.NDArray[Any] | slice, dims: int) -> Vectors:
        """Return the normalised prefixes of rows, shape (n, dims)."""
        return truncate(self._rows[rows, :dims], dims)

    def blocks(self, dims: int) -> Iterator[tuple[int, Vectors]]:
        """Stream all prefixes in bounded blocks: (first row, unit prefixes of shape (n, dims))."""
        step = block_rows(self.dimension)
        for start in range(0, len(self), step):
            yield start, self.prefixes(slice(start, start + step), dims)

    def prefix_norms(self, dims: int) -> Iterator[Vectors]:
        """Stream the norms |x[:dims]| of all rows, normalised at D, in blocks: float32, shape (n,)."""
        for _, rows in self.blocks(self.dimension):
            yield np.linalg.norm(rows[:, :dims], axis=1)

    def scores(self, queries: Vectors, rows: Rows, dims: int) -> Vectors:
        """Score rows against queries.

        Args:
            queries: unit prefixes, shape (n, dims).
            rows: shape (n, K), padded with -1.
            dims: prefix size.

        Returns:
            float32, shape (n, K), padded with -inf.
        """
        scores = np.empty(rows.shape, dtype=np.float32)
        kernels.score(self.bits, queries, rows, dims, scores)
        return scores

    def rank(self, queries: Vectors, rows: Rows, dims: int, keep: int, threads: int = 1) -> tuple[Vectors, Rows]:
        """Score candidates and keep the best: a rerank, or one stage of a funnel.

        Args:
            queries: unit prefixes, shape (n, dims).
            rows: candidates, shape (n, K), or (1, K) for all queries; padded with -1.
            dims: prefix size.
            keep: number of rows to keep.
            threads: for more than one query.

        Returns:
            scores, float32, and rows, int64: new arrays of shape (n, keep), best first, ties by row; padded with -inf
            and -1.
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
        """Find the rows with the highest scores by an exact scan.

        Args:
            queries: unit prefixes, shape (n, dims).
            dims: prefix size.
            keep: number of rows per query.
            threads: for more than one query.

        Returns:
            see :meth:`rank`.
        """
        # The scan sums in another order, which changes the last bits of a score: it keeps some more rows, which are
        # then scored again, so that none is lost at the cut.
        count = min(len(self), keep + _SLACK)
        best = np.empty((len(queries), count), dtype=np.float32)
        rows = np.empty((len(queries), count), dtype=np.int64)

        def step(start: int, stop: int) -> None:
            kernels.scan(self.bits, 0, len(self), queries[start:stop], dims, best[start:stop], rows[start:stop])

        split(len(queries), threads, step)
        return self.rank(queries, rows, dims, keep, threads)


def block_rows(dimension: int) -> int:
    """Return the number of rows per block when all are streamed."""
    return max(1, _BLOCK_BYTES // (4 * dimension))
