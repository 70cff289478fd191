import json
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from indexer import (
    BuildOptions,
    Corpus,
    Document,
    Fields,
    HybridOptions,
    Index,
    LexicalOptions,
    ModelMismatchError,
    SearchOptions,
    build_index,
)
from indexer.building.compact import compact_index
from indexer.errors import BundleBusyError, BundleCorruptError
from indexer.filters import parse_filter
from indexer.progress import ComputingChecksums
from indexer.search.results import StageClock
from indexer.storage.generations import Generations
from indexer.storage.journal import Journal
from indexer.storage.vectors import StoredVectors, encode
from indexer.updates import Updates, update_facts
from models import InvalidOptionError, truncate
from tests.conftest import DIMENSION, make_encoder, make_index, make_texts, write_lines

ENCODER = make_encoder()
EXACT = SearchOptions(dims=DIMENSION)


def document(identifier, text="w1 w2", **payload):
    return Document(identifier, text, payload)


def ids_of(index, query="w1 w2", options=EXACT):
    return [hit.id for hit in index.search([query], options).hits[0]]


class Naive:
    """Documents in a dictionary, in the order they were last written; searched by looking at each of them."""

    def __init__(self, texts, storage="float16"):
        self.documents = {str(i): (text, {"text": text}) for i, text in enumerate(texts)}
        self.storage = np.dtype(storage)

    def upsert(self, documents):
        replaced = 0
        for one in documents:
            replaced += self.documents.pop(one.id, None) is not None
            self.documents[one.id] = one.text, one.payload
        return len(documents) - replaced, replaced

    def delete(self, ids):
        return sum(self.documents.pop(one, None) is not None for one in set(ids))

    def search(self, query, k, dims, condition=None):
        """Return (id, score, payload) of the best, scored as the index stores and scores them."""
        found = [
            (one, text, payload)
            for one, (text, payload) in self.documents.items()
            if condition is None or condition.matches(one, payload)
        ]
        vectors = StoredVectors(encode(ENCODER.encode_documents([text for _, text, _ in found]), self.storage))
        rows = np.arange(len(found))[None]
        scores = vectors.scores(truncate(ENCODER.encode_queries([query]), dims), rows, dims)[0].tolist()
        best = sorted(range(len(found)), key=lambda row: (-scores[row], row))[:k]
        return [(found[row][0], scores[row], found[row][2]) for row in best]


# Few words: equal texts and equal scores are common; "?" is unknown, so its vector is zero.
TEXTS = st.sampled_from(["w1", "w2", "w1 w2", "w2 w1", "w3 w4", "w5 w1", "w6", "?"])
IDS = st.sampled_from([*map(str, range(12)), *"abcdefgh"])
DOCUMENTS = st.lists(
    st.builds(lambda i, text, n: Document(i, text, {"text": text, "n": n}), IDS, TEXTS, st.integers(0, 3)),
    unique_by=lambda one: one.id,
    max_size=8,
)


class Updating(RuleBasedStateMachine):
    """Whatever is done to an index, and by whatever handle, it answers as the dictionary does."""

    folder = None

    @initialize(
        texts=st.lists(TEXTS, max_size=12),
        storage=st.sampled_from(["float32", "float16", "int8"]),
        kind=st.sampled_from(["flat", "hnsw"]),
    )
    def build(self, texts, storage, kind):
        self.naive, self.kind = Naive(texts, storage), kind
        # Over all dimensions, so that the structure itself gives the exact answer.
        self.index = make_index(
            self.folder.mktemp("index"),
            texts,
            ENCODER,
            vectors=storage,
            shortlist=kind,
            dims=DIMENSION,
            calibration=None,
        )
        self.other = Updates.open(self.index.root, encoder=ENCODER)

    @rule(documents=DOCUMENTS, given_vectors=st.booleans())
    def upsert(self, documents, given_vectors):
        vectors = ENCODER.encode_documents([one.text for one in documents]) if documents and given_vectors else None
        writer = self.other.upsert_encoded if vectors is not None else self.index.upsert
        done = writer(documents, *([] if vectors is None else [vectors]))
        assert done == self.naive.upsert(documents)

    @rule(documents=DOCUMENTS)
    def upsert_by_another_handle(self, documents):
        assert self.other.upsert(documents) == self.naive.upsert(documents)

    @rule(ids=st.lists(IDS, max_size=10), by_other=st.booleans())
    def delete(self, ids, by_other):
        assert (self.other if by_other else self.index).delete(ids) == self.naive.delete(ids)

    @rule(keep=st.integers(1, 3))
    def compact(self, keep):
        compact_index(self.index.root, keep=keep)

    @rule()
    def reload(self):
        self.index.reload()

    @rule()
    def reopen(self):
        self.index.close()
        self.index = Index.open(self.index.root, encoder=ENCODER)

    @rule(keep=st.sampled_from([True, False]))
    def roll_back(self, keep):
        generations = Generations(self.index.root)
        if len(generations.complete()) > 1 and generations.published() != generations.complete()[0]:
            generations.rollback()
            if not keep:
                self.reopen()

    @rule(query=TEXTS, k=st.integers(1, 25), candidates=st.sampled_from([None, 3, 8]), dims=st.sampled_from([8, 32]))
    def search(self, query, k, candidates, dims):
        options = SearchOptions(k=k, candidates=candidates and max(k, candidates))
        if candidates is None:
            options = SearchOptions(k=k, dims=dims, rerank_dims=dims)
        hits = self.index.search([query], options).hits[0]
        found = [(hit.id, hit.score, hit.payload) for hit in hits]
        right = self.naive.search(query, len(self.naive.documents), options.rerank_dims or DIMENSION)
        if candidates is None or query != "?" or self.kind == "flat":
            assert found == right[:k]
        else:
            # To a zero vector all rows are alike: which of them a graph takes for candidates is its own affair.
            assert len({identifier for identifier, _, _ in found}) == len(found) == len(right[:k])
            assert all(one in right for one in found)

    @rule(query=TEXTS, k=st.integers(1, 25), n=st.integers(0, 4), text=TEXTS)
    def search_by_filter(self, query, k, n, text):
        condition = parse_filter({"$or": [{"n": {"$lt": n}}, {"text": text}]})
        hits = self.index.search([query], SearchOptions(k=k, filter=condition)).hits[0]
        assert [(hit.id, hit.score, hit.payload) for hit in hits] == self.naive.search(query, k, DIMENSION, condition)

    @invariant()
    def count(self):
        if hasattr(self, "index"):
            assert len(self.index) == len(self.naive.documents) == update_facts(self.index.root).documents

    def teardown(self):
        if hasattr(self, "index"):
            self.index.close()
            self.other.close()


@pytest.fixture(autouse=True)
def folder_for_the_machine(tmp_path_factory):
    Updating.folder = tmp_path_factory


TestUpdating = Updating.TestCase
TestUpdating.settings = settings(max_examples=12, stateful_step_count=25)


def test_an_update_is_found_at_once_and_by_whoever_opens_the_index(tmp_path):
    with make_index(tmp_path, make_texts(300), ENCODER) as index:
        assert index.upsert([document("new", "w7 w8", note="added"), document("5", "w7 w8 w9")]) == (1, 1)
        (hit, other, *_) = index.search(["w7 w8"]).hits[0]
        assert (hit.id, hit.payload, other.id) == ("new", {"text": "w7 w8", "note": "added"}, "5")
        assert hit.score == pytest.approx(1, abs=1e-3)
        assert len(index) == 301
        assert index.delete(["new", "7", "7", "nosuch"]) == 2
        assert ids_of(index, "w7 w8")[0] == "5"
        with Index.open(index.root, encoder=ENCODER) as again:
            assert again.search(["w7 w8"], EXACT).hits == index.search(["w7 w8"], EXACT).hits
            assert len(again) == 299


def test_another_writer_s_update_is_found_by_the_next_search(tmp_path):
    with make_index(tmp_path, make_texts(30), ENCODER) as index, Updates.open(index.root, encoder=ENCODER) as updates:
        for number in range(5):
            updates.upsert([document(f"new {number}", "w7 w8")])
            assert ids_of(index, "w7 w8")[: number + 1] == [f"new {i}" for i in range(number + 1)]
            updates.delete([f"new {number}"])
            assert f"new {number}" not in ids_of(index, "w7 w8", SearchOptions(k=50))
            updates.upsert([document(f"new {number}", "w7 w8")])


def test_vectors_may_be_given_and_have_any_scale(tmp_path):
    with make_index(tmp_path, make_texts(30), ENCODER) as index:
        vectors = ENCODER.encode_documents(["w3", "w4", "?"]).astype(np.float64)
        index.upsert([document("a", ""), document("b", ""), document("c", "")], vectors * [[1e-20], [1e20], [1]])
        assert ids_of(index, "w3")[0] == "a"
        assert index.search(["w4"]).hits[0][0].score == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("documents", "vectors", "message"),
    [
        ([document("a"), document("a")], None, "document 1 with id 'a': duplicate id"),
        ([document("a"), document("")], None, "document 1 with id '': the id is empty"),
        ([document("a", " ")], None, "document 0 with id 'a': it has no text; give text or its vector"),
        ([document("a\ud800")], None, "not valid Unicode: surrogates not allowed at character 1"),
        ([document("a", x=float("nan"))], None, "document 0 with id 'a': the payload holds what JSON cannot"),
        ([document("a", x={1, 2})], None, "the payload holds what JSON cannot: .* set is not JSON serializable"),
        ([document("a", x="\ud800")], None, "not valid Unicode"),
        ([document("a")], np.ones((2, DIMENSION)), r"vectors of shape \(2, 32\): \(1, 32\) is needed"),
        ([document("a")], np.ones((1, 8)), r"vectors of shape \(1, 8\)"),
        ([document("a"), document("b")], np.array([[1.0] * 32, [np.nan] * 32]), "vector of document 'b' holds NaN"),
        ([document("a")], np.full((1, 32), np.inf), "vector of document 'a' holds NaN or infinity"),
    ],
)
def test_what_cannot_be_taken_is_named_and_nothing_is_written(tmp_path, documents, vectors, message):
    with make_index(tmp_path, ["w1"], ENCODER) as index:
        with pytest.raises(InvalidOptionError, match=message):
            index.upsert(documents, vectors)
        assert len(index) == 1
        assert not (index.root / "journal" / "journal.sqlite").exists()


def test_a_document_the_model_gives_nan_for_is_refused(tmp_path):
    encoder = make_encoder()
    with make_index(tmp_path, ["w1"], encoder) as index:
        encoder.table[5] = np.nan
        with pytest.raises(InvalidOptionError, match="document 1 with id 'b': the model gave NaN or infinity"):
            index.upsert([document("a", "w1"), document("b", "w5")])
        assert len(index) == 1


def test_ids_to_delete_must_be_a_list_of_texts(tmp_path):
    with make_index(tmp_path, ["w1"], ENCODER) as index:
        with pytest.raises(InvalidOptionError, match=r"ids given as a single value .*: pass a list"):
            index.delete("abc")
        with pytest.raises(InvalidOptionError, match=r"ids \[1\]: give a list of texts"):
            index.delete([1])
        assert index.delete(["a\ud800"]) == 0
        assert index.delete([]) == 0


@pytest.mark.parametrize("kind", ["flat", "hnsw"])
@pytest.mark.parametrize("replaced", [1, 30, 250])
def test_k_results_come_where_all_that_is_near_was_deleted_or_replaced(tmp_path, kind, replaced):
    texts = [f"w1 w{i}" for i in range(2, 252)] + make_texts(250)
    naive = Naive(texts)
    with make_index(tmp_path, texts, ENCODER, shortlist=kind, dims=DIMENSION) as index:
        nearest = [one for one, *_ in naive.search("w1", replaced, DIMENSION)]
        assert index.delete(nearest[1:]) == naive.delete(nearest[1:])
        changed = [document(nearest[0], "w299")]
        assert index.upsert(changed) == naive.upsert(changed)
        result = index.search(["w1", "w2"], SearchOptions(k=10, candidates=100))
        assert result.plan.structure == kind
        for query, hits in zip(["w1", "w2"], result.hits, strict=True):
            expected = naive.search(query, 10, DIMENSION)
            assert [(hit.id, hit.score) for hit in hits] == [(one, score) for one, score, _ in expected]


def test_all_documents_may_be_deleted_and_others_added(tmp_path):
    with make_index(tmp_path, make_texts(50), ENCODER) as index:
        assert index.delete([str(i) for i in range(50)]) == 50
        assert (len(index), ids_of(index)) == (0, [])
        index.upsert([document("a")])
        assert ids_of(index) == ["a"]
        assert index.search(["w1"], SearchOptions(filter=parse_filter({"x": 1}))).hits == [[]]


def test_many_updates_are_found_exactly(tmp_path):
    texts = make_texts(6000, seed=3)
    with make_index(tmp_path, texts[:20], ENCODER) as index, make_index(tmp_path / "whole", texts, ENCODER) as whole:
        index.upsert([Document(str(i), text, {"text": text}) for i, text in enumerate(texts) if i >= 20])
        queries = make_texts(20, seed=4)
        exact = whole.search(queries, EXACT).hits
        assert index.search(queries, SearchOptions(candidates=20)).hits == exact
        assert [index.search([query], SearchOptions(candidates=20)).hits[0] for query in queries] == exact


def test_stages_tell_of_updates_and_filters(tmp_path):
    with make_index(tmp_path, make_texts(100), ENCODER) as index:
        index.upsert([document("a", "w1", n=1), document("b", "w1", n=2), document("3", "w1", n=1)])
        result = index.search(["w1"], SearchOptions(k=5, filter=parse_filter({"n": 1})))
        assert [stage.name for stage in result.stages] == ["encode", "filter", "updates", "documents"]
        assert (result.stages[1].candidates_in, result.stages[1].candidates_out) == (102, 2)
        updates = index.search(["w1"], SearchOptions(k=5)).stages[-2]
        assert (updates.name, updates.dims, updates.candidates_in, updates.structure) == ("updates", 32, 3, "scan")
        assert [hit.id for hit in result.hits[0]] == ["a", "3"]


def test_a_filter_found_before_is_not_evaluated_again(tmp_path, monkeypatch):
    with make_index(tmp_path, make_texts(100), ENCODER) as index:
        asked = []
        matching = index.opened.documents.matching
        monkeypatch.setattr(index.opened.documents, "matching", lambda one: asked.append(one) or matching(one))
        options = SearchOptions(k=200, filter=parse_filter({"n": {"$exists": True}}))
        for number in range(3):
            index.upsert([document(f"new {number}", n=number)])
            assert len(index.search(["w1"], options).hits[0]) == number + 1
        assert len(asked) == 1


def test_memory_does_not_grow_with_updates_of_the_same_documents(tmp_path, monkeypatch):
    monkeypatch.setattr("indexer.search.delta.PAGE", 16)
    with make_index(tmp_path, make_texts(20), ENCODER) as index:
        for number in range(60):
            index.upsert([document("a", f"w{number}", n=number), document("b", "w1 w2")])
            assert len(index.view.delta.vectors) <= 2 * (2 + 16) + 2
            condition = parse_filter({"n": number})
            assert ids_of(index, f"w{number}", SearchOptions(filter=condition)) == ["a"]
        assert len(index) == 22


def test_a_search_goes_on_with_the_state_it_began_with(tmp_path):
    with make_index(tmp_path, make_texts(50), ENCODER) as index:
        index.upsert([document("a", "w1")])
        view, plan = index.view, index.plan(SearchOptions(k=60))
        vectors = ENCODER.encode_queries(["w1"])
        before = [array.copy() for array in index.rank(vectors, plan)]
        index.upsert([document(str(i), "w2") for i in range(200)])
        index.delete(["a"])
        scores, rows = view.rank(vectors, plan, None, StageClock(), 1)
        np.testing.assert_array_equal(scores, before[0])
        np.testing.assert_array_equal(rows, before[1])
        assert view.fetch([int(rows[0, 0])])[0].id == "a"


def test_searches_from_many_threads_during_updates_and_compaction(tmp_path):
    texts = make_texts(200)
    with make_index(tmp_path, texts, ENCODER, shortlist="hnsw", calibration=None) as index:
        acknowledged, ended = 0, threading.Event()
        query = ENCODER.encode_queries(["w1 w2"])
        index.upsert([document("counter", "w1 w2", n=0)])

        def search():
            rounds = 0
            while not ended.is_set() or not rounds:
                least = acknowledged
                hits = index.search_vectors(query, SearchOptions(k=300)).hits[0]
                assert sorted(hit.id for hit in hits) == expected
                assert next(hit.payload["n"] for hit in hits if hit.id == "counter") >= least
                rounds += 1
            return rounds

        expected = sorted([*map(str, range(200)), "counter"])
        with ThreadPoolExecutor(3) as pool:
            searches = [pool.submit(search) for _ in range(3)]
            for number in range(1, 31):
                changed = [document(str(number * 5 + i), texts[i]) for i in range(5)]
                index.upsert([document("counter", "w1 w2", n=number), *changed])
                acknowledged = number
                if number % 10 == 0:
                    compact_index(index.root, keep=2)
                    assert index.reload()
            ended.set()
            assert all(one.result() > 0 for one in searches)


def test_writers_in_many_threads_lose_nothing(tmp_path):
    with make_index(tmp_path, make_texts(20), ENCODER) as index:
        with ThreadPoolExecutor(4) as pool:
            done = list(pool.map(lambda i: index.upsert([document(f"new {i % 20}", "w1 w2")]), range(40)))
        assert (sum(one.added for one in done), sum(one.replaced for one in done)) == (20, 20)
        assert len(index) == 40


def test_a_build_by_another_model_ends_updates_by_the_old_one(tmp_path):
    with make_index(tmp_path, make_texts(20), ENCODER) as index:
        index.upsert([document("a")])
        build_index(Corpus([tmp_path / "corpus.jsonl"]), make_encoder(seed=9), index.root, BuildOptions(dims=16))
        with pytest.raises(ModelMismatchError, match=r"was rebuilt with model 'tiny' .*: open it again"):
            index.upsert([document("b")])
        with pytest.raises(ModelMismatchError, match="open it again"):
            index.delete(["a"])
        assert ids_of(index)[0] == "a"
    # What the other model's generation began with, and what came of this one after, are told apart.
    generations = Generations(index.root)
    with Index.open(index.root, encoder=make_encoder(seed=9)) as other:
        other.upsert([document("c")])
        assert len(other) == 21
        generations.rollback()
        facts = update_facts(index.root)
        assert (facts.documents, facts.upserts, facts.by_other_models) == (21, 1, 1)
    with Index.open(index.root, encoder=ENCODER) as index:
        assert ids_of(index)[0] == "a"
        assert "c" not in ids_of(index, options=SearchOptions(k=30))


@pytest.mark.parametrize("storage", ["float32", "float16", "int8"])
def test_updates_before_a_build_that_stores_vectors_in_another_way_do_not_apply_but_later_ones_are_converted(
    tmp_path, storage
):
    with make_index(tmp_path, make_texts(20), ENCODER, vectors="float32") as index:
        index.upsert([document("before")])
        corpus = Corpus([tmp_path / "corpus.jsonl"])

        def report(event):
            if isinstance(event, ComputingChecksums):
                index.upsert([document("during", "w5 w6")])

        build_index(corpus, ENCODER, index.root, BuildOptions(dims=16, vectors=storage), report=report)
        assert index.reload()
        assert len(index) == 21
        assert ids_of(index, "w5 w6")[0] == "during"
        assert index.search(["w5 w6"], EXACT).hits[0][0].score == pytest.approx(1, abs=1e-2)
        assert "before" not in ids_of(index, options=SearchOptions(k=30))


def test_rollback_keeps_updates(tmp_path):
    with make_index(tmp_path, make_texts(20), ENCODER) as index:
        index.upsert([document("first", "w1 w2")])
        compact_index(index.root)
        index.upsert([document("second", "w1 w2 w1")])
        Generations(index.root).rollback()
        assert index.generation == "000001"
        assert not index.reload()
        assert ids_of(index)[:2] == ["first", "second"]
        with Index.open(index.root, encoder=ENCODER) as again:
            assert again.generation == "000001"
            assert again.search(["w1 w2"]).hits == index.search(["w1 w2"]).hits


def test_facts_without_updates(tmp_path):
    with make_index(tmp_path, make_texts(20), ENCODER) as index:
        assert update_facts(index.root) == (20, 0, 0, 0, 0)
        index.upsert([document("a"), document("1")])
        index.upsert([document("a")])
        index.delete(["a", "2"])
        facts = update_facts(index.root)
        assert facts[:4] == (19, 3, 2, 0)
        assert facts.size_bytes > 0


def test_a_vector_of_the_wrong_length_in_the_journal_is_told(tmp_path):
    import sqlite3

    with make_index(tmp_path, make_texts(20), ENCODER) as index:
        index.upsert([document("a")])
    connection = sqlite3.connect(index.root / "journal" / "journal.sqlite")
    with connection:
        connection.execute("UPDATE operations SET vector = ?, checksum = NULL", (b"abc",))
    connection.close()
    with pytest.raises(BundleCorruptError, match="the journal has a vector of 3 bytes for 32 dimensions"):
        Index.open(index.root, encoder=ENCODER)


def test_a_payload_comes_back_as_it_was_given(tmp_path):
    payload = {"title": "é\u2028", "text": "w9", "n": 2**70, "x": 0.1, "deep": {"list": [1, None, True]}, "nul": "a\0b"}
    with make_index(tmp_path, ["w1"], ENCODER) as index:
        index.upsert([Document("a", "w9", payload)])
        hit = index.search(["w9"]).hits[0][0]
        assert json.dumps(hit.payload) == json.dumps(payload)
        hit.payload.clear()
        assert index.search(["w9"]).hits[0][0].payload == payload
        compact_index(index.root)
        index.reload()
        assert index.search(["w9"]).hits[0][0].payload == payload


def test_the_text_of_a_document_is_found_by_words_and_comes_back(tmp_path):
    hybrid = SearchOptions(k=2, hybrid=HybridOptions())
    stored = {"title": "Tides", "text": "The tide rises twice a day.", "year": 2020}
    with make_index(tmp_path, ["w1 w2", "w3"], ENCODER, lexical=LexicalOptions()) as index:
        index.upsert([Document("4", "The tide rises twice a day.", {"year": 2020}, title="Tides")])
        for _ in range(2):  # from the journal, and from the next generation
            for word in ("tide", "tides"):
                hit = index.search([word], hybrid).hits[0][0]
                assert (hit.id, hit.payload) == ("4", stored)
            assert index.get(["4"])["4"].payload == stored
            compact_index(index.root)
            index.reload()


def test_a_document_is_stored_under_the_field_names_of_the_corpus(tmp_path):
    corpus = Corpus([write_lines(tmp_path / "c.jsonl", [{"_id": "a", "about": "w1"}])], Fields(text="about"))
    build_index(corpus, ENCODER, tmp_path / "index", BuildOptions(lexical=LexicalOptions()))
    with Index.open(tmp_path / "index", encoder=ENCODER) as index:
        index.upsert([Document("b", "tide")])
        hit = index.search(["tide"], SearchOptions(k=1, hybrid=HybridOptions())).hits[0][0]
        assert (hit.id, hit.payload) == ("b", {"about": "tide"})
    with Updates.open(tmp_path / "index", encoder=ENCODER) as updates:
        (put,) = updates.put([Document("c", "tide", {"about": "other"})])
        assert (put.result, put.reason[:33]) == ("rejected", "payload field 'about' holds 'othe")


def test_updates_read_before_an_error_are_shown_once_it_is_over(tmp_path, monkeypatch):
    with make_index(tmp_path, ["w1"], ENCODER) as index, Updates.open(index.root, encoder=ENCODER) as updates:
        updates.upsert([document("a")])
        pages = Journal.pages

        def broken(journal, after, until=None):
            yield next(pages(journal, after, until))
            raise BundleBusyError("others have been writing")

        with monkeypatch.context() as patched:
            patched.setattr(Journal, "pages", broken)
            with pytest.raises(BundleBusyError, match="others have been writing"):
                index.search(["w1"])
        assert len(index) == 2


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (Document("q", "moon", None), "payload is None: give a dict"),
        (Document("q", "moon", [1]), r"payload is \[1\]: give a dict"),
        (Document("q", None), "text is None: give a str"),
        (Document(5, "moon"), "id is 5: give a str"),
    ],
)
def test_a_document_of_another_type_is_refused_by_name_and_put_stores_the_rest(tmp_path, document, message):
    with make_index(tmp_path, make_texts(5), make_encoder()) as index:
        with pytest.raises(InvalidOptionError, match=message):
            index.upsert([document])
        put = index.put([document, Document("good", "w1")])
        assert [done.result for done in put] == ["rejected", "added"]


def test_iterators_are_taken_as_lists(tmp_path):
    with make_index(tmp_path, make_texts(5), make_encoder()) as index:
        assert len(index.search(text for text in ["w1", "w2"]).hits) == 2
        assert index.get(name for name in ["1"]).keys() == {"1"}
        assert index.delete(name for name in ["1"]) == 1
