from contextlib import closing

import pytest

from indexer.corpus import Place
from indexer.filters import index, parse_filter
from indexer.storage.documents import Documents, DocumentWriter, StoredDocument
from models import InvalidOptionError
from tests.indexer.filters.samples import mixed_rows, naive, write


@pytest.mark.parametrize(
    "condition",
    [
        {"n": {"$gte": 10, "$lt": 40}},
        {"tags": {"$in": ["t1", "t2"]}},
        {"rare": None},
        {"rare": {"$in": [f"r{i}" for i in range(0, 97, 2)]}},
        {"_id": {"$in": ["3", "299", "none"]}},
        {"_id": {"$gt": "77"}},
    ],
    ids=str,
)
def test_declared_fields_are_found_over_several_parts_and_batches(tmp_path, monkeypatch, condition):
    monkeypatch.setattr(index, "_PART", 64)
    monkeypatch.setattr(index, "_BATCH", 100)
    rows, parsed = mixed_rows(300), parse_filter(condition)
    with write(tmp_path / "d.sqlite", rows, ["n", "tags", "rare", "_id"]) as documents:
        assert documents.matching(parsed).tolist() == naive(parsed, rows)


def test_declared_fields_are_not_read_from_the_payloads(tmp_path):
    with write(tmp_path / "d.sqlite", mixed_rows(50), ["n", "tags"]) as documents:
        plan = []
        documents._connection().set_trace_callback(plan.append)
        documents.matching(parse_filter({"$or": [{"n": {"$gt": 3}}, {"tags": {"$ne": "t1"}}], "_id": {"$ne": "4"}}))
        assert plan
        assert not any("payload" in statement for statement in plan)
        documents.matching(parse_filter({"n": {"$gt": 3}, "x": {"$gt": 0}}))
        assert any("payload" in statement for statement in plan)


def test_an_empty_file_and_a_field_that_no_document_has(tmp_path):
    with write(tmp_path / "d.sqlite", [], ["a"]) as documents:
        assert documents.matching(parse_filter({"a": None})).tolist() == []
        assert documents.matching(parse_filter({"b": None})).tolist() == []
    with write(tmp_path / "d.sqlite", [{"b": 1}], ["a"]) as documents:
        assert documents.matching(parse_filter({"a": {"$exists": False}})).tolist() == [0]


def test_an_index_that_was_not_written_whole_is_written_again(tmp_path, monkeypatch):
    with DocumentWriter(tmp_path / "d.sqlite") as writer:
        writer.commit([StoredDocument("0", {"a": 1})], [], Place(0, 1))
        with monkeypatch.context() as patch:
            patch.setattr(index, "_write_field", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                writer.finish(["a"])
        assert not writer.complete
        with pytest.raises(InvalidOptionError, match="ends in a backslash") as caught:
            writer.finish(["a", "b\\"])
        assert caught.value.param == "filterable"
        writer.finish(["a"])
        assert writer.complete
    with closing(Documents(tmp_path / "d.sqlite")) as documents:
        assert documents.matching(parse_filter({"a": 1})).tolist() == [0]
