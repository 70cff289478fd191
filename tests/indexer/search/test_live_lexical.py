import numpy as np
import pytest

from indexer import BuildOptions, Corpus, Document, Fields, Generations, Index, LexicalOptions, build_index
from indexer.building.compact import compact_index
from tests.conftest import make_index, write_lines
from tests.indexer.lexical.samples import ENCODER, LEXICAL, TEXTS, naive, scores_of


def document(identifier, text, **payload):
    return Document(identifier, text, {"text": text, **payload})


def test_fields_of_a_corpus_with_other_names(tmp_path):
    rows = [{"_id": "1", "the.text": "w1 w2", "other": "w3"}]
    corpus = Corpus([write_lines(tmp_path / "c.jsonl", rows)], Fields(text="the.text"))
    build_index(corpus, ENCODER, tmp_path / "index", BuildOptions(dims=16, lexical=LEXICAL))
    with Index.open(tmp_path / "index", encoder=ENCODER) as index:
        assert index.manifest.lexical.fields == ("title", "the\\.text")
        assert scores_of(index, "w1").keys() == {"1"}
        assert scores_of(index, "w3") == {}


def test_updates_are_found_and_what_they_hide_is_not(tmp_path):
    with make_index(tmp_path, TEXTS, ENCODER, lexical=LEXICAL) as index:
        query = f"{TEXTS[3]} {TEXTS[4]} fresh fresh"
        index.upsert([document("3", "fresh w1"), document("new", "fresh words fresh"), document("gone", "fresh")])
        index.delete(["4", "gone"])
        texts = {str(i): text for i, text in enumerate(TEXTS) if i not in (3, 4)}
        texts |= {"3": "fresh w1", "new": "fresh words fresh"}
        expected = dict(zip(texts, naive(query, texts.values(), TEXTS), strict=True))
        assert scores_of(index, query) == pytest.approx(
            {key: value for key, value in expected.items() if value}, rel=1e-5
        )

        # Another state sees what comes; the one before does not.
        before = index.view
        index.upsert([document("later", "fresh")])
        assert "later" in scores_of(index, "fresh")
        assert len(before.lexical.scores("fresh", before.delta, None)) == len(before.ids())
        assert np.count_nonzero(before.lexical.scores("fresh", before.delta, None)) == 2


def test_filters_hold_for_old_and_new_documents(tmp_path):
    rows = [{"_id": str(i), "text": "w1 w2", "n": i} for i in range(10)]
    corpus = Corpus([write_lines(tmp_path / "c.jsonl", rows)])
    build_index(corpus, ENCODER, tmp_path / "index", BuildOptions(dims=16, lexical=LEXICAL))
    with Index.open(tmp_path / "index", encoder=ENCODER) as index:
        index.upsert([document("10", "w1", n=10), document("11", "w1", n=2)])
        index.delete(["1"])
        assert scores_of(index, "w1", {"n": {"$lt": 3}}).keys() == {"0", "2", "11"}
        assert scores_of(index, "w1", {"n": {"$gte": 9}}).keys() == {"9", "10"}


def test_a_compaction_and_a_rollback_carry_it_along(tmp_path):
    with make_index(tmp_path, TEXTS, ENCODER, lexical=LexicalOptions(language="english")) as index:
        index.upsert([document("new", "fresh w1 w2")])
        index.delete(["0", "1"])
        ids = scores_of(index, "fresh w1 w2").keys()
        compact_index(index.root)
        assert index.reload()
        assert index.view.delta.untouched
        assert scores_of(index, "fresh w1 w2").keys() == ids
        assert index.manifest.lexical.language == "english"
        assert index.manifest.differing_files(index.opened.path) == []
        texts = [document.payload["text"] for document in index.view.fetch(range(len(index)))]
        query = "fresh w1"
        expected = [score for score in naive(query, texts, texts) if score]
        assert sorted(scores_of(index, query).values()) == pytest.approx(sorted(expected), rel=1e-5)
        Generations(index.root).rollback()
        assert index.reload()
        assert scores_of(index, "fresh w1 w2").keys() == ids


def test_everything_may_have_been_deleted_before_a_compaction(tmp_path):
    with make_index(tmp_path, TEXTS[:5], ENCODER, lexical=LEXICAL) as index:
        index.delete([str(i) for i in range(5)])
        compact_index(index.root)
        index.reload()
        assert scores_of(index, "w1") == {}
        index.upsert([document("a", "w1 w1"), document("b", "w1 w2")])
        found = scores_of(index, "w1")
        assert found["a"] > found["b"] > 0


def test_reused_row_numbers_do_not_mix_up_documents(tmp_path, monkeypatch):
    monkeypatch.setattr("indexer.search.delta.PAGE", 1)
    with make_index(tmp_path, TEXTS[:5], ENCODER, lexical=LEXICAL) as index:
        for i in range(8):
            index.upsert([document("same", f"fresh{i}"), document(f"other {i % 2}", f"other{i}")])
            assert scores_of(index, f"fresh{i}").keys() == {"same"}
            assert scores_of(index, f"fresh{i - 1}") == {}
            assert scores_of(index, f"other{i}").keys() == {f"other {i % 2}"}
