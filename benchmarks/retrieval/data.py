"""A cached data set: vectors, queries and their exact neighbours, computed on first use."""

from __future__ import annotations

import sys
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.report import data_file
from benchmarks.retrieval.config import QUERIES, TRUTH, DataSet
from benchmarks.retrieval.encoders import ENCODERS, name_as_words
from models.encoders.base import Encoder
from models.nesting import Vectors

Rows = npt.NDArray[np.int64]

_ENCODED = 4096
_SCANNED = 65_536
_TIE = 1e-6
"""Relative: two rows of the same text may differ in the last bit, depending on their position in a block."""


class Truth(NamedTuple):
    """Exact neighbours, best first: rows int64 and scores float32, both of shape (queries, TRUTH)."""

    rows: Rows
    scores: Vectors


class Data:
    """A data set. Every array is float32 with unit rows, stored as ``.npy``."""

    def __init__(self, data_set: DataSet, cache: Path) -> None:
        self.data_set, self.cache = data_set, cache
        self.folder = cache / f"data-{data_set.name}"
        self.folder.mkdir(exist_ok=True)

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder; trained first if it is one of ours."""
        return ENCODERS[self.data_set.encoder](self.cache)

    def table(self) -> pa.Table:
        """Columns ``id`` and ``text`` of the corpus."""
        return pq.read_table(data_file("packages.parquet")).slice(0, self.data_set.rows)

    def vectors(self, rows: int | None = None) -> Vectors:
        """The first rows' vectors, memory-mapped."""
        path = self.folder / "vectors.npy"
        if not path.exists():
            self._encode(path)
        # A plain array: indexing a numpy.memmap costs microseconds.
        return np.asarray(np.load(path, mmap_mode="r"))[:rows]

    def warm(self, rows: int) -> None:
        """Read the first rows of the file into the system's cache."""
        left = rows * self.data_set.dimension * 4
        with (self.folder / "vectors.npy").open("rb", buffering=0) as file:
            while left > 0 and (block := file.read(1 << 24)):
                left -= len(block)

    def queries(self, part: str = "test") -> Vectors:
        """Query vectors of a part, ``test`` or ``calibration``; the parts are disjoint."""
        path = self.folder / f"queries-{part}.npy"
        if not path.exists():
            _save(path, self.encoder.encode_queries(self.query_texts(part)))
        return np.load(path)

    def query_texts(self, part: str = "test") -> list[str]:
        """The names, as words, of the last rows (``test``) or of the rows before them (``calibration``)."""
        names = self.table()["id"].to_pylist()
        last = len(names) - {"test": 0, "calibration": QUERIES}[part]
        return [name_as_words(name) for name in names[last - QUERIES : last]]

    def truth(self, rows: int, part: str = "test") -> Truth:
        """The exact neighbours among the first rows, by a scan in float32."""
        paths = [self.folder / f"truth-{part}-{rows}-{what}.npy" for what in ("rows", "scores")]
        if not paths[1].exists():
            for path, array in zip(paths, exact(self.vectors(rows), self.queries(part), TRUTH), strict=True):
                _save(path, array)
        return Truth(*map(np.load, paths))

    def _encode(self, path: Path) -> None:
        texts = self.table()["text"].to_pylist()
        partial = path.with_suffix(".partial")
        shape = len(texts), self.data_set.dimension
        out = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float32, shape=shape)
        for start in range(0, len(texts), _ENCODED):
            out[start : start + _ENCODED] = self.encoder.encode_documents(texts[start : start + _ENCODED])
            if sys.stderr.isatty():
                print(f"\rset {self.data_set.name}: {start} of {len(texts)} encoded", end="", file=sys.stderr)
        out.flush()
        partial.replace(path)


def exact(vectors: Vectors, queries: Vectors, k: int) -> Truth:
    """Scan all rows for each query's k best, in blocks whose scores fit in memory.

    The returned scores are those of :func:`score`; the matrix product's differ in the last bits.
    """
    rows = np.zeros((len(queries), 0), np.int64)
    best = np.zeros((len(queries), 0), np.float32)
    for start in range(0, len(vectors), _SCANNED):
        found = queries @ vectors[start : start + _SCANNED].T
        numbers = np.broadcast_to(np.arange(start, start + found.shape[1]), found.shape)
        best, rows = np.concatenate([best, found], axis=1), np.concatenate([rows, numbers], axis=1)
        if best.shape[1] > k:
            kept = np.argpartition(-best, k - 1, axis=1)[:, :k]
            best, rows = np.take_along_axis(best, kept, axis=1), np.take_along_axis(rows, kept, axis=1)
    scores = score(vectors, queries, rows)
    order = np.argsort(-scores, axis=1, kind="stable")
    return Truth(np.take_along_axis(rows, order, axis=1), np.take_along_axis(scores, order, axis=1))


def score(vectors: Vectors, queries: Vectors, rows: Rows) -> Vectors:
    """Exact inner products, float32 of the shape of ``rows``; -inf where a row is -1."""
    scores = np.stack([vectors[numbers] @ query for numbers, query in zip(rows, queries, strict=True)])
    return np.where(rows >= 0, scores, -np.inf).astype(np.float32)


def recall(vectors: Vectors, queries: Vectors, found: npt.NDArray[Any], truth: Truth) -> float:
    """Recall@k of the rows found, k being their number: the share that scores like the exact k-th or better.

    Rows of equal text are interchangeable, so scores are compared, not rows. A repeated row counts once.

    Args:
        found: rows for the first n queries, shape (n, k); -1 for missing results.
    """
    k = found.shape[1]
    rows = np.where(_repeated(found), -1, found).astype(np.int64)
    least = truth.scores[: len(rows), k - 1 : k]
    right = score(vectors, queries[: len(rows)], rows) >= least - _TIE * np.abs(least)
    return float(right.mean())


def _repeated(rows: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Mark each row that already occurs further left."""
    same = rows[:, :, None] == rows[:, None, :]
    return np.tril(same, -1).any(axis=2)


def _save(path: Path, array: npt.NDArray[Any]) -> None:
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.save(file, array)
    partial.replace(path)
