"""Retrieval quality measured by labels: single searches, adaptive retrieval and funnels (MRL, sections 4.3, 4.3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import InvalidOptionError
from models.evaluation.neighbours import Rows, nearest, rerank, score_blocks
from models.nesting import Vectors, truncate

FUNNEL_KEEPS = (200, 100, 50, 25, 10)
"""Number of candidates after each stage of the paper's funnel (MRL, section 4.3.1)."""
PRECISION_AT = (10, 25, 50, 100)
DEPTH = 10
"""The k of mAP@k, and the shortest list a plan may return."""


@dataclass(frozen=True, slots=True)
class RetrievalPlan:
    """A search in stages: scan with the first size, then rerank the candidates with each further size.

    >>> RetrievalPlan((64,))  # a single search
    >>> RetrievalPlan((64, 256), (200,))  # adaptive retrieval: 200 candidates by 64 dims, reranked by 256
    >>> RetrievalPlan.funnel(16, 256)

    Attributes:
        sizes: prefix sizes: one for a single search, two for adaptive retrieval (Ds, Dr), more for a funnel.
        keeps: number of candidates between consecutive stages, each at least 10.
    """

    sizes: tuple[int, ...]
    keeps: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.sizes or len(self.keeps) != len(self.sizes) - 1 or any(keep < DEPTH for keep in self.keeps):
            raise InvalidOptionError(
                "plan",
                f"sizes {list(self.sizes)} with candidates {list(self.keeps)}: give at least one size, and a number of "
                f"candidates between consecutive sizes, each at least {DEPTH}",
            )

    @classmethod
    def funnel(cls, first: int, dimension: int) -> RetrievalPlan:
        """The paper's funnel: sizes double from ``first`` while the list halves, and D ranks the last candidates.

        200 → 100 → 50 → 25 → 10 candidates over Ds, 2 Ds, 4 Ds, 8 Ds, 16 Ds and D, with fewer stages if D is reached
        earlier.
        """
        sizes = [first]
        while sizes[-1] * 2 < dimension and len(sizes) < len(FUNNEL_KEEPS):
            sizes.append(sizes[-1] * 2)
        return cls((*sizes, dimension), FUNNEL_KEEPS[: len(sizes)])

    @property
    def kind(self) -> str:
        """``single``, ``adaptive`` or ``funnel``."""
        return ("single", "adaptive", "funnel")[min(len(self.sizes), 3) - 1]

    def multiply_adds(self, rows: int) -> tuple[int, int]:
        """Multiply-adds per query over ``rows`` rows: of the scan, Ds · N, and in total with the reranks, Σ K · d."""
        scan = self.sizes[0] * rows
        return scan, scan + sum(min(keep, rows) * size for keep, size in zip(self.keeps, self.sizes[1:], strict=True))


@dataclass(frozen=True, slots=True)
class RetrievalScore:
    """Quality of a plan, averaged over the queries; a row is relevant if its label is the query's.

    Attributes:
        plan: the plan.
        top1: share of queries whose first row is relevant; for a single search, 1-NN accuracy.
        map: mAP@10, see :func:`average_precision`.
        precision: share of relevant rows among the first k, by k up to the length of the plan's last list.
        scan_multiply_adds, multiply_adds: per query, without and with the reranks.
    """

    plan: RetrievalPlan
    top1: float
    map: float
    precision: dict[int, float]
    scan_multiply_adds: int
    multiply_adds: int

    def to_json(self) -> dict[str, Any]:
        """A flat dictionary for JSON."""
        return {
            "search": self.plan.kind,
            "sizes": list(self.plan.sizes),
            "candidates": list(self.plan.keeps),
            "top1": self.top1,
            "map@10": self.map,
            "precision": self.precision,
            "scan_multiply_adds": self.scan_multiply_adds,
            "multiply_adds": self.multiply_adds,
        }


def average_precision(
    hits: npt.NDArray[np.bool_], relevant: npt.NDArray[np.int64], k: int = DEPTH
) -> npt.NDArray[np.float64]:
    """AP@k of each query: Σ over ranks i ≤ k with a relevant row of precision@i, divided by min(k, R).

    R is the number of relevant rows in the database. The paper ("corrected mAP@k", appendix E) divides by k, which is
    the same if every label has at least k rows, as in ImageNet; if a label has fewer, a perfect list would score below
    1. Dividing by the number of hits, as some implementations do, rewards finding little.

    Args:
        hits: whether each row found is relevant, best first, shape (n, at least min(k, N)).
        relevant: R of each query, shape (n,); a query with R = 0 scores 0.
        k: number of ranks considered.
    """
    hits = hits[:, :k]
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    total: npt.NDArray[np.float64] = (precision * hits).sum(axis=1) / np.maximum(1, np.minimum(k, relevant))
    return total


def evaluate_retrieval(
    database: Vectors,
    database_labels: npt.NDArray[Any],
    queries: Vectors,
    query_labels: npt.NDArray[Any],
    plans: Sequence[RetrievalPlan],
) -> list[RetrievalScore]:
    """Measure plans by exact cosine search over re-normalised prefixes.

    Args:
        database, queries: shapes (N, D) and (n, D).
        database_labels, query_labels: shapes (N,) and (n,).
        plans: at least one plan.

    Returns:
        A score for each plan, in the order given.
    """
    sizes = sorted({size for plan in plans for size in plan.sizes})
    cut_database = {size: truncate(database, size) for size in sizes}
    cut_queries = {size: truncate(queries, size) for size in sizes}
    firsts = {plan.sizes[0] for plan in plans}
    depth = max([PRECISION_AT[-1], *(plan.keeps[0] for plan in plans if plan.keeps)])
    labels, counts = np.unique(database_labels, return_counts=True)
    count_of = dict(zip(labels.tolist(), counts.tolist(), strict=True))
    relevant = np.array([count_of.get(label, 0) for label in query_labels.tolist()], np.int64)
    hits: dict[RetrievalPlan, list[npt.NDArray[np.bool_]]] = {plan: [] for plan in plans}
    for start, scores in score_blocks(cut_queries, cut_database):
        found = {size: nearest(scores[size], depth) for size in firsts}
        for plan in plans:
            rows = search(plan, found[plan.sizes[0]], scores)
            own = query_labels[start : start + len(rows), None]
            hits[plan].append(database_labels[rows[:, : PRECISION_AT[-1]]] == own)
    return [_score(plan, np.concatenate(hits[plan]), relevant, len(database)) for plan in plans]


def search(plan: RetrievalPlan, first: Rows, scores: dict[int, Vectors]) -> Rows:
    """Return the rows that a plan finds, best first.

    Args:
        plan: the plan.
        first: the best rows by the plan's first size, best first, shape (n, depth); not modified. ``depth`` is at least
            the first number of candidates the plan keeps, or N.
        scores: scores of all rows, shape (n, N), by size.

    Returns:
        Shape (n, at most the last number of candidates the plan keeps); ``first`` for a single search.
    """
    if not plan.keeps:
        return first
    rows = first[:, : plan.keeps[0]]
    # Each stage keeps what the next one takes; the last keeps everything it has ranked.
    for size, keep in zip(plan.sizes[1:], (*plan.keeps[1:], plan.keeps[-1]), strict=True):
        rows = rerank(scores[size], rows, keep)
    return rows


def _score(
    plan: RetrievalPlan, hits: npt.NDArray[np.bool_], relevant: npt.NDArray[np.int64], rows: int
) -> RetrievalScore:
    scan, total = plan.multiply_adds(rows)
    return RetrievalScore(
        plan=plan,
        top1=float(hits[:, 0].mean()),
        map=float(average_precision(hits, relevant).mean()),
        precision={k: float(hits[:, :k].mean()) for k in PRECISION_AT if k <= hits.shape[1]},
        scan_multiply_adds=scan,
        multiply_adds=total,
    )
