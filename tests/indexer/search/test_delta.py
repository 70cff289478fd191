import json

import numpy as np
import pytest

from indexer.errors import BundleCorruptError
from indexer.kernels.rowset import RowSet
from indexer.search import delta as module
from indexer.search.delta import Delta
from indexer.storage.journal import Operation
from indexer.storage.vectors import StoredVectors, encode
from models import truncate

DIMENSION, MODEL = 8, "model"
ROWS = truncate(np.random.default_rng(0).normal(size=(5, DIMENSION)), DIMENSION)


class Base:
    """The documents of a generation whose ids are its row numbers."""

    def row_of(self, ids):
        return {key: int(key) for key in ids if key.isdecimal() and int(key) < len(ROWS)}


@pytest.fixture
def delta():
    return Delta(Base(), StoredVectors(ROWS.astype(np.float16)), MODEL)


def upsert(sequence, identifier, seed=0, storage=np.float16, model=MODEL):
    vector = truncate(np.random.default_rng(seed).normal(size=(1, DIMENSION)), DIMENSION)
    payload = json.dumps({"n": sequence})
    return Operation(sequence, identifier, payload, encode(vector, np.dtype(storage)).tobytes(), model)


def delete(sequence, identifier):
    return Operation(sequence, identifier, None, None, None)


def test_a_generation_without_updates(delta):
    view = delta.view()
    assert (len(view), view.changes, view.untouched, view.ids()) == (5, 0, True, [])
    assert view.visible(None).rows.tolist() == [0, 1, 2, 3, 4]


def test_added_rows_are_numbered_from_n_and_replaced_rows_hidden(delta):
    delta.apply([upsert(1, "new"), upsert(2, "3"), delete(3, "0"), delete(4, "no such")])
    view = delta.view()
    assert view.rows.tolist() == [5, 6]
    assert view.hidden.tolist() == [True, False, False, True, False]
    assert (len(view), view.changes, view.untouched) == (5, 4, False)
    assert (view.fetch(5).id, view.fetch(6).payload) == ("new", {"n": 2})
    assert view.visible(RowSet(np.array([0, 1, 3]), 5)).rows.tolist() == [1]


def test_of_several_operations_the_last_wins(delta):
    delta.apply([upsert(1, "a"), delete(2, "a"), upsert(3, "a", seed=1)])
    delta.apply([upsert(4, "a", seed=2), upsert(5, "b"), delete(6, "b")])
    view = delta.view()
    assert [view.fetch(row).payload for row in view.rows] == [{"n": 4}]
    assert view.ids() == ["a", "a"]
    assert {key: found.payload for key, found in delta.fetch(["a", "b", "c"]).items()} == {"a": {"n": 4}}


def test_operations_of_another_model_are_skipped_but_deletes_apply(delta):
    delta.apply([upsert(1, "a", model="other"), delete(2, "1")])
    view = delta.view()
    assert (view.rows.tolist(), view.hidden_count) == ([], 1)


def test_a_view_does_not_change_with_later_operations(delta):
    delta.apply([upsert(1, "a"), delete(2, "0")])
    view = delta.view()
    delta.apply([upsert(3 + i, f"new {i}") for i in range(200)] + [delete(900, "a"), delete(901, "1")])
    assert (view.rows.tolist(), view.hidden_count, view.ids()) == ([5], 1, ["a"])
    assert delta.view().version > view.version


@pytest.mark.parametrize("queries", [1, 3], ids=["one query", "a batch"])
def test_the_nearest_added_rows_are_found_by_a_scan(delta, queries):
    delta.apply([upsert(i, f"new {i}", seed=i) for i in range(1, 7)])
    view = delta.view()
    wanted = truncate(np.random.default_rng(9).normal(size=(queries, DIMENSION)), DIMENSION)
    for rows in (view.rows, view.rows[::2]):
        scores, found = view.nearest(wanted, rows, 4, 3, threads=1)
        expected = view.vectors.scores(truncate(wanted, 4), np.tile(rows - 5, (queries, 1)), 4)
        np.testing.assert_array_equal(found, rows[np.argsort(-expected, axis=1, kind="stable")[:, :3]])
        np.testing.assert_allclose(scores, -np.sort(-expected, axis=1)[:, :3], atol=1e-6)


def test_missing_results_stay_padding(delta):
    delta.apply([upsert(1, "a")])
    view = delta.view()
    scores, found = view.nearest(ROWS[:1], view.rows, DIMENSION, 3, threads=1)
    assert found.tolist() == [[5, -1, -1]]
    assert scores[0, 1:].tolist() == [-np.inf, -np.inf]


def test_removed_rows_are_dropped_once_they_are_most(delta, monkeypatch):
    monkeypatch.setattr(module, "PAGE", 4)
    for number in range(10):
        delta.apply([upsert(number, "a", seed=number)])
        assert not delta.tidy()  # 10 rows at most, and up to 2 × (1 + 4) are allowed
    delta.apply([upsert(10, "b"), upsert(11, "c")])
    for number in (12, 13):
        delta.apply([upsert(number, "c")])
        assert not delta.tidy()
    delta.apply([upsert(14, "c")])
    assert delta.tidy()  # 15 rows, of which 3 exist
    view = delta.view()
    assert [view.fetch(row).id for row in view.rows] == ["a", "b", "c"]
    assert len(view.vectors) == 3
    delta.apply([delete(102, "a")])
    assert [delta.view().fetch(row).id for row in delta.view().rows] == ["b", "c"]


@pytest.mark.parametrize("storage", [np.int8, np.float32])
def test_vectors_of_another_storage_type_are_converted(delta, storage):
    delta.apply([upsert(1, "as stored", storage=storage), upsert(2, "as ours")])
    first, second = truncate(delta.view().vectors.stored.astype(np.float32), DIMENSION)
    assert first @ second > 0.999


def test_a_vector_of_the_wrong_length_is_refused(delta):
    with pytest.raises(BundleCorruptError, match="the journal has a vector of 3 bytes for 8 dimensions"):
        delta.apply([Operation(1, "a", "{}", b"abc", MODEL)])
