import pytest

from indexer.filters import parse_filter
from tests.indexer.filters.samples import write

HOLDS = [
    ({"a": 1}, {"a": 1}, True),
    ({"a": 1}, {"a": 1.0}, True),
    ({"a": 1}, {"a": True}, False),
    ({"a": True}, {"a": 1}, False),
    ({"a": True}, {"a": True}, True),
    ({"a": False}, {"a": {"$in": [0, "", None]}}, False),
    ({"a": "1"}, {"a": 1}, False),
    ({"a": -0.0}, {"a": 0}, True),
    ({"a": 2**53 + 1}, {"a": 2**53}, False),
    ({"a": 2**53 + 1}, {"a": float(2**53)}, False),
    ({"a": 2**64 + 1}, {"a": 2**64}, True),
    ({"a": 10**400}, {"a": {"$gt": 1.7e308}}, True),
    ({"a": 0.1 + 0.2}, {"a": 0.3}, False),
    ({"a": 0.1 + 0.2}, {"a": {"$gt": 0.3}}, True),
    ({"a": ["x", "y"]}, {"a": "y"}, True),
    ({"a": ["x", "y"]}, {"a": {"$ne": "y"}}, False),
    ({"a": ["x", 5]}, {"a": {"$gt": 4, "$lt": 6}}, True),
    ({"a": [0, 9]}, {"a": {"$gt": 4, "$lt": 6}}, True),
    ({"a": [["x"]]}, {"a": "x"}, False),
    ({"a": []}, {"a": None}, False),
    ({"a": []}, {"a": {"$exists": True}}, True),
    ({"a": [None]}, {"a": None}, True),
    ({"a": None}, {"a": None}, True),
    ({"a": None}, {"a": {"$exists": True}}, True),
    ({}, {"a": None}, True),
    ({}, {"a": {"$exists": True}}, False),
    ({}, {"a": {"$exists": False}}, True),
    ({}, {"a": {"$ne": 1}}, True),
    ({}, {"a": {"$ne": None}}, False),
    ({}, {"a": {"$nin": [1, 2]}}, True),
    ({}, {"a": {"$gt": 1}}, False),
    ({}, {"a": {"$not": {"$gt": 1}}}, True),
    ({}, {"$not": {"a": {"$gt": 1}}}, True),
    ({"a": None}, {"$not": {"a": {"$gt": 1}}}, True),
    ({"a": "x"}, {"a": {"$gt": 1}}, False),
    ({"a": 5}, {"a": {"$lt": "x"}}, False),
    ({"a": "é"}, {"a": {"$gt": "z"}}, True),
    ({"a": "\U0001f600"}, {"a": {"$gt": "\uffee"}}, True),
    ({"a": "x\0y"}, {"a": "x"}, False),
    ({"a": "x\0y"}, {"a": "x\0y"}, True),
    ({"a": "x\0y"}, {"a": {"$gt": "x"}}, True),
    ({"a": {"b": 1}}, {"a.b": 1}, True),
    ({"a": {"b": 1}}, {"a": {"$exists": True}}, True),
    ({"a": {"b": 1}}, {"a": {"$in": [1, None]}}, False),
    ({"a": "b"}, {"a.b": None}, True),
    ({"a": [{"b": 1}]}, {"a.b": 1}, False),
    ({"a": ["x"]}, {"a.0": "x"}, False),
    ({"a.b": 1}, {"a.b": 1}, False),
    ({"a.b": 1}, {"a\\.b": 1}, True),
    ({"$gt": 1}, {"\\$gt": 1}, True),
    ({"_id": 1}, {"\\_id": 1}, True),
    ({"\\": 1}, {"\\\\": 1}, True),
    ({"": 1}, {"": 1}, True),
    ({"a": 1}, {}, True),
    ({"a": 1}, {"$not": {}}, False),
    ({"a": 1}, {"a": {"$in": []}}, False),
    ({"a": 1, "b": 2}, {"a": 1, "b": 3}, False),
    ({"a": 1, "b": 2}, {"$or": [{"a": 5}, {"b": {"$gte": 2}}]}, True),
    ({"a": 1, "b": 2}, {"$or": [{"a": 5}, {"b": 3}], "a": 1}, False),
    ({}, {"_id": "0"}, True),
    ({}, {"_id": {"$ne": "0"}}, False),
    ({}, {"_id": {"$gt": "/", "$lt": "00"}}, True),
    ({}, {"_id": {"$exists": True}}, True),
    ({}, {"_id.b": {"$exists": True}}, False),
]


@pytest.mark.parametrize(("payload", "condition", "holds"), HOLDS, ids=[f"{p}-{c}" for p, c, _ in HOLDS])
def test_matching_documents(payload, condition, holds, tmp_path):
    parsed = parse_filter(condition)
    assert parsed.matches("0", payload) is holds
    for filterable in ([], ["a", "b", "a.b", "\\$gt", "\\_id", "a\\.b"]):
        with write(tmp_path / "d.sqlite", [payload], filterable) as documents:
            assert documents.matching(parsed).tolist() == [0] * holds


def test_equal_filters_find_the_same_and_true_is_not_1():
    same = [{"a": {"$in": [1, 2]}}, {"a": {"$in": [2.0, 1, 1]}}]
    assert len({parse_filter(value) for value in same}) == 1
    different = [{"a": 1}, {"a": True}, {"a": "1"}, {"a": None}, {"a": {"$ne": 1}}, {"a": {"$gte": 1}}]
    assert len({parse_filter(value) for value in different}) == len(different)
