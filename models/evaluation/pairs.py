"""Retrieval quality at each size, measured on pairs of texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.data.lists import check_list
from models.data.pairs import Pair
from models.encoders.base import Encoder
from models.nesting import Vectors, truncate

RECALL_AT = (1, 10, 100)
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class PairScore:
    """How well each query's single relevant document is found at a size.

    Attributes:
        size: dimensions used.
        ndcg: nDCG@10.
        recall: share of queries whose document is among the first k, by k.
        documents: number of documents searched; a query costs this times ``size`` multiply-adds.
    """

    size: int
    ndcg: float
    recall: dict[int, float]
    documents: int

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        return asdict(self)


def pair_ranks(queries: Vectors, documents: Vectors, relevant: Sequence[int]) -> npt.NDArray[np.int64]:
    """Return the rank of each query's relevant document, shape (n,); 1 is the best.

    Equal scores are ordered by row, as in a search.

    Args:
        queries: shape (n, m), unit rows.
        documents: shape (N, m), unit rows.
        relevant: row of each query's relevant document.
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
    """nDCG@k with a single relevant document per query: the mean of 1/log2(1 + rank).

    Args:
        queries, documents, relevant: as in :func:`pair_ranks`.
        k: ranks beyond k contribute 0.
    """
    return _ndcg(pair_ranks(queries, documents, relevant), k)


def evaluate_pairs(
    encoder: Encoder, pairs: Sequence[Pair], sizes: Iterable[int], *, distractors: Sequence[str] = ()
) -> dict[int, float]:
    """Return nDCG@10 by size; see :func:`measure_pairs`."""
    return {score.size: score.ndcg for score in measure_pairs(encoder, pairs, sizes, distractors=distractors)}


def measure_pairs(
    encoder: Encoder, pairs: Sequence[Pair], sizes: Iterable[int], *, distractors: Sequence[str] = ()
) -> list[PairScore]:
    """Measure how well each pair's document is found among all documents of the pairs and the distractors.

    Args:
        encoder: encodes queries and documents.
        pairs: queries with their relevant documents.
        sizes: prefix sizes, each truncated and re-normalised.
        distractors: further documents to search.

    Returns:
        A score for each size, in the order given.
    """
    check_list(distractors, "distractors", "distractors")
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
