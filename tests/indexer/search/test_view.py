"""A view of a generation and its updates against one that looks at every document."""

import numpy as np
import pytest

from indexer import Document, SearchOptions, parse_filter
from indexer.plan import make_plan
from indexer.search import view as module
from indexer.search.results import StageClock
from models import truncate
from tests.conftest import DIMENSION, make_encoder, make_index, make_texts

ENCODER = make_encoder()
TEXTS = make_texts(120)
QUERIES = ENCODER.encode_queries(make_texts(4, seed=9))


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """A view with 3 rows added, of which one was removed, and 10 of 120 rows hidden; never changed by a test."""
    rows = [Document(f"new {i}", TEXTS[i], {"n": i}) for i in range(3)]
    with make_index(tmp_path_factory.mktemp("view"), TEXTS, ENCODER, shortlist="hnsw", calibration=None) as index:
        index.upsert([*rows, Document("5", "w1 w2", {"n": 5})])
        assert len(index) == 123  # applied now, so that a row is added which the next operation removes
        index.delete(["new 1", *(str(i) for i in range(10, 19))])
        yield index.view


def rank(view, options, selection=None):
    plan = make_plan(options, len(view), DIMENSION, view.opened.manifest.shortlist.dims, "hnsw")
    clock = StageClock()
    return *view.rank(QUERIES, plan, selection, clock, 1), clock.stages


def brute_force(view, k, rows=None):
    """Scores and rows of the best, by the cosines of all rows that exist."""
    hidden = set(np.flatnonzero(view.delta.hidden).tolist())
    everything = [row for row in range(view.delta.first) if row not in hidden] + view.delta.rows.tolist()
    wanted = np.array([row for row in everything if rows is None or row in rows])
    found = []
    for query in QUERIES:
        scores = view.cosines(query, wanted, DIMENSION).tolist()
        found.append(sorted(zip([-score for score in scores], wanted.tolist(), strict=True))[:k])
    return found


def assert_best(scores, rows, expected):
    for line, line_rows, best in zip(scores, rows, expected, strict=True):
        found = line_rows[line_rows >= 0].tolist()
        assert found == [row for _, row in best]
        np.testing.assert_allclose(line[: len(found)], [-score for score, _ in best], atol=1e-6)


def test_its_length_counts_what_exists(changed):
    assert len(changed) == 120 - 10 + 3
    assert len(changed.ids()) == 120 + 4


def test_hidden_rows_are_never_found(changed):
    scores, rows, stages = rank(changed, SearchOptions(k=10, candidates=112))
    assert_best(scores, rows, brute_force(changed, 10))
    assert [stage.name for stage in stages] == ["shortlist", "rerank", "updates"]


@pytest.mark.parametrize("most_hidden", [0.0, 1.0], ids=["excluded in the structure", "dropped afterwards"])
def test_both_ways_to_leave_out_hidden_rows_agree(changed, monkeypatch, most_hidden):
    monkeypatch.setattr(module, "_MOST_HIDDEN", most_hidden)
    scores, rows, _ = rank(changed, SearchOptions(k=112, candidates=112))
    assert_best(scores, rows, brute_force(changed, 112))


def test_if_oversampling_falls_short_the_search_is_repeated_without_hidden_rows(changed, monkeypatch):
    monkeypatch.setattr(module, "_widened", lambda plan, rows, hidden: plan.widened(2, 2))
    scores, rows, _ = rank(changed, SearchOptions(k=10, dims=DIMENSION))
    assert_best(scores, rows, brute_force(changed, 10))


def test_a_filter_selects_rows_of_both(changed):
    clock = StageClock()
    selection = changed.select(parse_filter({"n": {"$exists": True}}), clock)
    assert changed.count(selection) == 3
    assert (clock.stages[0].candidates_in, clock.stages[0].candidates_out) == (113, 3)
    scores, rows, stages = rank(changed, SearchOptions(k=5), selection)
    assert_best(scores, rows, brute_force(changed, 5, set(selection.added.tolist())))
    assert [stage.name for stage in stages] == ["updates"]


def test_a_filter_that_matches_nothing_gives_padding(changed):
    selection = changed.select(parse_filter({"n": 99}), StageClock())
    scores, rows, stages = rank(changed, SearchOptions(k=3), selection)
    assert (rows == -1).all()
    assert (scores == -np.inf).all()
    assert stages == []


def test_documents_come_in_the_order_of_the_rows(changed):
    added = int(changed.delta.rows[0])
    assert [document.id for document in changed.fetch([added, 3, added, 119])] == ["new 0", "3", "new 0", "119"]


def test_documents_of_the_generation_by_id_leave_out_hidden_ones(changed):
    assert set(changed.from_base(["3", "5", "12", "new 0", "no such"])) == {"3"}


def test_cosines_are_those_of_prefixes(changed):
    rows = np.array([0, 7, *changed.delta.rows])
    texts = [TEXTS[0], TEXTS[7], *(document.id for document in changed.fetch(changed.delta.rows.tolist()))]
    documents = ENCODER.encode_documents([TEXTS[0], TEXTS[7], TEXTS[0], TEXTS[2], "w1 w2"])
    assert texts[2:] == ["new 0", "new 2", "5"]
    expected = truncate(documents, 8) @ truncate(QUERIES[:1], 8)[0]
    np.testing.assert_allclose(changed.cosines(QUERIES[0], rows, 8), expected, atol=2e-3)


def test_an_unchanged_generation_is_searched_as_it_is(tmp_path):
    with make_index(tmp_path, TEXTS[:20], ENCODER, calibration=None) as index:
        scores, rows, stages = rank(index.view, SearchOptions(k=4, dims=DIMENSION))
        assert_best(scores, rows, brute_force(index.view, 4))
        assert [stage.name for stage in stages] == ["shortlist"]
