import numpy as np
import pytest

from indexer import Corpus, Fields, SearchOptions
from indexer.building.append import append_corpus
from indexer.progress import EncodingDocuments
from indexer.updates import Updates
from models import InvalidOptionError
from models.errors import DataError
from tests.conftest import DIMENSION, make_encoder, make_index, make_texts, write_lines

ENCODER = make_encoder()
EXACT = SearchOptions(dims=DIMENSION)


def test_a_corpus_is_appended_in_batches_and_its_broken_rows_are_reported(tmp_path):
    rows = [{"_id": str(i), "text": f"w{i} w7", "n": i} for i in range(40)]
    rows[11] = {"_id": "11"}
    rows[12] = {"_id": "3", "text": "w1"}
    corpus = Corpus([write_lines(tmp_path / "more.jsonl", rows)])
    with make_index(tmp_path, make_texts(20), ENCODER) as index:
        broken, events = [], []
        with Updates.open(index.root, encoder=ENCODER) as updates:
            arguments = {"batch_size": 8, "on_rejected": broken.append, "report": events.append}
            result = append_corpus(corpus, updates, **arguments)
            assert (result.added, result.replaced, result.rejected) == (20, 18, 2)
            assert [(row.line, row.problem[:12]) for row in broken] == [(12, "missing text"), (13, "duplicate id")]
            assert events[0] == EncodingDocuments(done=0, rejected=0)
            assert events[-1] == EncodingDocuments(done=40, rejected=2)
            assert len(index) == 40
            again = append_corpus(corpus, updates, batch_size=8)
            assert (again.added, again.replaced) == (0, 38)
        hit = index.search(["w30 w7"]).hits[0][0]
        assert (hit.id, hit.payload) == ("30", {"text": "w30 w7", "n": 30})


def test_appending_gives_what_a_build_gives(tmp_path):
    texts = make_texts(120)
    with make_index(tmp_path / "whole", texts, ENCODER) as whole, make_index(tmp_path, texts[:50], ENCODER) as index:
        lines = [{"_id": str(i), "text": text} for i, text in enumerate(texts) if i >= 50]
        with Updates.open(index.root, encoder=ENCODER) as updates:
            append_corpus(Corpus([write_lines(tmp_path / "more.jsonl", lines)]), updates)
        queries = make_texts(20, seed=8)
        assert index.search(queries, EXACT).hits == whole.search(queries, EXACT).hits


def test_rows_whose_vector_is_not_finite_are_rejected(tmp_path):
    encoder = make_encoder()
    with make_index(tmp_path, ["w1"], encoder) as index, Updates.open(index.root, encoder=encoder) as updates:
        encoder.table[5] = np.nan
        lines = [{"_id": "a", "text": "w5"}, {"_id": "b", "text": "w6"}]
        broken = []
        append_corpus(Corpus([write_lines(tmp_path / "m.jsonl", lines)]), updates, on_rejected=broken.append)
        assert [row.problem for row in broken] == ["the model gave NaN or infinity"]
        assert len(index) == 2


def test_a_corpus_without_a_document_is_an_error(tmp_path):
    corpus = Corpus([write_lines(tmp_path / "m.jsonl", [{"key": "a", "text": "w5"}])])
    with make_index(tmp_path, ["w1"], ENCODER) as index, Updates.open(index.root, encoder=ENCODER) as updates:
        with pytest.raises(DataError, match=r"none of the 1 rows is a document; the first: .*m.jsonl line 1: no field"):
            append_corpus(corpus, updates)
        with pytest.raises(InvalidOptionError, match="batch_size 0: give at least 1"):
            append_corpus(corpus, updates, batch_size=0)


def test_texts_are_stored_in_the_fields_of_the_index(tmp_path):
    more = write_lines(tmp_path / "more.jsonl", [{"_id": "new", "body": "w1 w2", "n": 1}])
    with make_index(tmp_path, make_texts(20), ENCODER) as index:
        with Updates.open(index.root, encoder=ENCODER) as updates:
            append_corpus(Corpus([more], Fields(text="body")), updates)
        assert index.get(["new"])["new"].payload == {"text": "w1 w2", "n": 1}


def test_a_row_that_the_index_cannot_store_is_rejected_by_line_and_the_rest_is_added(tmp_path):
    rows = [{"_id": str(i), "body": f"w{i}"} for i in range(30)]
    rows[20]["text"] = "another"
    more = write_lines(tmp_path / "more.jsonl", rows)
    with make_index(tmp_path, make_texts(5), ENCODER) as index, Updates.open(index.root, encoder=ENCODER) as updates:
        broken = []
        corpus = Corpus([more], Fields(text="body"))
        result = append_corpus(corpus, updates, batch_size=8, on_rejected=broken.append)
        assert (result.added + result.replaced, result.rejected) == (29, 1)
        assert [(row.line, row.problem[:40]) for row in broken] == [(21, "payload field 'text' holds 'another', th")]
