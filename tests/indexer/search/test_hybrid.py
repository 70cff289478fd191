"""Searching by vectors and words at once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer import (
    Document,
    HybridOptions,
    Index,
    LexicalOptions,
    SearchOptions,
    WatchOptions,
    parse_filter,
)
from indexer.building.compact import compact_index
from indexer.plan import FunnelStage
from indexer.search.fusion import best_rows
from models import InvalidOptionError
from tests.conftest import DIMENSION, make_encoder, make_index, make_texts

ENCODER = make_encoder()
TEXTS = make_texts(400)
RRF, WEIGHTED = HybridOptions(candidates=20), HybridOptions(fusion="weighted", weight=0.3, candidates=20)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    options = {"lexical": LexicalOptions(), "calibration": None, "shortlist": "hnsw"}
    with make_index(tmp_path_factory.mktemp("hybrid"), TEXTS, ENCODER, **options) as opened:
        yield opened


def document(identifier, text, **payload):
    return Document(identifier, text, {"text": text, **payload})


def words_of(index, query):
    return index.view.lexical.scores(query, index.view.delta, None)


def naive_search(index, query, k, hybrid, dims=DIMENSION):
    """Fuse two complete rankings by hand."""
    vector = ENCODER.encode_queries([query])
    plan = index.plan(SearchOptions(k=len(TEXTS), dims=dims, rerank_dims=dims))
    (cosines,), (dense,) = index.rank(vector, plan)
    cosine = dict(zip(dense.tolist(), cosines.tolist(), strict=True))
    words = words_of(index, query)
    lexical = sorted(np.flatnonzero(words).tolist(), key=lambda row: (-words[row], row))
    dense, lexical = dense.tolist()[: hybrid.candidates], lexical[: hybrid.candidates]
    union = sorted({*dense, *lexical})
    if hybrid.fusion == "rrf":
        fused = {
            row: sum(
                share / (61 + found.index(row))
                for found, share in ((dense, hybrid.weight), (lexical, 1 - hybrid.weight))
                if row in found
            )
            for row in union
        }
    else:
        low, high = min(cosine[row] for row in union), max(cosine[row] for row in union)
        most = max(words[row] for row in union) or 1
        fused = {
            row: hybrid.weight * (cosine[row] - low) / (high - low) + (1 - hybrid.weight) * words[row] / most
            for row in union
        }
    best = sorted(fused, key=lambda row: (-fused[row], row))[:k]
    return [(str(row), pytest.approx(fused[row], abs=1e-4)) for row in best]


@pytest.mark.parametrize("hybrid", [RRF, WEIGHTED, HybridOptions(weight=0.8, candidates=7)], ids=lambda o: o.fusion)
@pytest.mark.parametrize("query", ["w1 w2 w3", TEXTS[7], "w5 w5 w6"])
def test_a_search_gives_the_fusion_of_both_rankings(index, hybrid, query):
    options = SearchOptions(k=5, dims=DIMENSION, hybrid=hybrid)
    (hits,) = index.search([query], options).hits
    assert [(hit.id, hit.score) for hit in hits] == naive_search(index, query, 5, hybrid)


def test_the_ends_of_the_weight_are_the_two_searches(index):
    query = TEXTS[3]
    words = words_of(index, query)
    (dense,) = index.search([query], SearchOptions(dims=DIMENSION)).hits
    for fusion in ("rrf", "weighted"):
        by_words = SearchOptions(k=5, dims=DIMENSION, hybrid=HybridOptions(fusion=fusion, weight=0))
        assert [hit.id for hit in index.search([query], by_words).hits[0]] == [str(row) for row in best_rows(words, 5)]
        by_vectors = SearchOptions(dims=DIMENSION, hybrid=HybridOptions(fusion=fusion, weight=1))
        assert [hit.id for hit in index.search([query], by_vectors).hits[0]] == [hit.id for hit in dense]


def test_a_word_that_the_model_does_not_know_is_found(tmp_path):
    with make_index(tmp_path, [*TEXTS[:50], "w1 XQ-7781"], ENCODER, lexical=LexicalOptions()) as index:
        (hits,) = index.search(["xq-7781"], SearchOptions(k=1, hybrid=HybridOptions())).hits
        assert hits[0].id == "50"


def test_a_funnel_through_the_structure_gives_k_results_and_tells_its_stages(index):
    stages = (FunnelStage(16, 12),)
    options = SearchOptions(k=10, candidates=15, stages=stages, hybrid=RRF)
    result = index.search(["w1 w2"], options)
    assert len(result.hits[0]) == 10
    assert (result.plan.k, result.plan.candidates) == (10, 15)
    names = [stage.name for stage in result.stages]
    assert names == ["encode", "shortlist", "rerank", "rerank", "lexical", "fuse", "documents"]
    lexical, fuse = result.stages[4:6]
    assert (lexical.candidates_in, lexical.candidates_out, lexical.structure) == (400, 20, "bm25")
    assert (20 <= fuse.candidates_in <= 40, fuse.candidates_out) == (True, 10)


def test_several_queries_are_answered_like_each_alone(index):
    queries = ["w1 w2", "w3", "unknown", TEXTS[5]]
    options = SearchOptions(k=3, dims=DIMENSION, hybrid=WEIGHTED)
    together = index.search(queries, options).hits
    for hits, query in zip(together, queries, strict=True):
        (alone,) = index.search([query], options).hits
        assert [hit.id for hit in hits] == [hit.id for hit in alone]


def test_equal_scores_come_in_the_order_of_the_corpus(tmp_path):
    with make_index(tmp_path, ["w1 w2"] * 30, ENCODER, lexical=LexicalOptions()) as index:
        for hybrid in (RRF, WEIGHTED):
            (hits,) = index.search(["w1"], SearchOptions(k=30, hybrid=hybrid)).hits
            assert [hit.id for hit in hits] == [str(i) for i in range(30)]


ODD = [
    "",
    " ",
    '"',
    "'; DROP TABLE documents; --",
    'a AND OR NOT NEAR("b") (c* ^d:e',
    "w1\0w2",
    "🙂",
    "w1 " * 6667,
    "x" * 20_000,
    "İstanbul ﬃ ① \u202e",
]


@pytest.mark.parametrize("hybrid", [RRF, WEIGHTED], ids=lambda options: options.fusion)
def test_no_text_is_an_error(index, hybrid):
    result = index.search(ODD, SearchOptions(k=3, hybrid=hybrid))
    assert [len(hits) for hits in result.hits] == [3] * len(ODD)
    assert all(np.isfinite(hit.score) for hits in result.hits for hit in hits)


@given(query=st.text(max_size=30))
def test_any_text_gives_k_results(index, query):
    (hits,) = index.search([query], SearchOptions(k=4, hybrid=WEIGHTED)).hits
    assert len(hits) == 4


def test_what_cannot_be_is_refused_by_name(index, tmp_path):
    options = SearchOptions(hybrid=HybridOptions())
    vector = np.ones((1, DIMENSION), np.float32)
    with pytest.raises(InvalidOptionError, match=r"hybrid search with vectors: .*search by text") as raised:
        index.search_vectors(vector, options)
    assert raised.value.param == "hybrid"
    with pytest.raises(InvalidOptionError, match="hybrid search with images"):
        index.search_images([b""], options)
    with (
        make_index(tmp_path, TEXTS[:3], ENCODER) as without,
        pytest.raises(InvalidOptionError, match=r"has no lexical index.*mrl index build --lexical") as raised,
    ):
        without.search(["w1"], options)
    assert raised.value.param == "hybrid"


def test_the_watch_counts_no_hybrid_search(index):
    with Index.open(index.root, encoder=ENCODER, watch=WatchOptions(share=1.0, budget=1.0)) as watched:
        watched.search(["w1 w2"], SearchOptions(hybrid=RRF))
        assert [level.overall.queries for level in watched.watch.facts().levels] == []
        watched.search(["w1 w2"], SearchOptions())
        assert watched.watch.wait(10)
        assert [level.overall.queries for level in watched.watch.facts().levels] == [1]


def test_updates_filters_compaction_and_reload(tmp_path):
    with make_index(tmp_path, TEXTS[:100], ENCODER, lexical=LexicalOptions()) as index:
        index.upsert([document("new", "fresh w1", n=1), document("5", "fresh w2", n=2), document("gone", "fresh")])
        index.delete(["gone", "6"])

        def found(query="fresh", **options):
            (hits,) = index.search([query], SearchOptions(k=200, hybrid=WEIGHTED, **options)).hits
            return [hit.id for hit in hits]

        def all_of_them():
            best = found()
            assert set(best[:2]) == {"new", "5"}
            assert len(best) == len(set(best)) == 100
            assert not {"gone", "6"} & set(best)
            assert found(TEXTS[6])[:1] != ["6"]
            assert found(TEXTS[5])[:1] != ["5"]  # found by its old words no longer
            assert found(filter=parse_filter({"n": {"$gte": 2}})) == ["5"]
            assert found(filter=parse_filter({"n": 9})) == []

        all_of_them()
        compact_index(index.root)
        assert index.reload()
        all_of_them()
        index.delete([str(i) for i in range(100)])
        assert found() == ["new"]
        index.delete(["new"])
        assert found() == []
