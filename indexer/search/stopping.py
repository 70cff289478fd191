"""Stop rules: a rerank that skips candidates, and bounds what that can cost.

A candidate is skipped by its coarse score alone, so that its row is never read. There are two rules:

- **certified**: a unit query q and row x with prefixes p satisfy q·x ≤ q_p·x_p + sqrt(1 - |q_p|²)·sqrt(1 - |x_p|²). A
  candidate whose bound is below the k-th best score so far is not in the top k, so the result is exact.
- **gap**: skip a candidate whose coarse score is more than a gap below the k-th candidate's. The gap is a quantile of
  what calibration queries needed for the exact result, so that a query from their distribution gets it with the stated
  probability (split conformal prediction: Angelopoulos and Bates, arXiv 2107.07511, section 1). Easy queries have few
  candidates near their k-th and hard queries many, so each reads what it needs.

Measured (benchmarks/stopping.py): the bound skips too little to save time, unless the prefix has three quarters of the
dimensions and K is 1000. The gap reads 1.1 to 1.7 times fewer candidates than a fixed number at equal recall, with a
larger factor at higher recall, and what it reads hardly grows with K.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from indexer.errors import BundleCorruptError
from indexer.kernels.rows import AHEAD, Rows, Stored, cosine, insert, prefetch_row
from indexer.kernels.threads import split
from indexer.plan import StopRule
from indexer.storage.vectors import StoredVectors
from models.compiled import compiled
from models.errors import InvalidOptionError
from models.nesting import Vectors

FILE_NAME = "prefix_norms.f32"
_ROUNDING = 2.0**-21
"""Slack of a bound, per dimension: a float32 sum of n products has an error of up to n·2⁻²⁴ in any order, and six such
sums enter a comparison: the coarse score, both prefix norms, the score, and the norms of row and query."""
_UNKNOWN = np.empty(0, dtype=np.float32)


class PrefixNorms(NamedTuple):
    """Norms of the prefixes that the shortlist compares.

    Attributes:
        values: |x[:dims]| of the rows, normalised at D, shape (N,).
        dims: the shortlist's prefix size Ds.
    """

    values: Vectors
    dims: int

    @classmethod
    def open(cls, path: Path, rows: int, dims: int) -> Self:
        """Memory-map a file of ``rows`` norms.

        Raises:
            BundleCorruptError: the file is missing or has another size.
        """
        try:
            # An empty file cannot be mapped.
            values = np.memmap(path, dtype="<f4", mode="r", shape=rows) if rows else np.empty(0, dtype=np.float32)
        except (OSError, ValueError) as error:
            raise BundleCorruptError(f"cannot map {path}: {error}") from error
        return cls(values.view(np.ndarray), dims)


class Stopped(NamedTuple):
    """The result of a rerank under a stop rule.

    Attributes:
        scores, rows: as :meth:`StoredVectors.rank` returns.
        read: number of candidates read, shape (n,).
        margin: k-th score minus the highest bound of an unread candidate, shape (n,); inf if all were read, -inf if
            nothing bounds the unread.
    """

    scores: Vectors
    rows: Rows
    read: Rows
    margin: Vectors

    @property
    def certified(self) -> npt.NDArray[np.bool_]:
        """Whether the result provably equals that of reading every candidate, shape (n,)."""
        return self.margin > 0


def rank_stopping(
    vectors: StoredVectors,
    queries: Vectors,
    rows: Rows,
    coarse: Vectors,
    dims: int,
    keep: int,
    rule: StopRule,
    norms: PrefixNorms | None = None,
    threads: int = 1,
) -> Stopped:
    """Score the candidates that the rule does not skip, and keep the best.

    Args:
        vectors: the full vectors.
        queries: unit prefixes, shape (n, dims).
        rows: candidates, nearest first, shape (n, K); -1 is padding.
        coarse: their scores in the shortlist, descending, shape (n, K). Estimates suffice for a gap; with ``norms``
            they must be the cosines of the prefixes, exact up to rounding.
        dims: prefix size Dr.
        keep: number of results, k.
        rule: which candidates to read; the first k always are.
        norms: prefix norms for the bounds, with ``dims`` = D only. A certified rule needs them; with a gap they certify
            some of the results.
        threads: threads to use for more than one query.

    Raises:
        InvalidOptionError: a certified rule without norms, or norms with another size than D.
    """
    if rule.gap is None and norms is None:
        raise InvalidOptionError("stop", "a certified stop needs the rows' prefix norms: give them, or a gap")
    if norms is not None and dims != vectors.dimension:
        raise InvalidOptionError(
            "stop", f"scores of {dims} dimensions cannot be bounded: prefix norms need all {vectors.dimension}"
        )
    count = len(queries)
    best, best_rows = np.empty((count, keep), dtype=np.float32), np.empty((count, keep), dtype=np.int64)
    read, margin = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.float32)
    # A gap beyond float32 reads everything, as does the largest float32.
    gap = np.float32(np.inf if rule.gap is None else min(rule.gap, float(np.finfo(np.float32).max)))
    anchor = min(rule.k or keep, keep) - 1
    values, seen = (_UNKNOWN, 0) if norms is None else norms

    def step(start: int, stop: int) -> None:
        given = (vectors.bits, values, queries, rows, coarse)
        _rank(*given, start, stop, seen, dims, gap, anchor, best, best_rows, read, margin)

    split(count, threads, step)
    return Stopped(best, best_rows, read, margin)


def needed_gaps(coarse: Vectors, rows: Rows, answer: Rows) -> Vectors:
    """Return the smallest gap with which each query keeps its exact result.

    Args:
        coarse, rows: the whole shortlists, as for :func:`rank_stopping`.
        answer: rows of the rerank of all candidates, shape (n, k), padded with -1.

    Returns:
        shape (n,); 0 if the first k candidates are the result.
    """
    keep = answer.shape[1]
    gaps = np.zeros(len(rows), dtype=np.float32)
    for i, (scores, listed, found) in enumerate(zip(coarse, rows, answer, strict=True)):
        own = scores[listed >= 0]
        if len(own) > keep:
            gaps[i] = max(0, own[keep - 1] - scores[np.isin(listed, found[found >= 0])].min())
    return gaps


def fit_gap(gaps: Vectors, probability: float, k: int | None = None) -> StopRule:
    """Choose the smallest gap that suffices for a further query with the given probability.

    Args:
        gaps: gap that each calibration query needed (:func:`needed_gaps`), at the k and K of the searches to come;
            shape (n,).
        probability: over the calibration queries and one further query, assumed exchangeable.
        k: the k the gaps were measured at.

    Raises:
        InvalidOptionError: there are too few queries for this probability; the message says how many it needs.
    """
    if not 0 < probability < 1:
        raise InvalidOptionError("stop", f"probability {probability}: give more than 0 and less than 1")
    place = math.ceil((len(gaps) + 1) * probability)
    if place > len(gaps):
        least = math.ceil(probability / (1 - probability) - 1e-9)
        raise InvalidOptionError(
            "stop", f"probability {probability} needs at least {least} calibration queries, there are {len(gaps)}"
        )
    return StopRule(gap=float(np.sort(gaps)[place - 1]), probability=probability, k=k)


@compiled
def _bound(score: Any, norm: Any, seen: Any, unseen: Any, rounding: Any) -> Any:
    """Return an upper bound on the cosine of a row, given that of its prefix; see the module's docstring."""
    rest = np.sqrt(max(np.float32(0), np.float32(1) - norm * norm) + rounding)
    return score * seen * norm + unseen * rest + rounding


@compiled
def _rank(
    stored: Stored,
    norms: Vectors,
    queries: Vectors,
    rows: Rows,
    coarse: Vectors,
    start: int,
    stop: int,
    prefix: int,
    dims: int,
    gap: Any,
    anchor: int,
    best: Vectors,
    best_rows: Rows,
    read: Rows,
    margin: Vectors,
) -> None:
    """Rank the candidates of queries ``start`` to ``stop``; ``norms`` may be empty."""
    last = best.shape[1] - 1
    rounding = np.float32(_ROUNDING * dims)
    listed = np.empty(rows.shape[1], np.int64)
    bounds = np.empty(rows.shape[1], np.float32)
    for i in range(start, stop):
        best[i] = -np.inf
        best_rows[i] = -1
        square = np.float32(0)
        for t in range(prefix):
            square += queries[i, t] * queries[i, t]
        seen = np.sqrt(square)
        unseen = np.sqrt(max(np.float32(0), np.float32(1) - square) + rounding)
        kth = np.float32(-np.inf)
        unread = np.float32(-np.inf)
        count = 0
        for j in range(rows.shape[1]):
            if rows[i, j] < 0:
                continue
            bound = np.float32(np.inf)
            if len(norms) > 0:
                bound = _bound(coarse[i, j], norms[rows[i, j]], seen, unseen, rounding)
            # The same arithmetic as in needed_gaps, so that both round alike.
            if count > last and kth - coarse[i, j] > gap:
                unread = max(unread, bound)
                if len(norms) == 0:
                    break
                continue
            if count == anchor:
                kth = coarse[i, j]
            listed[count] = rows[i, j]
            bounds[count] = bound
            count += 1
        for a in range(min(AHEAD, count)):
            prefetch_row(stored, listed[a], dims)
        number = 0
        for a in range(count):
            if a + AHEAD < count and bounds[a + AHEAD] >= best[i, last]:
                prefetch_row(stored, listed[a + AHEAD], dims)
            if bounds[a] >= best[i, last]:
                insert(best[i], best_rows[i], cosine(stored[listed[a]], queries[i], dims), listed[a])
                number += 1
            else:
                unread = max(unread, bounds[a])
        read[i] = number
        margin[i] = np.float32(np.inf) if unread == -np.inf else best[i, last] - unread
