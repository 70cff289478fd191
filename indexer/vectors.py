"""The full vectors of an index: one ``.npy`` file, written by appending, read through a memory map."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import faiss
import numpy as np
import numpy.typing as npt

from indexer.errors import BundleCorruptError
from models.nesting import Vectors, truncate

FILE_NAME = "vectors.npy"
Storage = Literal["float16", "float32"]
_BLOCK_BYTES = 32 << 20


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
        self._file.write(np.ascontiguousarray(vectors, dtype=self._dtype).tobytes())
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
    """Full rows on disk, gathered and scored without loading the file.

    A score is the cosine of two prefixes: both cut to ``dims`` and normalised. It is computed in one way for every
    caller, row by row, so that the same query and row always score the same, and equal rows exactly equal.
    """

    def __init__(self, path: Path, rows: int, dimension: int) -> None:
        """Map the file.

        Raises:
            BundleCorruptError: missing, unreadable, or not of the shape the manifest says.
        """
        try:
            self._rows: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise BundleCorruptError(f"cannot map {path}: {error}") from error
        if self._rows.shape != (rows, dimension):
            raise BundleCorruptError(f"{path} has shape {self._rows.shape}, the manifest says {(rows, dimension)}")
        self.path = path

    def __len__(self) -> int:
        return len(self._rows)

    def blocks(self, dims: int) -> Iterator[tuple[int, Vectors]]:
        """Stream the rows' prefixes as (first row, unit prefixes of shape (n, dims)), a bounded block at a time."""
        step = max(1, _BLOCK_BYTES // (4 * self._rows.shape[1]))
        for start in range(0, len(self._rows), step):
            yield start, truncate(self._rows[start : start + step], dims)

    def prefix_norms(self, dims: int) -> Iterator[Vectors]:
        """Stream |x[:dims]| of each row normalised at D, a block at a time."""
        for _, rows in self.blocks(self._rows.shape[1]):
            yield np.linalg.norm(rows[:, :dims], axis=1)

    def scores(self, queries: Vectors, rows: npt.NDArray[np.int64], dims: int) -> Vectors:
        """Score rows against queries.

        Args:
            queries: unit prefixes, shape (n, dims).
            rows: shape (n, K); -1 stands for no row.
            dims: prefix size.

        Returns:
            float32, shape (n, K); -inf where there is no row.
        """
        scores = np.empty(rows.shape, dtype=np.float32)
        step = max(1, _BLOCK_BYTES // max(1, 4 * rows.shape[1] * dims))
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            gathered = self._rows[part, :dims].astype(np.float32)
            norms = np.sqrt(np.vecdot(gathered, gathered))
            dots = np.vecdot(gathered, queries[start : start + step, None, :])
            scores[start : start + step] = np.divide(dots, norms, out=np.zeros_like(dots), where=norms > 0)
        scores[rows < 0] = -np.inf
        return scores

    def nearest(self, queries: Vectors, dims: int, count: int) -> npt.NDArray[np.int64]:
        """Find the rows of the highest scores by looking at all of them.

        Args:
            queries: unit prefixes, shape (n, dims).
            dims: prefix size.
            count: rows a query, cut to the number there are.

        Returns:
            shape (n, min(count, N)), best first by a fast score; :meth:`scores` gives the exact ones.
        """
        count = min(count, len(self))
        if count == len(self):
            return np.broadcast_to(np.arange(count, dtype=np.int64), (len(queries), count))
        best = np.full((len(queries), 0), -np.inf, dtype=np.float32)
        found = np.zeros((len(queries), 0), dtype=np.int64)
        for start, prefixes in self.blocks(dims):
            scores, local = faiss.knn(queries, prefixes, min(count, len(prefixes)), metric=faiss.METRIC_INNER_PRODUCT)
            best = np.concatenate([best, scores], axis=1)
            found = np.concatenate([found, local + start], axis=1)
            # Stable: of equal scores the earlier row stays first.
            order = np.argsort(-best, axis=1, kind="stable")[:, :count]
            best, found = np.take_along_axis(best, order, axis=1), np.take_along_axis(found, order, axis=1)
        return found


def order_by_score(scores: Vectors, rows: npt.NDArray[np.int64]) -> tuple[Vectors, npt.NDArray[np.int64]]:
    """Sort each query's rows by falling score, equal scores by row; both of shape (n, K), new arrays."""
    order = np.lexsort((rows, -scores), axis=-1)
    return np.take_along_axis(scores, order, axis=-1), np.take_along_axis(rows, order, axis=-1)
