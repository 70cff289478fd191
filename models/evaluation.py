"""How good a representation is at each of its sizes, on pairs of texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from models.encoders import Encoder
from models.nesting import Vectors, truncate
from models.pairs import Pair

_BLOCK = 512


def pair_ndcg(queries: Vectors, documents: Vectors, relevant: Sequence[int], k: int = 10) -> float:
    """nDCG@k where each query has one right document: the mean of 1/log2(1 + rank) over ranks up to k.

    Args:
        queries: shape (n, m), unit rows.
        documents: shape (N, m), unit rows.
        relevant: the row of the right document for each query.
        k: ranks beyond it count as 0.

    Equal scores are ordered by row, as a search orders them.
    """
    gains = np.zeros(len(queries))
    for start in range(0, len(queries), _BLOCK):
        scores = queries[start : start + _BLOCK] @ documents.T
        gold = np.asarray(relevant[start : start + _BLOCK])
        own = scores[np.arange(len(gold)), gold][:, None]
        ahead = (scores > own) | ((scores == own) & (np.arange(len(documents)) < gold[:, None]))
        rank = 1 + ahead.sum(axis=1)
        gains[start : start + len(gold)] = np.where(rank <= k, 1 / np.log2(1 + rank), 0.0)
    return float(gains.mean()) if len(gains) else 0.0


def evaluate_pairs(
    encoder: Encoder, pairs: Sequence[Pair], sizes: Iterable[int], distractors: Sequence[str] = ()
) -> dict[int, float]:
    """nDCG@10 of finding each pair's document among all pairs' documents and the distractors, at each size.

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
    return {
        size: pair_ndcg(truncate(query_vectors, size), truncate(document_vectors, size), relevant) for size in sizes
    }
