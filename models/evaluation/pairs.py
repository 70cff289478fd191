"""How good a representation is at each of its sizes, on pairs of texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.data.pairs import Pair
from models.encoders.base import Encoder
from models.nesting import Vectors, truncate

RECALL_AT = (1, 10, 100)
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class PairScore:
    """How well each query's one right document is found at a size.

    Attributes:
        size: dimensions used.
        ndcg: nDCG@10.
        recall: share of queries whose document is among the first k, by k.
        documents: how many were searched among; multiply-adds a query are this times the size.
    """

    size: int
    ndcg: float
    recall: dict[int, float]
    documents: int

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        return asdict(self)


def pair_ranks(queries: Vectors, documents: Vectors, relevant: Sequence[int]) -> npt.NDArray[np.int64]:
    """Rank of each query's right document, 1 the best; shape (n,).

    Args:
        queries: shape (n, m), unit rows.
        documents: shape (N, m), unit rows.
        relevant: the row of the right document for each query.

    Equal scores are ordered by row, as a search orders them.
    """
    ranks = np.zeros(len(queries), np.int64)
    for start in range(0, len(queries), _BLOCK):
        scores = queries[start : start + _BLOCK] @ documents.T
        gold = np.asarray(relevant[start : start + _BLOCK])
        own = scores[np.arange(len(gold)), gold][:, None]
        ahead = (scores > own) | ((scores == own) & (np.arange(len(documents)) < gold[:, None]))
        ranks[start : start + len(gold)] = 1 + ahead.sum(axis=1)
    return ranks


def pair_ndcg(queries: Vectors, documents: Vectors, relevant: Sequence[int], k: int = 10) -> float:
    """nDCG@k where each query has one right document: the mean of 1/log2(1 + rank) over ranks up to k.

    Args:
        queries, documents, relevant: as in :func:`pair_ranks`.
        k: ranks beyond it count as 0.
    """
    return _ndcg(pair_ranks(queries, documents, relevant), k)


def evaluate_pairs(
    encoder: Encoder, pairs: Sequence[Pair], sizes: Iterable[int], distractors: Sequence[str] = ()
) -> dict[int, float]:
    """nDCG@10 at each size; see :func:`measure_pairs`."""
    return {score.size: score.ndcg for score in measure_pairs(encoder, pairs, sizes, distractors)}


def measure_pairs(
    encoder: Encoder, pairs: Sequence[Pair], sizes: Iterable[int], distractors: Sequence[str] = ()
) -> list[PairScore]:
    """Measure finding each pair's document among all pairs' documents and the distractors, at each size.

    Args:
        encoder: what turns both sides into vectors.
        pairs: the queries and their right documents.
        sizes: prefix sizes, each cut and re-normalised.
        distractors: more documents to search among.
    """
    documents = list(dict.fromkeys([pair.document for pair in pairs] + list(distractors)))
    row = {text: number for number, text in enumerate(documents)}
    relevant = [row[pair.document] for pair in pairs]
    query_vectors = encoder.encode_queries([pair.query for pair in pairs])
    document_vectors = np.concatenate(
        [encoder.encode_documents(documents[i : i + 4096]) for i in range(0, len(documents), 4096)]
    )
    scores = []
    for size in sizes:
        ranks = pair_ranks(truncate(query_vectors, size), truncate(document_vectors, size), relevant)
        recall = {k: float((ranks <= k).mean()) for k in RECALL_AT}
        scores.append(PairScore(size, _ndcg(ranks), recall, len(documents)))
    return scores


def _ndcg(ranks: npt.NDArray[np.int64], k: int = 10) -> float:
    return float(np.where(ranks <= k, 1 / np.log2(1 + ranks), 0.0).mean()) if len(ranks) else 0.0
