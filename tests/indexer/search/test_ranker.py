"""The ranker against brute force: funnels, filters at every selectivity, stop rules, threads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.kernels.rowset import RowSet
from indexer.plan import SCAN, FunnelStage, Plan, StopRule
from indexer.search.distinct import DistinctPrefixes, DistinctRows
from indexer.search.ranker import Ranker
from indexer.search.results import StageClock
from indexer.search.stopping import PrefixNorms
from indexer.shortlist import shortlist_options, shortlist_type
from indexer.shortlist.base import Candidates
from indexer.storage.vectors import StoredVectors
from models import InvalidOptionError, truncate

D, DS, N, K = 32, 16, 3000, 10


def unit(count, seed):
    # Most of the energy in front, as training leaves it.
    return truncate(np.random.default_rng(seed).normal(size=(count, D)) * np.linspace(2, 0.3, D), D)


def make_ranker(kind, count=N, different=N):
    rows = np.random.default_rng(5).integers(0, different, count) if different < count else np.arange(count)
    vectors = StoredVectors(unit(different, 1)[rows].astype(np.float16))
    distinct = DistinctRows.find(vectors)
    shortlist = shortlist_type(kind).build(DistinctPrefixes(vectors, distinct, DS), shortlist_options(kind, {}))
    norms = np.concatenate(list(vectors.prefix_norms(DS)))
    return Ranker(vectors, shortlist, distinct, PrefixNorms(norms, DS))


@pytest.fixture(scope="module")
def rankers():
    return {kind: make_ranker(kind) for kind in ("flat", "hnsw")}


@pytest.fixture(scope="module")
def repeating():
    """A corpus whose rows are repeated ten times on the average."""
    return make_ranker("hnsw", N, N // 10)


QUERIES = unit(12, 2)


def plan(structure, *stages, candidates=200, effort=None, stop=None):
    stages = tuple(FunnelStage(*stage) for stage in stages or [(D, K)])
    return Plan(stages[-1].keep, DS, candidates, effort, stages, structure, stop=stop)


def rank(ranker, plan, allowed=None, queries=QUERIES, threads=1):
    clock = StageClock()
    scores, rows = ranker.rank(queries, plan, allowed, clock, threads)
    return scores, rows, clock.stages


def brute_force(ranker, allowed, k=K):
    """The exact answer, by sorting all cosines."""
    rows = np.arange(len(ranker.vectors)) if allowed is None else allowed.rows
    scores = ranker.vectors.scores(QUERIES, np.tile(rows, (len(QUERIES), 1)), D)
    return [sorted(zip(-line, rows, strict=True))[:k] for line in scores]


def naive_funnel(ranker, stages, candidates):
    """Section 4.3.1 by NumPy: cut, normalise, sort, keep, again."""
    stored = ranker.vectors.stored.astype(np.float32)
    answers = []
    for query in QUERIES:
        rows = np.arange(len(stored))
        for dims, keep in [(DS, candidates), *stages]:
            scores = truncate(stored[rows], dims) @ truncate(query[None], dims)[0]
            rows = rows[np.lexsort((rows, -scores))[:keep]]
        answers.append(rows.tolist())
    return answers


@pytest.mark.parametrize(
    "stages", [[(D, K)], [(20, 60), (D, K)], [(16, 100), (20, 50), (24, 25), (28, 12), (D, 10)]], ids=len
)
def test_a_funnel_is_the_naive_one(rankers, stages):
    expected = naive_funnel(rankers["flat"], stages, 150)
    for structure in ("flat", SCAN):
        _, rows, told = rank(rankers["flat"], plan(structure, *stages, candidates=150))
        assert rows.tolist() == expected
        assert [(stage.dims, stage.candidates_out) for stage in told] == [(DS, 150), *stages]
        assert [stage.candidates_in for stage in told] == [N, 150, *(keep for _, keep in stages[:-1])]


SELECTIVITIES = [1, 2, 3, 30, 300, 1000, 2000, 2900, 3000]  # of 3,000 rows, so 0.03 % to 100 %


@pytest.mark.parametrize("structure", ["flat", "hnsw", SCAN])
@pytest.mark.parametrize("count", SELECTIVITIES)
def test_a_filter_gives_what_brute_force_gives(rankers, structure, count):
    allowed = RowSet(np.sort(np.random.default_rng(count).choice(N, count, replace=False)), N)
    ranker = rankers["hnsw" if structure == "hnsw" else "flat"]
    scores, rows, _ = rank(ranker, plan(structure, candidates=400, effort=800), allowed)
    found = 0
    for line, line_rows, expected in zip(scores, rows, brute_force(ranker, allowed), strict=True):
        kept = line_rows[line_rows >= 0]
        assert len(kept) == min(K, count)
        assert set(kept.tolist()) <= set(allowed.rows.tolist())
        assert (line[line_rows < 0] == -np.inf).all()
        found += len(set(kept.tolist()) & {row for _, row in expected})
    assert found >= 0.97 * len(QUERIES) * min(K, count)


@pytest.mark.parametrize("count", [1, 50, 1000, 3000])
def test_a_structure_that_takes_no_filter_gives_only_what_may_be_found(rankers, monkeypatch, count):
    monkeypatch.setattr(type(rankers["hnsw"].shortlist), "filters", False)
    allowed = RowSet(np.sort(np.random.default_rng(count).choice(N, count, replace=False)), N)
    _, rows, _ = rank(rankers["hnsw"], plan("hnsw"), allowed)
    assert ((rows >= 0).sum(axis=1) == min(K, count)).all()
    assert set(rows[rows >= 0].tolist()) <= set(allowed.rows.tolist())


def test_no_row_allowed(rankers):
    scores, rows, _ = rank(rankers["hnsw"], plan("hnsw"), RowSet(np.empty(0, dtype=np.int64), N))
    assert (rows == -1).all()
    assert (scores == -np.inf).all()


def test_few_allowed_rows_are_scanned_at_the_full_size_and_many_found_by_the_structure(rankers):
    for count, structure in ((100, SCAN), (2900, "hnsw")):
        _, _, told = rank(rankers["hnsw"], plan("hnsw", candidates=20), RowSet(np.arange(count), N))
        assert told[0].structure == structure
        assert told[0].candidates_in == count


def test_results_are_filled_up_where_the_structure_finds_too_few(rankers, monkeypatch):
    def nothing(prefixes, candidates, *_):
        shape = len(prefixes), candidates
        return Candidates(np.full(shape, -np.inf, np.float32), np.full(shape, -1, np.int64))

    monkeypatch.setattr(rankers["hnsw"].shortlist, "search", nothing)
    _, rows, _ = rank(rankers["hnsw"], plan("hnsw"))
    assert rows.tolist() == [[row for _, row in line] for line in brute_force(rankers["hnsw"], None)]


@pytest.mark.parametrize("share", [None, 0.02, 0.5])
def test_repeated_vectors_bring_all_their_rows(repeating, share):
    allowed = None
    if share is not None:
        allowed = RowSet(np.flatnonzero(np.random.default_rng(3).random(N) < share), N)
    scores, rows, _ = rank(repeating, plan("hnsw", candidates=150, effort=300), allowed)
    expected = brute_force(repeating, allowed)
    hits = [set(line.tolist()) & {row for _, row in of_query} for line, of_query in zip(rows, expected, strict=True)]
    assert sum(map(len, hits)) >= 0.97 * rows.size
    assert (np.diff(scores, axis=1) <= 0).all()


@given(threads=st.integers(1, 4), count=st.integers(1, 12), structure=st.sampled_from(["hnsw", SCAN]))
def test_many_queries_on_many_threads_give_what_single_ones_give(rankers, threads, count, structure):
    ranker, how = rankers["hnsw"], plan(structure, (20, 50), (D, K))
    scores, rows, _ = rank(ranker, how, None, QUERIES[:count], threads)
    for i in range(count):
        one_scores, one_rows, _ = rank(ranker, how, None, QUERIES[i : i + 1])
        assert rows[i].tolist() == one_rows[0].tolist()
        assert scores[i].tolist() == one_scores[0].tolist()


@pytest.mark.parametrize("structure", ["flat", "hnsw", SCAN])
def test_a_certified_stop_changes_no_answer(rankers, structure):
    ranker = rankers["flat" if structure == "flat" else "hnsw"]
    whole, rows, _ = rank(ranker, plan(structure))
    scores, stopped, told = rank(ranker, plan(structure, stop=StopRule()))
    np.testing.assert_array_equal(stopped, rows)
    np.testing.assert_array_equal(scores, whole)
    assert told[1].certified == 1.0
    assert K <= told[1].read <= 200


def test_a_gap_reads_fewer_candidates(rankers):
    _, _, all_read = rank(rankers["flat"], plan("flat"))
    _, rows, told = rank(rankers["flat"], plan("flat", stop=StopRule(gap=0.05, k=K)))
    assert all_read[1].read is None
    assert K <= told[1].read < 200
    assert (rows >= 0).all()


def test_a_certified_stop_over_estimated_scores_is_refused(rankers, monkeypatch):
    monkeypatch.setattr(type(rankers["hnsw"].shortlist), "exact_scores", False)
    with pytest.raises(InvalidOptionError, match="needs exact shortlist scores, and 'hnsw' estimates them"):
        rank(rankers["hnsw"], plan("hnsw", stop=StopRule()))
