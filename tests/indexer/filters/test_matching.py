import threading
from contextlib import closing

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from indexer.errors import BundleCorruptError
from indexer.filters import index, matching, parse_filter
from indexer.storage.documents import Documents
from tests.indexer.filters.samples import fields, filters, mixed_rows, naive, payloads, write


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("filters") / "d.sqlite"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(payloads, min_size=1, max_size=8),
    st.lists(filters, min_size=1, max_size=8),
    st.lists(fields, max_size=6),
)
@example(
    [{"a": 5e-324}, {"a": 1.7976931348623157e308}, {"a": 10**400}], [{"a": {"$gt": 0}}, {"a": {"$gte": 1e308}}], []
)
def test_index_and_scan_find_what_python_finds(scratch, rows, wanted, filterable):
    parsed = [parse_filter(value) for value in wanted]
    with write(scratch, rows, filterable) as documents:
        for condition in parsed:
            assert documents.matching(condition).tolist() == naive(condition, rows)


@pytest.mark.parametrize("filterable", [[], ["n", "rare"], ["n", "x", "tags", "rare", "deep.s", 'deep.odd"', "_id"]])
def test_many_rows_over_several_parts_batches_and_chunks(tmp_path, monkeypatch, filterable):
    monkeypatch.setattr(index, "_PART", 64)
    monkeypatch.setattr(index, "_BATCH", 100)
    monkeypatch.setattr(matching, "_CHUNK", 128)
    rows = mixed_rows(1500)
    median = sorted(row["x"] for row in rows)[750]
    wanted = [
        {"n": 7},
        {"n": {"$gte": 10, "$lt": 40}},
        {"x": {"$gt": median}},
        {"x": {"$lte": median}},
        {"x": {"$in": [row["x"] for row in rows[::100]]}},
        {"tags": {"$in": ["t1", "t2"]}},
        {"rare": {"$exists": False}},
        {"rare": None},
        {"rare": {"$in": [f"r{i}" for i in range(0, 97, 2)]}},
        {"n": 7, "tags": "t1"},
        {"n": {"$ne": 7}, "deep.s": "b"},
        {"$or": [{"n": 1}, {"x": {"$gt": 2}}]},
        {"$not": {"$or": [{"rare": "r1"}, {"deep.s": {"$lt": "b"}}]}},
        {'deep.odd"': 1, "n": {"$lt": 25}},
        {"_id": {"$in": ["3", "1499", "none"]}},
        {"_id": {"$gt": "77"}, "n": {"$gt": 20}},
        {"absent": {"$gte": 0}},
        {},
    ]
    with write(tmp_path / "d.sqlite", rows, filterable) as documents:
        assert documents.filterable == [name for name in filterable if name != "_id"]
        for value in wanted:
            condition = parse_filter(value)
            found = documents.matching(condition)
            assert found.dtype == np.int64
            assert found.tolist() == naive(condition, rows), value


def test_threads_filter_at_once(tmp_path):
    rows = mixed_rows(400)
    condition = parse_filter({"n": {"$gt": 20}, "deep.s": "b"})
    found = []
    with write(tmp_path / "d.sqlite", rows, ["n"]) as documents:
        threads = [threading.Thread(target=lambda: found.append(documents.matching(condition))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [rows_.tolist() for rows_ in found] == [naive(condition, rows)] * 8


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "junk.sqlite").write_bytes(b"junk" * 1000)
    with (
        closing(Documents(tmp_path / "junk.sqlite")) as junk,
        pytest.raises(BundleCorruptError, match="cannot filter documents"),
    ):
        junk.matching(parse_filter({"a": 1}))
