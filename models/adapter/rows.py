"""The training and validation vectors of an adapter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from models.errors import InvalidOptionError, TrainingError
from models.nesting import Vectors, truncate

_LEAST_DOCUMENTS, _LEAST_QUERIES = 400, 100
_HELD_DOCUMENTS, _HELD_QUERIES = 8000, 1000
_QUERY_SHARE = 4


@dataclass(frozen=True, slots=True)
class AdapterRows:
    """Distinct unit rows to train and to validate on; no row is in two parts.

    Attributes:
        documents, queries: training rows, float32, shapes (n, D) and (m, D).
        held_documents, held_queries: validation rows, at most 8,000 and 1,000, of the same dimension.
    """

    documents: Vectors
    queries: Vectors
    held_documents: Vectors
    held_queries: Vectors

    @classmethod
    def split(cls, documents: Vectors, queries: Vectors | None, validation: float, seed: int) -> Self:
        """Hold out a share of the documents and of the queries, after dropping zero and repeated rows.

        Args:
            documents: shape (N, D), any scale.
            queries: shape (n, D), any scale. If None, a quarter of each part of the documents serves as queries for the
                rest: a document is its own nearest neighbour, so it cannot be both.
            validation: share to hold out.
            seed: seed of the shuffles.

        Raises:
            InvalidOptionError: vectors are not finite, or queries and documents have different dimensions.
            TrainingError: there are fewer than max(400, D) distinct documents, or fewer than 100 distinct queries.
        """
        rng = np.random.default_rng(seed)
        dimension = documents.shape[1]
        rows = rng.permutation(_distinct("documents", documents, max(_LEAST_DOCUMENTS, dimension)))
        held = min(round(validation * len(rows)), _HELD_DOCUMENTS)
        held_documents, rows = rows[:held], rows[held:]
        if queries is None:
            held_queries, held_documents = np.split(held_documents, [len(held_documents) // _QUERY_SHARE])
            training_queries, rows = np.split(rows, [len(rows) // _QUERY_SHARE])
        else:
            if queries.shape[1] != dimension:
                raise InvalidOptionError(
                    "queries", f"queries of {queries.shape[1]} dimensions: the documents have {dimension}"
                )
            training_queries = rng.permutation(_distinct("queries", queries, _LEAST_QUERIES))
            held_queries, training_queries = np.split(training_queries, [round(validation * len(training_queries))])
        return cls(rows, training_queries, held_documents, held_queries[:_HELD_QUERIES])

    def second_moment(self) -> npt.NDArray[np.float64]:
        """Return the mean of x xᵀ over the training rows, shape (D, D); documents and queries have equal weight."""
        moments = []
        for rows in (self.documents, self.queries):
            exact = rows.astype(np.float64)
            moments.append(exact.T @ exact / len(exact))
        mean: npt.NDArray[np.float64] = np.mean(moments, axis=0)
        return mean


def _distinct(what: str, vectors: Vectors, least: int) -> Vectors:
    if not np.isfinite(vectors).all():
        raise InvalidOptionError(what, f"{what} with NaN or infinite components: give finite vectors")
    rows = truncate(vectors, vectors.shape[1])
    kept = list({row.tobytes(): number for number, row in enumerate(rows) if row.any()}.values())
    if len(kept) < least:
        raise TrainingError(
            f"{len(kept)} distinct {what} are too few to learn an adapter of {vectors.shape[1]} dimensions: "
            f"give at least {least}"
        )
    distinct: Vectors = rows[kept]
    return distinct
