import json

import pytest

from indexer import Index
from models import InvalidOptionError
from service.engine.documents import put_lines, read_document


def test_a_row_may_omit_its_id():
    for fields in ({"text": "a", "n": 1}, {"_id": "x", "text": "a", "n": 1}):
        document = read_document("x", fields)
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
def test_what_is_not_the_document_is_refused(fields, param, message):
    with pytest.raises(InvalidOptionError, match=message) as refused:
        read_document("x", fields)
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
