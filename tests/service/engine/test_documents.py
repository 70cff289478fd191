import json

import pytest

from indexer import BuildOptions, Corpus, Fields, HybridOptions, Index, LexicalOptions, SearchOptions, build_index
from models import InvalidOptionError
from service.engine.documents import put_lines, read_document
from tests.conftest import make_encoder, make_texts, write_lines


@pytest.fixture
def opened(root):
    with Index.open(root) as index:
        yield index


def test_a_row_may_omit_its_id(opened):
    for fields in ({"text": "a", "n": 1}, {"_id": "x", "text": "a", "n": 1}):
        document = read_document(opened, "x", fields)
        assert (document.id, document.payload["n"]) == ("x", 1)


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"_id": "y", "text": "a"}, "_id", "the row has _id 'y', the address 'x'"),
        ({"_id": 3, "text": "a"}, "_id", "the row has _id 3"),
        ({}, "document", "text"),
        ({"text": "\ud800"}, "document", "not valid Unicode"),
    ],
)
def test_what_is_not_the_document_is_refused(opened, fields, param, message):
    with pytest.raises(InvalidOptionError, match=message) as refused:
        read_document(opened, "x", fields)
    assert refused.value.param == param


def test_lines_that_are_documents_are_stored_and_every_line_is_reported(root):
    lines = [
        (1, b'{"_id": "new", "text": "w1"}'),
        (2, b"{"),
        (4, b'{"_id": "7", "text": "w7"}'),
        (5, b'{"id": 5}'),
        (6, b'{"_id": true, "text": "w1"}'),
        (7, b'{"_id": "\\ud800", "text": "w1"}'),
        (8, b'{"text": "w1"}'),
        (9, json.dumps({"_id": "v", "_vector": [1.0]}).encode()),
    ]
    with Index.open(root) as index:
        reports = put_lines(index, lines)
        assert index.get(["7"])["7"].payload["text"] == "w7"
        assert index.get(["v", "5"]).keys() == {"5"}
    assert [(report.line, report.id, report.result) for report in reports] == [
        (1, "new", "added"),
        (2, None, "rejected"),
        (4, "7", "replaced"),
        (5, "5", "rejected"),
        (6, None, "rejected"),
        (7, "\\ud800", "rejected"),
        (8, None, "rejected"),
        (9, "v", "rejected"),
    ]
    assert [bool(report.reason) for report in reports] == [report.result == "rejected" for report in reports]


@pytest.mark.parametrize(
    "row",
    [
        {"text": "w1 w2", "title": "w3"},
        {"about": "w1 w2", "title": "w3"},
        {"about": None, "text": "w1 w2", "title": "w3"},
        {"about": "", "text": "w1 w2", "title": "w3"},
        {"about": "  ", "text": "w1 w2", "title": "w3"},
    ],
)
def test_texts_are_stored_in_the_fields_of_the_index_where_words_find_them(tmp_path, row):
    lines = [{"_id": str(number), "about": text} for number, text in enumerate(make_texts(20))]
    corpus = Corpus([write_lines(tmp_path / "corpus.jsonl", lines)], Fields(text="about"))
    build_index(corpus, make_encoder(), tmp_path / "index", BuildOptions(lexical=LexicalOptions()))
    with Index.open(tmp_path / "index", encoder=make_encoder()) as index:
        index.put([read_document(index, "one", row)])
        put_lines(index, [(1, json.dumps({"_id": "two", **row}).encode())])
        for name in ("one", "two"):
            assert index.get([name])[name].payload == {"about": "w1 w2", "title": "w3"}
        found = index.search(["w1 w2 w3"], SearchOptions(k=2, hybrid=HybridOptions()))
        assert {hit.id for hit in found.hits[0]} == {"one", "two"}
