import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer import Index, ModelMismatchError, SearchOptions
from indexer.shortlist import KINDS
from models import InvalidOptionError, truncate
from tests.conftest import DIMENSION, make_encoder, make_index, make_texts


def naive(index, queries, k, rerank_dims):
    """Rank all stored rows by the cosine at ``rerank_dims`` in double precision."""
    rows = np.load(index.path / "vectors.npy").astype(np.float64)[:, :rerank_dims]
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)
    scores = truncate(queries, rerank_dims).astype(np.float64) @ rows.T
    order = np.argsort(-np.round(scores, 5), axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, order, axis=1), order


def assert_same(index, queries, options, k):
    """Scores agree to 1e-5; ids agree wherever scores differ by more than that, and sorting holds."""
    expected_scores, expected_rows = naive(index, queries, k, options.rerank_dims or index.dimension)
    result = index.search_vectors(queries, options)
    for hits, scores, rows in zip(result.hits, expected_scores, expected_rows, strict=True):
        found = np.array([hit.score for hit in hits])
        assert len(hits) == min(k, len(index))
        assert (np.diff(found) <= 0).all()
        np.testing.assert_allclose(found, scores, atol=1e-5)
        ids = [int(hit.id) for hit in hits]
        assert len(set(ids)) == len(ids)
        last = scores[-1] if len(scores) else 0
        for score in set(np.round(scores, 4)):
            if score > last + 1e-3:  # ties at the end may go either way
                same = np.abs(scores - score) < 2e-4
                assert set(np.array(ids)[same]) == set(rows[same])


def texts_strategy():
    # Few words: duplicates and ties are common; "?" is unknown, so its vector is zero.
    return st.lists(st.sampled_from(["w1", "w2", "w1 w2", "w2 w1", "w3 w4", "w5", "?"]), min_size=1, max_size=25)


@settings(max_examples=25)
@given(texts=texts_strategy(), kind=st.sampled_from(KINDS), k=st.integers(1, 40), rerank=st.sampled_from([16, 32]))
def test_all_candidates_equal_the_naive_search_on_adversarial_texts(tmp_path_factory, texts, kind, k, rerank):
    with make_index(tmp_path_factory.mktemp("i"), texts, shortlist=kind, dims=8) as index:
        queries = index.encoder.encode_queries([*texts[:3], "?", "w1 w9"])
        options = SearchOptions(k=k, candidates=max(k, len(texts)), rerank_dims=rerank)
        assert_same(index, queries, options, k)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k", [1, 10, 600])
def test_all_candidates_equal_the_naive_search_on_random_texts(tmp_path, kind, k):
    with make_index(tmp_path, make_texts(500), shortlist=kind) as index:
        queries = index.encoder.encode_queries(make_texts(20, seed=5))
        assert_same(index, queries, SearchOptions(k=k, candidates=max(k, 500)), k)


@pytest.mark.parametrize("dims", [8, 20, DIMENSION])
def test_a_single_exact_search_equals_the_naive_one(index, dims):
    queries = index.encoder.encode_queries(make_texts(20, seed=6))
    assert_same(index, queries, SearchOptions(dims=dims, rerank_dims=dims), 10)


def test_equal_scores_come_in_the_order_of_the_corpus(tmp_path):
    with make_index(tmp_path, ["w1"] * 40 + ["w2"] * 5) as index:
        for options in (SearchOptions(k=10), SearchOptions(k=10, dims=32)):
            assert [hit.id for hit in index.search(["w1"], options).hits[0]] == [str(i) for i in range(10)]


def test_the_shortlist_keeps_nearly_all_of_the_exact_answer(index):
    queries = make_texts(50, seed=7)
    exact = index.search(queries, SearchOptions(dims=DIMENSION)).hits
    short = index.search(queries, SearchOptions(candidates=100)).hits
    shared = [len({a.id for a in one} & {b.id for b in other}) / 10 for one, other in zip(exact, short, strict=True)]
    assert np.mean(shared) > 0.95


def test_a_batch_gives_what_single_queries_give(index):
    queries = make_texts(9, seed=8)
    together = index.search(queries).hits
    assert together == [index.search([query]).hits[0] for query in queries]


def test_many_threads_give_what_one_gives(index):
    queries = make_texts(200, seed=9)
    serial = [index.search([query]).hits[0] for query in queries]
    barrier = threading.Barrier(8)

    def part(number):
        barrier.wait()
        return [(i, index.search([queries[i]]).hits[0]) for i in range(number, len(queries), 8)]

    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(part, range(8)):
            for i, hits in found:
                assert hits == serial[i]


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_corpus_can_be_searched(tmp_path, kind):
    with make_index(tmp_path, [], shortlist=kind) as index:
        assert index.search(["w1", "w2"]).hits == [[], []]
        assert index.search_vectors(np.ones((1, DIMENSION))).hits == [[]]


@pytest.mark.parametrize("kind", KINDS)
def test_one_document_and_a_larger_k(tmp_path, kind):
    with make_index(tmp_path, ["w1 w2"], shortlist=kind) as index:
        (hit,) = index.search(["w1 w2"], SearchOptions(k=5)).hits[0]
        assert (hit.id, hit.payload) == ("0", {"text": "w1 w2"})
        assert hit.score == pytest.approx(1, abs=1e-3)


def test_k_results_come_even_where_the_structure_finds_fewer(index, monkeypatch):
    queries = make_texts(3, seed=3)
    exact = index.search(queries, SearchOptions(dims=16, candidates=1000)).hits
    monkeypatch.setattr(index.shortlist, "search", lambda prefixes, *_: np.full((len(prefixes), 500), -1, np.int64))
    starved = index.search(queries, SearchOptions(dims=16, candidates=500))
    assert starved.plan.structure == "hnsw"
    assert [len(hits) for hits in starved.hits] == [10, 10, 10]
    assert starved.hits == exact


def test_query_vectors_may_have_any_scale(index):
    queries = index.encoder.encode_queries(make_texts(3, seed=4))
    expected = index.search_vectors(queries).hits
    for scale in (1e-30, 1e30):
        found = index.search_vectors(queries.astype(np.float64) * scale).hits
        assert [[hit.id for hit in hits] for hits in found] == [[hit.id for hit in hits] for hits in expected]


def test_stages_tell_sizes_counts_and_times(index):
    result = index.search(["w1 w2"], SearchOptions(k=3, dims=16, candidates=50, rerank_dims=24))
    assert [stage.name for stage in result.stages] == ["encode", "shortlist", "rerank", "documents"]
    encode, shortlist, rerank, documents = result.stages
    assert (shortlist.dims, shortlist.candidates_in, shortlist.candidates_out) == (16, 1000, 50)
    assert (rerank.dims, rerank.candidates_in, rerank.candidates_out) == (24, 50, 3)
    assert all(stage.milliseconds >= 0 for stage in result.stages)
    assert encode.dims == DIMENSION
    assert documents.dims is None
    scan = index.search(["w1 w2"], SearchOptions(dims=8)).stages[1]
    assert scan.structure == "scan"


def test_work_is_prefixes_times_size_plus_candidates_times_full_size(index):
    vectors = index.encoder.encode_queries(make_texts(4, seed=2))
    exact = index.plan(SearchOptions(dims=DIMENSION))
    scan = index.plan(SearchOptions(dims=8, candidates=100))
    assert index.work(vectors, exact) == 1000 * DIMENSION
    assert index.work(vectors, scan) == 1000 * 8 + 100 * DIMENSION
    graph = index.plan(SearchOptions(candidates=100))
    assert graph.structure == "hnsw"
    assert index.work(vectors, graph) < 1000 * graph.dims + 100 * DIMENSION


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.ones(DIMENSION), "query vectors of shape"),
        (np.ones((1, DIMENSION - 1)), r"shape \(1, 31\): the index has vectors of 32 dimensions"),
        (np.full((1, DIMENSION), np.nan), "holds NaN or infinity"),
        (np.full((1, DIMENSION), np.inf), "holds NaN or infinity"),
    ],
)
def test_impossible_query_vectors_are_refused(index, vectors, message):
    with pytest.raises(InvalidOptionError, match=message):
        index.search_vectors(vectors)


def test_a_query_that_is_not_unicode_is_refused(index):
    with pytest.raises(InvalidOptionError, match="not valid Unicode: surrogates not allowed at character 2"):
        index.search(["w1\ud800"])


def test_another_model_is_refused_with_both_named(index):
    with pytest.raises(ModelMismatchError, match=r"built with model 'tiny' .* the query encoder is 'other'"):
        Index.open(index.root, encoder=make_encoder(seed=3, name="other"))


def test_the_model_is_found_by_the_recorded_name_or_by_a_new_place(built, model_directory, tmp_path, encoder):
    with Index.open(built) as index:
        assert index.search(["w1 w2"]).hits[0]
        assert index.encoder.name == str(model_directory)
    moved = tmp_path / "moved"
    moved.symlink_to(model_directory)
    with Index.open(built, model=str(moved)) as index:
        assert index.search(["w1 w2"]).hits[0]


def test_searching_by_vector_needs_no_model(built, monkeypatch):
    monkeypatch.setattr("indexer.search.load_encoder", lambda *_, **__: pytest.fail("loaded"))
    with Index.open(built) as index:
        assert len(index.search_vectors(np.ones((1, DIMENSION))).hits[0]) == 10
