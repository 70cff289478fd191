import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.plan import StopRule
from indexer.search.stopping import PrefixNorms, fit_gap, needed_gaps, rank_stopping
from indexer.storage.vectors import StoredVectors, encode
from models import truncate
from models.errors import InvalidOptionError

CERTIFIED = StopRule()


class Case:
    """Rows of which a share is in the prefix, and an exact shortlist of them for some queries.

    The rests of ``aligned`` of the rows point where a query's does: their scores are as high as their bounds.
    """

    def __init__(
        self, seed, storage="float32", rows=60, dims=8, candidates=40, tail=0.3, aligned=0.0, holes=0.0, dimension=24
    ):
        rng = np.random.default_rng(seed)
        scale = np.where(np.arange(dimension) < dims, 1.0, tail)
        self.queries = truncate(rng.normal(size=(5, dimension)) * scale, dimension)
        pool = rng.normal(size=(rows, dimension)) * scale
        chosen = np.flatnonzero(rng.random(rows) < aligned)
        pool[chosen, dims:] = self.queries[rng.integers(0, 5, len(chosen)), dims:] * rng.random((len(chosen), 1))
        pool[rng.integers(0, rows, rows // 10)] = pool[0]
        pool[rng.integers(0, rows)] = 0
        self.vectors = StoredVectors(encode(truncate(pool, dimension), np.dtype(storage)))
        self.dimension, self.dims = dimension, dims
        self.norms = PrefixNorms(np.concatenate(list(self.vectors.prefix_norms(dims))), dims)
        self.coarse, self.rows = self.vectors.nearest(truncate(self.queries, dims), dims, min(rows, candidates))
        gone = rng.random(self.rows.shape) < holes
        self.rows[gone] = -1

    def all(self, keep):
        return self.vectors.rank(self.queries, self.rows, self.dimension, keep)

    def stopping(self, keep, rule, norms=None, threads=1):
        arguments = (self.vectors, self.queries, self.rows, self.coarse, self.dimension, keep)
        return rank_stopping(*arguments, rule, norms, threads)

    def listed(self, keep, gap):
        """The candidates a gap asks for, query by query."""
        for scores, rows in zip(self.coarse, self.rows, strict=True):
            own = rows >= 0
            enough = own.sum() > keep
            yield rows[own & (scores[own][keep - 1] - scores <= np.float32(gap))] if enough else rows[own]


cases = st.builds(
    Case,
    st.integers(0, 9999),
    st.sampled_from(["float32", "float16", "int8"]),
    rows=st.integers(1, 80),
    dims=st.integers(1, 24),
    candidates=st.integers(1, 60),
    tail=st.sampled_from([0.0, 0.02, 0.1, 0.3, 1.0]),
    aligned=st.sampled_from([0.0, 0.5, 1.0]),
    holes=st.sampled_from([0.0, 0.2, 0.9, 1.0]),
)


def assert_same(found, expected):
    for ours, theirs in zip((found.scores, found.rows), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@given(cases, st.integers(1, 30))
def test_a_certified_answer_is_that_of_reading_all(case, keep):
    found = case.stopping(keep, CERTIFIED, case.norms)
    assert_same(found, case.all(keep))
    assert found.certified.all()
    there = (case.rows >= 0).sum(axis=1)
    assert (found.read <= there).all()
    np.testing.assert_array_equal(np.isinf(found.margin), found.read == there)


@given(cases, st.integers(1, 30), st.floats(0, 2, width=32))
def test_a_gap_reads_the_candidates_within_it(case, keep, gap):
    found = case.stopping(keep, StopRule(gap=gap))
    for i, listed in enumerate(case.listed(keep, gap)):
        expected = case.vectors.rank(case.queries[i : i + 1], listed[None], case.dimension, keep)
        np.testing.assert_array_equal(found.rows[i], expected[1][0])
        np.testing.assert_array_equal(found.scores[i], expected[0][0])
        assert found.read[i] == len(listed)
        assert found.margin[i] == (math.inf if len(listed) == (case.rows[i] >= 0).sum() else -math.inf)


@given(cases, st.integers(1, 30), st.floats(0, 1, width=32))
def test_what_is_certified_under_a_gap_is_the_answer_of_reading_all(case, keep, gap):
    found, all_rows = case.stopping(keep, StopRule(gap=gap), case.norms), case.all(keep)[1]
    np.testing.assert_array_equal(found.rows[found.certified], all_rows[found.certified])


@given(cases, st.integers(1, 30))
def test_no_candidate_left_unread_scores_above_its_bound(case, keep):
    found = case.stopping(keep, StopRule(gap=0.0), case.norms)
    for i, listed in enumerate(case.listed(keep, 0.0)):
        unread = np.setdiff1d(case.rows[i][case.rows[i] >= 0], listed)
        if len(unread):
            scores = case.vectors.scores(case.queries[i : i + 1], unread[None], case.dimension)
            assert found.scores[i, -1] - found.margin[i] >= scores.max() - 1e-6


@pytest.mark.parametrize("dims", [64, 256])
def test_rounding_does_not_leave_out_rows_that_score_alike(dims):
    rng = np.random.default_rng(0)
    case = Case(0, dims=dims, dimension=256)
    # One direction at many lengths: equal cosines, but for their last bits, which are what the rows are ordered by.
    case.vectors = StoredVectors((case.queries[:1] * rng.uniform(0.1, 9, (300, 1))).astype(np.float32))
    case.norms = PrefixNorms(np.concatenate(list(case.vectors.prefix_norms(dims))), dims)
    case.coarse, case.rows = case.vectors.nearest(truncate(case.queries, dims), dims, 300)
    assert_same(case.stopping(10, CERTIFIED, case.norms), case.all(10))


def test_rows_that_lie_in_their_prefix_are_mostly_left_unread():
    case = Case(3, rows=5000, candidates=1000, tail=0.001)
    assert (case.stopping(10, CERTIFIED, case.norms).read < 60).all()
    spread = Case(3, rows=5000, candidates=1000, tail=1.0)
    assert (spread.stopping(10, CERTIFIED, spread.norms).read > 900).all()


@given(cases, st.integers(1, 30))
def test_the_needed_gap_is_the_smallest_that_keeps_the_answer(case, keep):
    answer = case.all(keep)
    for i, gap in enumerate(needed_gaps(case.coarse, case.rows, answer[1])):
        np.testing.assert_array_equal(case.stopping(keep, StopRule(gap=float(gap))).rows[i], answer[1][i])
        if gap > 0:
            less = StopRule(gap=float(np.nextafter(gap, np.float32(0))))
            assert (case.stopping(keep, less).rows[i] != answer[1][i]).any()


@pytest.mark.parametrize(
    ("count", "probability", "place"),
    [(1000, 0.95, 951), (99, 0.9, 90), (99, 0.99, 99), (19, 0.95, 19), (9, 0.9, 9), (1, 0.5, 1)],
)
def test_the_fitted_gap_is_the_conformal_quantile(count, probability, place):
    gaps = np.random.default_rng(0).permutation(np.arange(1, count + 1, dtype=np.float32))
    assert fit_gap(gaps, probability) == StopRule(gap=place, probability=probability)


def test_the_answer_is_that_of_reading_all_as_often_as_stated():
    kept = {0.5: [], 0.9: []}
    for seed in range(20):
        case = Case(seed, rows=400, candidates=200, tail=0.5)
        rng = np.random.default_rng(seed + 1000)
        case.queries = truncate(rng.normal(size=(120, 24)), 24)
        case.coarse, case.rows = case.vectors.nearest(truncate(case.queries, 8), 8, 200)
        answer = case.all(5)[1]
        gaps = needed_gaps(case.coarse[:60], case.rows[:60], answer[:60])
        for probability, shares in kept.items():
            found = case.stopping(5, fit_gap(gaps, probability))
            shares.append((found.rows[60:] == answer[60:]).all(axis=1).mean())
    for probability, shares in kept.items():
        # The mean of 20 shares, each off by up to 0.09 (its calibration and its test, 60 queries each).
        assert probability - 0.04 < np.mean(shares) < probability + 0.07


@pytest.mark.parametrize("threads", [2, 16])
def test_threads_change_nothing(threads):
    case = Case(1, "float16")
    for rule in (CERTIFIED, StopRule(gap=0.1)):
        for alone, many in zip(
            case.stopping(4, rule, case.norms), case.stopping(4, rule, case.norms, threads), strict=True
        ):
            np.testing.assert_array_equal(alone, many)


def test_no_queries_and_no_candidates():
    case = Case(1)
    case.queries, case.coarse, case.rows = case.queries[:0], case.coarse[:0], case.rows[:0]
    assert case.stopping(3, CERTIFIED, case.norms).rows.shape == (0, 3)
    case = Case(1, holes=1.0)
    found = case.stopping(3, CERTIFIED, case.norms)
    assert (found.rows == -1).all()
    assert (found.read == 0).all()
    assert found.certified.all()


@pytest.mark.parametrize("probability", [0, 1, 1.01, math.nan])
def test_a_fitted_probability_lies_between_0_and_1(probability):
    with pytest.raises(InvalidOptionError, match="give more than 0 and less than 1"):
        fit_gap(np.zeros(100, np.float32), probability)


def test_too_few_queries_for_a_probability():
    for count, probability, least in ((18, 0.95, 19), (98, 0.99, 99), (8, 0.9, 9), (0, 0.5, 1)):
        with pytest.raises(
            InvalidOptionError, match=f"probability {probability} needs at least {least} .*, there are {count}$"
        ):
            fit_gap(np.zeros(count, np.float32), probability)


def test_bounds_need_norms_of_the_full_rows():
    case = Case(0)
    with pytest.raises(InvalidOptionError, match="a certified stop needs the rows' prefix norms: give them, or a gap"):
        case.stopping(3, CERTIFIED)
    arguments = (case.vectors, truncate(case.queries, 16), case.rows, case.coarse, 16, 3)
    with pytest.raises(InvalidOptionError, match=r"scores of 16 dimensions cannot be bounded: .* need all 24"):
        rank_stopping(*arguments, StopRule(gap=0.1), case.norms)
    assert rank_stopping(*arguments, StopRule(gap=0.1)).rows.shape == (5, 3)
