"""Compiled inner loops over stored rows: gather, dot product and selection in one pass, without the GIL.

Rows are float32, int8, or float16 viewed as uint16 (Numba has no float16 arithmetic). Every score is a cosine of
prefixes: the query's prefix has unit norm, and the row's is divided by its norm here. So a per-row quantisation scale
would cancel, and none is stored.

All callers get one order: higher scores first, equal scores by row. NaN never wins.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from indexer.kernels.intrinsics import prefetch, stored_value
from models.compiled import compiled
from models.nesting import Vectors

Rows = npt.NDArray[np.int64]
Stored = npt.NDArray[Any]

_TILE_BYTES = 256 << 10
"""Rows converted to float32 at a time in a scan, so that they stay in the L2 cache for all queries."""
AHEAD = 4
"""Number of candidates to prefetch ahead of the one being scored. Measured to be twice as fast as none."""
LINE = 64
"""Bytes of a cache line."""


@compiled
def cosine(row: Stored, query: Vectors, dims: int) -> Any:
    """Return the cosine of a row's prefix and a unit query; 0 if the prefix is zero.

    Args:
        row: shape (D,).
        query: unit prefix, shape (dims,).
        dims: prefix size.
    """
    dot = np.float32(0)
    square = np.float32(0)
    for i in range(dims):
        value = stored_value(row[i])
        dot += value * query[i]
        square += value * value
    return dot / np.sqrt(square) if square > 0 else np.float32(0)


@compiled
def insert(scores: Vectors, rows: Rows, score: Any, row: Any) -> None:
    """Insert a row into a sorted list of fixed length, dropping the last entry; no-op if it belongs after the last.

    Args:
        scores, rows: the list, both of shape (k,), best first, padded with -inf and -1; modified in place.
        score, row: the entry to insert.
    """
    last = len(scores) - 1
    if not (score > scores[last] or (score == scores[last] and (rows[last] < 0 or row < rows[last]))):
        return
    place = last
    while place > 0 and (
        score > scores[place - 1] or (score == scores[place - 1] and (rows[place - 1] < 0 or row < rows[place - 1]))
    ):
        scores[place] = scores[place - 1]
        rows[place] = rows[place - 1]
        place -= 1
    scores[place] = score
    rows[place] = row


@compiled
def prefetch_row(stored: Stored, row: Any, dims: int) -> None:
    """Prefetch a row's prefix; no-op for -1."""
    if row >= 0:
        for byte in range(0, dims * stored.itemsize, LINE):
            prefetch(stored, row, byte)


@compiled
def score(stored: Stored, queries: Vectors, rows: Rows, dims: int, scores: Vectors) -> None:
    """Score rows against queries.

    Args:
        stored: shape (N, D).
        queries: unit prefixes, shape (n, dims).
        rows: shape (n, K); -1 is padding.
        dims: prefix size.
        scores: output, shape (n, K); -inf for padding.
    """
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            row = rows[i, j]
            scores[i, j] = cosine(stored[row], queries[i], dims) if row >= 0 else -np.inf


@compiled
def rank(stored: Stored, queries: Vectors, rows: Rows, dims: int, best: Vectors, best_rows: Rows) -> None:
    """Score candidates and keep the best, in order.

    Args:
        stored, queries, rows, dims: as in :func:`score`; rows must not repeat. ``rows`` of shape (1, K) are the
            candidates of every query.
        best, best_rows: output, shape (n, keep), padded with -inf and -1.
    """
    best[:] = -np.inf
    best_rows[:] = -1
    for i in range(queries.shape[0]):
        own = i if rows.shape[0] > 1 else 0
        for j in range(min(AHEAD, rows.shape[1])):
            prefetch_row(stored, rows[own, j], dims)
        for j in range(rows.shape[1]):
            if j + AHEAD < rows.shape[1]:
                prefetch_row(stored, rows[own, j + AHEAD], dims)
            row = rows[own, j]
            if row >= 0:
                insert(best[i], best_rows[i], cosine(stored[row], queries[i], dims), row)


@compiled
def scan(stored: Stored, start: int, stop: int, queries: Vectors, dims: int, best: Vectors, best_rows: Rows) -> None:
    """Rank all rows from ``start`` to ``stop``; see :func:`rank`.

    Rows are converted once for all queries, so that a batch costs only its dot products.
    """
    best[:] = -np.inf
    best_rows[:] = -1
    if queries.shape[0] == 1:
        for row in range(start, stop):
            insert(best[0], best_rows[0], cosine(stored[row], queries[0], dims), row)
        return
    height = max(1, _TILE_BYTES // (4 * dims))
    tile = np.empty((height, dims), np.float32)
    for first in range(start, stop, height):
        count = min(height, stop - first)
        for j in range(count):
            square = np.float32(0)
            for t in range(dims):
                value = stored_value(stored[first + j, t])
                tile[j, t] = value
                square += value * value
            norm = np.sqrt(square)
            for t in range(dims):
                tile[j, t] = tile[j, t] / norm if norm > 0 else np.float32(0)
        for i in range(queries.shape[0]):
            for j in range(count):
                dot = np.float32(0)
                for t in range(dims):
                    dot += tile[j, t] * queries[i, t]
                if dot >= best[i, -1]:
                    insert(best[i], best_rows[i], dot, first + j)


@compiled
def hash_rows(data: npt.NDArray[np.uint8], seed: Any, hashes: npt.NDArray[np.uint64]) -> None:
    """Hash each row of bytes with FNV-1a, starting from ``seed``; shape (n, b) to (n,)."""
    for i in range(data.shape[0]):
        value = seed
        for j in range(data.shape[1]):
            value = (value ^ np.uint64(data[i, j])) * np.uint64(0x100000001B3)
        hashes[i] = value


@compiled
def equal_rows(data: npt.NDArray[np.uint8], hashes: npt.NDArray[np.uint64], order: Rows, head: Rows) -> None:
    """Find the first row with the same bytes as each row.

    Args:
        data: shape (N, b).
        hashes: hashes of the rows, shape (N,).
        order: rows sorted by hash, equal hashes by row.
        head: output, shape (N,). If two different vectors share a hash, later copies may count as new vectors.
    """
    first = order[0] if len(order) else 0
    for i in range(len(order)):
        row = order[i]
        equal = hashes[row] == hashes[first]
        if equal:
            for j in range(data.shape[1]):
                if data[row, j] != data[first, j]:
                    equal = False
                    break
        if not equal:
            first = row
        head[row] = first


@compiled
def _place(values: Rows, value: Any) -> Any:
    """Return the position of a value in an ascending list, or -1."""
    low = 0
    high = len(values)
    while low < high:
        middle = (low + high) // 2
        if values[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low if low < len(values) and values[low] == value else -1


@compiled
def _allows(bitmap: npt.NDArray[np.uint8], row: Any) -> Any:
    return len(bitmap) == 0 or (bitmap[row >> 3] >> (row & 7)) & 1 == 1


@compiled
def first_allowed(
    rows: Rows, repeated: Rows, group: Rows, starts: Rows, members: Stored, bitmap: npt.NDArray[np.uint8]
) -> None:
    """Replace each row in place by the first allowed row of an equal vector, or -1.

    Args:
        rows: shape (n, K).
        repeated, group, starts, members, bitmap: as in :func:`expand`.
    """
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            row = rows[i, j]
            if row < 0 or _allows(bitmap, row):
                continue
            place = _place(repeated, row)
            rows[i, j] = -1
            if place < 0:
                continue
            for m in range(starts[group[place]], starts[group[place] + 1]):
                if _allows(bitmap, members[m]):
                    rows[i, j] = members[m]
                    break


@compiled
def expand(
    scores: Vectors,
    rows: Rows,
    repeated: Rows,
    group: Rows,
    starts: Rows,
    members: Stored,
    bitmap: npt.NDArray[np.uint8],
    best: Vectors,
    best_rows: Rows,
) -> None:
    """Replace each vector by all of its allowed rows, and keep the best; see ``DistinctRows.expand``.

    Args:
        scores, rows: shape (n, k); each row stands for the rows of its vector.
        repeated: rows of repeated vectors, ascending, shape (R,).
        group: number of the repeated vector of each of them, shape (R,).
        starts, members: repeated vector g has the rows ``members[starts[g]:starts[g + 1]]``; shapes (G + 1,) and (R,).
        bitmap: allowed rows, shape (ceil(N/8),), lowest bit first; empty if all are allowed.
        best, best_rows: output, shape (n, k), best first, padded with -inf and -1.
    """
    best[:] = -np.inf
    best_rows[:] = -1
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            row = rows[i, j]
            place = _place(repeated, row)
            if row < 0:
                continue
            if place < 0:
                insert(best[i], best_rows[i], scores[i, j], row)
                continue
            added = 0
            for m in range(starts[group[place]], starts[group[place] + 1]):
                if added == rows.shape[1]:
                    break
                if _allows(bitmap, members[m]):
                    insert(best[i], best_rows[i], scores[i, j], np.int64(members[m]))
                    added += 1
