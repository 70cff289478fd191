import json
from datetime import date
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from indexer import Corpus, Fields
from indexer.corpus import Document, Place
from models import DataError, InvalidOptionError
from models.errors import RejectedRowError
from tests.conftest import write_lines


def read(path, fields=None):
    rows = list(Corpus([path], fields).rows())
    return [row.document for row in rows if row.document], [(row.line, row.problem) for row in rows if not row.document]


def test_title_and_text_are_joined_and_every_field_but_the_id_is_payload(tmp_path):
    row = {"_id": "a", "title": "T", "text": " body ", "year": 1999, "tags": ["x", None], "more": {"deep": 1.5}}
    documents, broken = read(write_lines(tmp_path / "corpus.jsonl", [row]))
    assert documents == [Document("a", "body", {key: value for key, value in row.items() if key != "_id"}, title="T")]
    assert documents[0].full_text == "T body"
    assert broken == []


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"_id": 7, "text": "t"}, "t"),
        ({"id": "7", "text": "t", "title": None}, "t"),
        ({"id": "7", "title": "only"}, "only"),
    ],
)
def test_ids_may_be_numbers_and_texts_may_be_titles(tmp_path, row, text):
    documents, _ = read(write_lines(tmp_path / "corpus.jsonl", [row]))
    assert (documents[0].id, documents[0].full_text) == ("7", text)


def test_other_field_names(tmp_path):
    path = tmp_path / "corpus.tsv"
    path.write_text("key\tname\tabout\nk\tN\tA\n")
    documents, _ = read(path, Fields(id="key", text="about", title="name"))
    assert documents == [Document("k", "A", {"name": "N", "about": "A"}, title="N")]
    assert documents[0].stored_payload("name", "about") == {"name": "N", "about": "A"}  # not stored twice
    assert documents[0].stored_payload("title", "text") == {"title": "N", "text": "A"}  # as the index has them


@pytest.mark.parametrize(
    ("document", "stored"),
    [
        (Document("a", "t", {"n": 1}, title="T"), {"title": "T", "text": "t", "n": 1}),
        (Document("a", "t", {"n": 1, "text": "t"}), {"n": 1, "text": "t"}),
        (Document("a", "t", {"text": None}), {"text": "t"}),
        (Document("a", " ", {"n": 1}), {"n": 1}),
        (Document("a", payload={"text": "of an image"}), {"text": "of an image"}),
    ],
)
def test_title_and_text_of_a_document_are_stored_in_its_payload_once(document, stored):
    before = dict(document.payload)
    assert list(document.stored_payload("title", "text").items()) == list(stored.items())
    assert document.payload == before


def test_the_names_of_title_and_text_in_the_payload_are_those_of_the_index():
    assert Document("a", "t", title="T").stored_payload("name", "about") == {"name": "T", "about": "t"}


def test_a_payload_with_another_title_or_text_is_rejected():
    with pytest.raises(RejectedRowError, match="payload field 'text' holds 'other', the document's text is 't': leave"):
        Document("a", "t", {"text": "other"}).stored_payload("title", "text")
    with pytest.raises(RejectedRowError, match="payload field 'name' holds 5, the document's title is 'T'"):
        Document("a", "t", {"name": 5}, title="T").stored_payload("name", "text")


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"text": "t"}, "no field '_id' or 'id'; the row has ['text']"),
        ({"_id": "", "text": "t"}, "id '' in field '_id' is not a text or an integer"),
        ({"_id": True, "text": "t"}, "id True in field '_id' is not"),
        ({"_id": 1.5, "text": "t"}, "id 1.5 in field '_id' is not"),
        ({"_id": "a", "text": "  "}, "missing text: fields 'text' and 'title' are absent or empty"),
        ({"_id": "a", "text": 5}, "field 'text' is not text but 5"),
        ({"_id": "a", "text": "\ud800"}, "field 'text' is not valid Unicode"),
        ({"_id": "\ud800", "text": "t"}, "field '_id' is not valid Unicode"),
        ({"_id": "a", "text": "t", "x": ["\ud800"]}, "field 'x' is not valid Unicode"),
        ({"_id": "a", "text": "t", "\ud800": 1}, r"field '\ud800' is not valid Unicode"),
        ({"_id": "a", "text": "t", "x": {"\ud800": 1}}, r"field '\ud800' is not valid Unicode"),
        ({"_id": "a", "text": "t", "x": json.loads("[" * 200 + "]" * 200)}, "field 'x' is nested more than 100 deep"),
    ],
)
def test_broken_rows_say_why_and_where(tmp_path, row, problem):
    path = write_lines(tmp_path / "corpus.jsonl", [{"_id": "ok", "text": "t"}, row])
    documents, broken = read(path)
    assert [document.id for document in documents] == ["ok"]
    assert broken[0][0] == 2
    assert problem in broken[0][1]


def test_parquet_values_become_json_or_are_refused(tmp_path):
    rows = [
        {"_id": "a", "text": "t", "when": date(2020, 1, 2), "price": Decimal("1.50"), "raw": None, "score": 1.0},
        {"_id": "b", "text": "t", "when": None, "price": None, "raw": b"x", "score": 1.0},
        {"_id": "c", "text": "t", "when": None, "price": None, "raw": None, "score": float("nan")},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "corpus.parquet")
    documents, broken = read(tmp_path / "corpus.parquet")
    assert documents[0].payload == {"text": "t", "when": "2020-01-02", "price": "1.50", "raw": None, "score": 1.0}
    assert broken == [
        (2, "field 'raw' holds a bytes, which JSON cannot hold"),
        (3, "field 'score' is nan, which JSON cannot hold"),
    ]


def test_a_folder_of_texts(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "b.txt").write_text("second ")
    (tmp_path / "sub" / "a.md").write_text("\ufefffirst")
    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "picture.png").write_bytes(b"no text")
    documents, broken = read(tmp_path)
    assert [(document.id, document.text) for document in documents] == [("b.txt", "second"), ("sub/a.md", "first")]
    assert [problem.split(":")[0] for _, problem in broken] == ["not UTF-8", "missing text"]


def test_a_beir_folder_is_its_corpus_alone(tmp_path):
    write_lines(tmp_path / "corpus.jsonl", [{"_id": "d", "text": "document"}])
    write_lines(tmp_path / "queries.jsonl", [{"_id": "q", "text": "query"}])
    assert [document.id for document in read(tmp_path)[0]] == ["d"]


def test_a_folder_of_row_files_in_order_each_file_once(tmp_path):
    for name in ("b", "a"):
        write_lines(tmp_path / f"{name}.jsonl", [{"_id": name, "text": "t"}])
    (tmp_path / "notes.txt").write_text("not a row file")
    corpus = Corpus([tmp_path, tmp_path / "a.jsonl"])
    assert [row.document.id for row in corpus.rows()] == ["a", "b"]
    assert corpus.estimated_rows() == 2


def test_reading_goes_on_from_any_place(tmp_path):
    write_lines(tmp_path / "a.jsonl", [{"_id": "a1", "text": "t"}, {"_id": "a2"}, {"_id": "a3", "text": "t"}])
    write_lines(tmp_path / "b.jsonl", [{"_id": "b1", "text": "t"}])
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "c.txt").write_text("c")
    corpus = Corpus([tmp_path / "a.jsonl", tmp_path / "b.jsonl", tmp_path / "texts"])
    rows = list(corpus.rows())
    assert len(rows) == 5
    for done in range(6):
        place = rows[done - 1].place if done else Place()
        assert list(corpus.rows(place)) == rows[done:]


def test_paths_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "a.xlsx").touch()
    (tmp_path / "nothing").mkdir()
    for path, message in (
        (tmp_path / "a.xlsx", "unknown kind; known are .jsonl"),
        (tmp_path / "gone", "no such file or folder"),
        (tmp_path / "nothing", "holds no file of a known kind"),
    ):
        with pytest.raises(DataError, match=message):
            Corpus([path])
    with pytest.raises(InvalidOptionError, match="no corpus given"):
        Corpus([])


def test_the_fingerprint_follows_the_files(tmp_path):
    path = write_lines(tmp_path / "corpus.jsonl", [{"_id": "a", "text": "t"}])
    before = Corpus([path]).fingerprint()
    assert before == Corpus([path]).fingerprint() == json.loads(json.dumps(before))
    write_lines(path, [{"_id": "a", "text": "u"}, {"_id": "b", "text": "t"}])
    assert Corpus([path]).fingerprint() != before


@pytest.mark.parametrize("held", ["", "  ", None, " moon x "])
def test_a_payload_with_a_blank_or_the_same_text_is_no_other_text(held):
    assert Document("a", "moon x", {"text": held, "n": 1}).stored_payload("title", "text") == {"text": "moon x", "n": 1}


def test_title_and_text_in_one_field_are_both_stored():
    assert Document("a", "quasar", title="Z").stored_payload("text", "text") == {"text": "Z quasar"}
    assert Document("a", title="only").stored_payload("text", "text") == {"text": "only"}


def test_a_text_file_is_stored_in_the_field_of_texts(tmp_path):
    (tmp_path / "a.txt").write_text("moon")
    documents, _ = read(tmp_path, Fields(text="body"))
    assert documents[0].stored_payload("title", "body") == {"body": "moon"}
