import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models import truncate
from models.data.pairs import Pair
from models.evaluation import evaluate_pairs, measure_pairs, pair_ndcg

small = st.integers(-2, 2).map(float)  # few values, so that ties are common


@given(arrays(np.float32, (4, 3), elements=small), arrays(np.float32, (15, 3), elements=small), st.integers(1, 15))
def test_pair_ndcg_equals_sorting(queries, documents, k):
    relevant = [0, 3, 7, 14]
    expected = []
    for query, gold in zip(queries, relevant, strict=True):
        order = sorted(range(15), key=lambda row, query=query: (-float(query @ documents[row]), row))
        rank = order.index(gold) + 1
        expected.append(1 / math.log2(1 + rank) if rank <= k else 0.0)
    assert abs(pair_ndcg(queries, documents, relevant, k) - sum(expected) / 4) < 1e-9


def test_no_pairs_score_zero():
    assert pair_ndcg(np.zeros((0, 3), np.float32), np.zeros((2, 3), np.float32), []) == 0.0


def test_evaluate_pairs_searches_among_documents_and_distractors(encoder):
    pairs = [Pair("w1 w2", "w1 w2 w3"), Pair("w4 w5", "w4 w5 w6")]
    scores = evaluate_pairs(encoder, pairs, [8, 32], distractors=["w1 w2", "w9"])
    for size in (8, 32):
        documents = truncate(encoder.encode_documents(["w1 w2 w3", "w4 w5 w6", "w1 w2", "w9"]), size)
        queries = truncate(encoder.encode_queries(["w1 w2", "w4 w5"]), size)
        assert scores[size] == pair_ndcg(queries, documents, [0, 1])
    assert scores[32] < 1, "the distractor is the first query itself and comes before its document"


def test_recall_counts_documents_among_the_first_k(encoder):
    pairs = [Pair(f"w{i}", f"w{i} w{i + 100}") for i in range(20)]
    (score,) = measure_pairs(encoder, pairs, [32], distractors=["w0", "w1"])
    queries = truncate(encoder.encode_queries([pair.query for pair in pairs]), 32)
    documents = truncate(encoder.encode_documents([*(pair.document for pair in pairs), "w0", "w1"]), 32)
    order = np.argsort(-(queries @ documents.T), axis=1, kind="stable")
    ranks = [1 + order[i].tolist().index(i) for i in range(20)]
    assert score.recall == {k: sum(rank <= k for rank in ranks) / 20 for k in (1, 10, 100)}
    assert score.recall[1] < 1, "two queries stand among the documents themselves"
    assert score.documents == 22
    assert score.to_json()["ndcg"] == score.ndcg
