import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer import (
    BuildOptions,
    Corpus,
    Document,
    HybridOptions,
    Index,
    LexicalOptions,
    ModelMismatchError,
    SearchOptions,
    SecondLook,
    Updates,
    build_index,
)
from indexer.building.compact import compact_index
from indexer.calibration import calibrate_index
from indexer.filters import parse_filter
from indexer.shortlist import KINDS, shortlist_type
from indexer.shortlist.base import Candidates
from indexer.watch import WatchOptions
from models import InvalidOptionError, truncate
from tests.conftest import DIMENSION, make_encoder, make_index, make_texts, write_lines
from tests.indexer.encoders import ByColour, png

RUN_HERE = [kind for kind in KINDS if shortlist_type(kind).unavailable() is None]


def naive(index, queries, k, rerank_dims):
    """Rank all stored rows by the cosine at ``rerank_dims`` in double precision."""
    rows = np.load(index.opened.path / "vectors.npy").astype(np.float64)[:, :rerank_dims]
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
@given(texts=texts_strategy(), kind=st.sampled_from(RUN_HERE), k=st.integers(1, 40), rerank=st.sampled_from([16, 32]))
def test_all_candidates_equal_the_naive_search_on_adversarial_texts(tmp_path_factory, texts, kind, k, rerank):
    with make_index(tmp_path_factory.mktemp("i"), texts, shortlist=kind, dims=8, calibration=None) as index:
        queries = index.encoder.encode_queries([*texts[:3], "?", "w1 w9"])
        options = SearchOptions(k=k, candidates=max(k, len(texts)), rerank_dims=rerank)
        assert_same(index, queries, options, k)


@pytest.mark.parametrize("kind", RUN_HERE)
@pytest.mark.parametrize("k", [1, 10, 600])
def test_all_candidates_equal_the_naive_search_on_random_texts(tmp_path, kind, k):
    with make_index(tmp_path, make_texts(500), shortlist=kind, calibration=None) as index:
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
    shared = [
        len({hit.id for hit in right} & {hit.id for hit in found}) / 10
        for right, found in zip(exact, short, strict=True)
    ]
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


@pytest.mark.parametrize("kind", RUN_HERE)
def test_an_empty_corpus_can_be_searched(tmp_path, kind):
    with make_index(tmp_path, [], shortlist=kind) as index:
        assert index.search(["w1", "w2"]).hits == [[], []]
        assert index.search_vectors(np.ones((1, DIMENSION))).hits == [[]]


@pytest.mark.parametrize("kind", RUN_HERE)
def test_one_document_and_a_larger_k(tmp_path, kind):
    with make_index(tmp_path, ["w1 w2"], shortlist=kind) as index:
        (hit,) = index.search(["w1 w2"], SearchOptions(k=5)).hits[0]
        assert (hit.id, hit.payload) == ("0", {"text": "w1 w2"})
        assert hit.score == pytest.approx(1, abs=1e-3)


def test_k_results_come_even_where_the_structure_finds_fewer(built_by, monkeypatch):
    index = built_by("hnsw")
    queries = make_texts(3, seed=3)
    exact = index.search(queries, SearchOptions(dims=16, candidates=1000)).hits
    nothing = Candidates(np.full((3, 500), -np.inf, np.float32), np.full((3, 500), -1, np.int64))
    monkeypatch.setattr(index.opened.shortlist, "search", lambda *_: nothing)
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


def test_work_is_prefixes_times_size_plus_candidates_times_full_size(built_by):
    index = built_by("hnsw")
    vectors = index.encoder.encode_queries(make_texts(4, seed=2))
    exact = index.plan(SearchOptions(dims=DIMENSION))
    scan = index.plan(SearchOptions(dims=8, candidates=100))
    assert index.multiply_adds(vectors, exact) == 1000 * DIMENSION
    assert index.multiply_adds(vectors, scan) == 1000 * 8 + 100 * DIMENSION
    graph = index.plan(SearchOptions(candidates=100))
    assert graph.structure == "hnsw"
    assert index.multiply_adds(vectors, graph) < 1000 * graph.dims + 100 * DIMENSION


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
    monkeypatch.setattr("indexer.storage.recorded_model.load_encoder", lambda *_, **__: pytest.fail("loaded"))
    with Index.open(built) as index:
        assert len(index.search_vectors(np.ones((1, DIMENSION))).hits[0]) == 10


@pytest.mark.parametrize("kind", ["flat", "hnsw"])
@pytest.mark.parametrize("least", [0, 1, 500, 900, 995, 999, 1000])
def test_a_filter_leaves_only_what_matches_and_k_results_where_k_match(built_by, kind, least):
    index = built_by(kind)
    queries = make_texts(5, seed=4)
    condition = parse_filter({"n": {"$gte": least}})
    exact = index.search(queries, SearchOptions(k=1000, dims=DIMENSION)).hits
    result = index.search(queries, SearchOptions(k=10, dims=DIMENSION, filter=condition))
    assert result.hits == [[hit for hit in hits if hit.payload["n"] >= least][:10] for hits in exact]
    stage = result.stages[1]
    assert (stage.name, stage.candidates_in, stage.candidates_out) == ("filter", 1000, 1000 - least)
    found = index.search(queries, SearchOptions(k=10, candidates=100, filter=condition)).hits
    assert [len(hits) for hits in found] == [min(10, 1000 - least)] * 5
    assert all(hit.payload["n"] >= least for hits in found for hit in hits)


@pytest.fixture(scope="module")
def built_by(tmp_path_factory, texts):
    """Indexes with a field ``n``, by the kind of their structure."""
    opened = {}

    def make(kind):
        if kind not in opened:
            root = tmp_path_factory.mktemp(kind)
            rows = [{"_id": str(i), "text": text, "n": i} for i, text in enumerate(texts)]
            corpus = Corpus([write_lines(root / "corpus.jsonl", rows)])
            build_index(corpus, make_encoder(), root / "index", BuildOptions(dims=16, shortlist=kind))
            opened[kind] = Index.open(root / "index", encoder=make_encoder())
        return opened[kind]

    yield make
    for index in opened.values():
        index.close()


def test_rank_finds_what_search_finds(built_by):
    index = built_by("hnsw")
    vectors = index.encoder.encode_queries(make_texts(3, seed=2))
    condition = parse_filter({"n": {"$lt": 300}})
    for options in (SearchOptions(), SearchOptions(filter=condition)):
        scores, rows = index.rank(vectors, index.plan(options), condition=options.filter)
        hits = index.search_vectors(vectors, options).hits
        assert [[hit.id for hit in found] for found in hits] == [[str(row) for row in line] for line in rows.tolist()]
        assert [[hit.score for hit in found] for found in hits] == scores.tolist()


def test_a_wanted_recall_takes_a_calibrated_plan_and_without_any_is_refused(tmp_path, index):
    plan = index.search(["w1"], SearchOptions(recall=0.9)).plan
    assert plan.promise.met
    assert plan.promise.recall_low >= 0.9
    explicit = index.search(["w1"], SearchOptions(candidates=100)).plan
    assert (explicit.promise, explicit.candidates) == (None, 100)
    with (
        make_index(tmp_path, ["w1"], calibration=None) as other,
        pytest.raises(InvalidOptionError, match="recall: the index has no calibrated plans; measure them with"),
    ):
        other.search(["w1"], SearchOptions(recall=0.9))


def test_searches_are_repeated_in_the_background_where_asked_for(index):
    with Index.open(index.root, encoder=index.encoder, watch=WatchOptions(share=1.0, budget=1.0)) as watched:
        watched.search(make_texts(20, seed=3), SearchOptions(candidates=100))
        assert watched.watch.wait(30)
        facts = watched.watch.facts()
    assert facts.sampled == 20


def test_reload_takes_up_plans_that_were_calibrated_meanwhile(tmp_path):
    with make_index(tmp_path, make_texts(50), calibration=None) as index:
        assert not index.reload()
        calibrate_index(index.root, encoder=index.encoder)
        assert not index.manifest.plans
        assert index.reload()
        assert index.manifest.plans
        assert not index.reload()


def test_an_index_that_goes_over_to_another_generation_closes_the_first_when_nobody_reads_it(tmp_path, monkeypatch):
    with make_index(tmp_path, make_texts(30)) as index:
        closed = []
        documents = index.opened.documents
        close = type(documents).close
        monkeypatch.setattr(type(documents), "close", lambda self: closed.append(self) or close(self))
        index.upsert([Document("a", "w1", {})])
        compact_index(index.root)
        closed.clear()
        view = index.view
        assert index.reload()
        assert documents not in closed
        assert view.fetch([0, 30])[1].id == "a"
        del view
        assert documents in closed
        assert index.search(["w1"]).hits[0][0].id == "a"


class TestASingleValueInsteadOfAList:
    """Python iterates over the letters of a text: ``search("moon")`` would search for m, o, o and n."""

    @pytest.mark.parametrize(
        ("call", "param"),
        [
            (lambda index: index.search("moon"), "query"),
            (lambda index: index.search(""), "query"),
            (lambda index: index.search_images("photo.png"), "image"),
            (lambda index: index.search_images(Path("photo.png")), "image"),
            (lambda index: index.search_images(b"\x89PNG"), "image"),
            (lambda index: index.get("12"), "ids"),
            (lambda index: index.delete("12"), "ids"),
            (lambda index: calibrate_index(index.root, "moon"), "queries"),
            (lambda index: BuildOptions(filterable="year"), "filterable"),
        ],
        ids=[
            "search",
            "search-empty",
            "images-str",
            "images-path",
            "images-bytes",
            "get",
            "delete",
            "calibrate",
            "filterable",
        ],
    )
    def test_it_is_refused(self, index, call, param):
        with pytest.raises(InvalidOptionError, match="pass a list") as caught:
            call(index)
        assert caught.value.param == param

    def test_lists_and_tuples_are_searched(self, index):
        assert index.search(("w1",)).hits == index.search(["w1"]).hits


def test_an_unknown_level_of_verification_is_refused(index):
    with pytest.raises(InvalidOptionError, match="verify 'some': allowed are sizes, loaded, all"):
        Index.open(index.root, verify="some")


def test_options_of_opening_are_keyword_only(index):
    with pytest.raises(TypeError, match="positional"):
        Index.open(index.root, index.encoder)
    with pytest.raises(TypeError, match="positional"):
        Index(index.root, index.encoder)


def test_a_path_may_be_a_text(index):
    with Index.open(str(index.root), encoder=index.encoder) as opened, Index(str(index.root)) as constructed:
        assert opened.root == constructed.root == index.root


def test_a_second_look_counts_in_multiply_adds(built_by):
    index = built_by("hnsw")
    vectors = index.encoder.encode_queries(make_texts(4, seed=2))
    once, never, always = (
        index.multiply_adds(vectors, index.plan(SearchOptions(candidates=50, effort=50, second_look=look)))
        for look in (None, SecondLook(below=-2, effort=200), SecondLook(below=2, effort=200))
    )
    assert once == never < always


class TestDocuments:
    """Written and read through the index itself."""

    @pytest.fixture
    def own(self, tmp_path):
        with make_index(tmp_path, ["w1", "w2", "w3"], calibration=None) as index:
            yield index

    def test_get_gives_documents_as_they_are_now(self, own):
        own.upsert([Document("1", "w9"), Document("new", "w8")])
        assert own.delete(["2"]) == 1
        found = own.get(["new", "0", "1", "2", "no such", "0"])
        assert {key: document.payload["text"] for key, document in found.items()} == {
            "new": "w8",
            "0": "w1",
            "1": "w9",
        }
        assert own.get([]) == {}

    def test_put_reports_on_each_document(self, own):
        outcomes = own.put([Document("1", "w9"), Document("empty", " "), Document("new", "w8")])
        assert [outcome.result for outcome in outcomes] == ["replaced", "rejected", "added"]
        assert len(own) == 4

    def test_updates_of_others_are_applied_by_refresh(self, own):
        with Updates.open(own.root, encoder=own.encoder) as other:
            other.upsert([Document("new", "w8")])
        own.refresh()
        assert len(own) == 4

    def test_a_reload_moves_the_writer_to_the_new_model(self, own):
        own.upsert([Document("first", "w8")])
        other = make_encoder(seed=9)
        build_index(Corpus([own.root.parent / "corpus.jsonl"]), other, own.root, BuildOptions(calibration=None))
        vectors = other.encode_documents(["w8"])
        with pytest.raises(ModelMismatchError, match="open it again"):
            own.upsert([Document("second", "w8")], vectors)
        assert own.reload()
        assert own.upsert([Document("second", "w8")], vectors) == (1, 0)
        assert [hit.id for hit in own.search_vectors(vectors, SearchOptions(k=1)).hits[0]] == ["second"]


class TestImages:
    @pytest.fixture
    def pictures(self, tmp_path):
        with make_index(tmp_path / "pictures", ["w1", "w2"], calibration=None) as index:
            index.upsert([Document("red", "", {})], np.eye(1, DIMENSION, dtype=np.float32))
        with Index.open(index.root, encoder=ByColour()) as opened:
            yield opened

    def test_paths_texts_of_paths_and_bytes_are_searched(self, pictures, tmp_path):
        (tmp_path / "a.png").write_bytes(png(200))
        for image in (tmp_path / "a.png", str(tmp_path / "a.png"), png(200)):
            result = pictures.search_images([image], SearchOptions(k=1))
            assert [hit.id for hit in result.hits[0]] == ["red"]
        assert result.stages[0].name == "encode"

    def test_an_image_that_cannot_be_read_is_named(self, pictures, tmp_path):
        with pytest.raises(InvalidOptionError, match="image of 1 bytes: no image of a known kind") as caught:
            pictures.search_images([b"?"])
        assert caught.value.param == "image"

    def test_a_model_of_texts_cannot_search_by_image(self, index):
        with pytest.raises(InvalidOptionError, match="the index's model 'tiny' encodes no images: search by text"):
            index.search_images([png(1)])


class TestHybrid:
    def test_it_searches_by_vectors_and_words(self, tmp_path):
        with make_index(tmp_path, ["w1 w2", "w3 XQ-7"], lexical=LexicalOptions(), calibration=None) as index:
            (hits,) = index.search(["xq-7"], SearchOptions(k=1, hybrid=HybridOptions())).hits
            assert hits[0].id == "1"

    def test_vectors_and_images_have_no_words(self, index):
        options = SearchOptions(hybrid=HybridOptions())
        for search in (
            lambda: index.search_vectors(np.ones((1, DIMENSION)), options),
            lambda: index.search_images([png(1)], options),
        ):
            with pytest.raises(InvalidOptionError, match=r"hybrid search with .*search by text") as caught:
                search()
            assert caught.value.param == "hybrid"

    def test_an_index_without_words_is_refused_before_the_model_is_loaded(self, built, monkeypatch):
        monkeypatch.setattr("indexer.storage.recorded_model.load_encoder", lambda *_, **__: pytest.fail("loaded"))
        with Index.open(built) as index, pytest.raises(InvalidOptionError, match="has no lexical index"):
            index.search(["w1"], SearchOptions(hybrid=HybridOptions()))
