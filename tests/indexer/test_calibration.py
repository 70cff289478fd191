import json
import math
import time
from collections import Counter
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer import BuildOptions, Corpus, Index, SearchOptions, build_index
from indexer.calibration import (
    DEFAULT_RECALL,
    CalibrationOptions,
    Target,
    calibrate,
    calibrate_index,
    choose_plan,
    run,
    structure,
)
from indexer.calibration.bound import Sample, bounds_together
from indexer.calibration.front import front, thinned
from indexer.calibration.grid import Grid
from indexer.calibration.measure import NEVER, Meter, Trial
from indexer.calibration.queries import MOST_COPIES, GivenQueries, QuerySet, SampledQueries, read_queries
from indexer.calibration.truth import Examined, examine, split
from indexer.errors import BundleBusyError, BundleNotFoundError
from indexer.generations import Generations
from indexer.interval import mean_interval, mean_low
from indexer.manifest import CalibratedPlan, Manifest
from indexer.opened import OpenedGeneration
from indexer.plan import SCAN, FunnelStage, Plan, Promise
from indexer.shortlist import shortlist_type
from indexer.vectors import StoredVectors
from models import DataError, InvalidOptionError, Nesting
from tests.conftest import DIMENSION, make_encoder, make_texts, write_lines

# ── bounds ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=8)
@given(
    mean=st.floats(0.5, 0.999),
    spread=st.sampled_from([0.5, 5.0, 100.0]),
    count=st.sampled_from([20, 100, 400]),
    seed=st.integers(0, 2**31),
)
def test_the_bound_misses_no_more_often_than_it_says(mean, spread, count, seed):
    rng = np.random.default_rng(seed)
    missed = 0
    for _ in range(150):
        found = rng.binomial(10, rng.beta(mean * spread, (1 - mean) * spread, size=count))
        missed += Sample([found / 10]).low(0.9) > mean
    # 10 % of 150 and four standard deviations.
    assert missed <= 15 + 4 * math.sqrt(150 * 0.1 * 0.9)


def test_the_bound_is_tight_where_nearly_all_is_found_and_is_that_of_the_hardest_kind():
    perfect, good = np.ones(700), np.repeat([1.0, 0.9], [650, 50])
    assert 0.99 < Sample([perfect]).low(0.95) < 1
    assert 0.98 < Sample([good]).low(0.95) < good.mean()
    both = Sample([perfect, good])
    assert both.low(0.95) == Sample([good]).low(0.95)
    assert both.mean == good.mean()
    assert both.counts == [700, 700]


@given(st.lists(st.sampled_from([0.0, 0.3, 0.9, 1.0]), min_size=1, max_size=30))
def test_the_bound_is_where_a_gambler_who_stakes_by_what_was_seen_has_won_enough(values):
    def won(mean):
        capital = 1.0
        for number, value in enumerate(values):
            seen = values[:number]
            means = [(0.5 + sum(seen[: i + 1])) / (i + 2) for i in range(number)]
            variance = (0.25 + sum((x - m) ** 2 for x, m in zip(seen, means, strict=True))) / (number + 1)
            stake = min(math.sqrt(2 * math.log(1 / 0.05) / (len(values) * variance)), 0.75 / mean)
            capital *= 1 + stake * (value - mean)
        return capital

    low = mean_low(values, 0.95)
    assert 0 <= low <= np.mean(values)
    assert low == 0 or won(low) >= 1 / 0.05 * (1 - 1e-9)
    if np.mean(values):
        assert won(low + 2e-5) < 1 / 0.05 or low + 2e-5 >= np.mean(values)
    assert mean_low([], 0.95) == 0


def test_a_sample_of_known_size_is_bounded_closer_than_one_that_grows():
    rng = np.random.default_rng(0)
    for count in (200, 1000):
        found = np.where(rng.random(count) < 0.7, 1.0, rng.binomial(10, 0.8, count) / 10)
        growing = mean_interval(Counter(found.tolist()), 0.9)[0]
        assert found.mean() - mean_low(found, 0.95) < 0.8 * (found.mean() - growing)


def test_who_chooses_among_many_plans_by_their_bounds_is_not_misled():
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(100):
        # Ten plans that all miss the target by a little: one of them is bound to look good.
        samples = [Sample([(rng.random(60) < 0.89).astype(float)]) for _ in range(10)]
        wrong += max(bounds_together(samples, 0.75)) >= 0.9
    assert wrong <= 25


def test_a_plan_promises_no_more_than_those_found_better_by_other_queries():
    samples = [Sample([np.full(50, recall)]) for recall in (0.9, 1.0, 0.5, 0.7)]
    lows = bounds_together(samples, 0.95)
    assert lows[1] == lows[0]
    assert lows[3] == lows[2] < lows[0]
    assert bounds_together([], 0.95) == []


# ── exact answers and recall ────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=20)
@given(seed=st.integers(0, 2**31), k=st.integers(1, 8), copies=st.integers(1, MOST_COPIES))
def test_recall_is_the_share_of_the_exact_answer_without_the_rows_left_out(seed, k, copies):
    rng = np.random.default_rng(seed)
    rows = rng.integers(-3, 4, size=(40, 6)).astype(np.float32)  # coarse, so that scores tie
    rows[10 : 10 + copies] = rows[5]
    vectors = StoredVectors(rows)
    own = np.flatnonzero((rows == rows[5]).all(axis=1))
    if len(own) > MOST_COPIES or not rows[5].any():
        return
    left_out = np.full((1, MOST_COPIES), -1)
    left_out[0, : len(own)] = own
    queries = QuerySet.of("row", rows[5:6], left_out)
    examined = Examined.of(queries, vectors, k, 1)
    chosen = np.sort(rng.choice(40, 25, replace=False))[None]
    scores, found = vectors.rank(queries.vectors, chosen, 6, k + MOST_COPIES)
    recall = examined.recalls(scores, found, k)[0]

    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    exact = {row: float(unit[row] @ queries.vectors[0]) for row in range(40) if row not in own}
    kth = sorted(exact.values(), reverse=True)[k - 1]
    expected = min(k, sum(exact[row] >= kth - 1e-6 for row in chosen[0] if row in exact)) / k
    assert recall == pytest.approx(expected)


def test_queries_without_a_direction_are_dropped():
    queries = QuerySet.of("given", np.array([[1, 1], [0, 0], [np.nan, 1]], dtype=np.float32))
    assert len(queries) == 1
    np.testing.assert_allclose(queries.vectors, [[0.5**0.5, 0.5**0.5]], rtol=1e-6)


def test_time_decides_how_many_queries_are_examined():
    rows = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    given_, vectors = GivenQueries(rows, seed=0), StoredVectors(rows)
    assert len(examine(given_, vectors, 5, most=1000, fewest=1, until=0, threads=1)[0]) == 64
    everything = examine(GivenQueries(rows, 0), vectors, 5, most=1000, fewest=1, until=time.monotonic() + 60, threads=1)
    assert len(everything[0]) == 300
    first, rest = split(everything, 64)
    assert (len(first[0]), len(rest[0])) == (64, 236)
    assert [len(part[0]) for part in split([rest[0].part(slice(0, 10))], 64)] == [3, 7]
    joined = first[0].joined(rest[0])
    np.testing.assert_array_equal(joined.exact, everything[0].exact)
    np.testing.assert_array_equal(
        np.sort(joined.queries.vectors, axis=0), np.sort(everything[0].queries.vectors, axis=0)
    )


# ── queries ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """An index of 3,000 documents over HNSW, a tenth of which repeat, not calibrated."""
    root = tmp_path_factory.mktemp("small")
    texts = make_texts(2700)
    texts += texts[:300]
    rows = [{"_id": str(i), "title": text.split()[0], "text": text} for i, text in enumerate(texts)]
    corpus = Corpus([write_lines(root / "corpus.jsonl", rows)])
    options = BuildOptions(dims=8, shortlist="hnsw", shortlist_values={"links": 8}, calibration=None)
    build_index(corpus, make_encoder(), root / "index", options)
    return root / "index"


@pytest.fixture
def opened(small):
    generation = OpenedGeneration(small / "generations" / "000001")
    yield generation
    generation.close()


@pytest.fixture
def measured_however_small(monkeypatch):
    monkeypatch.setattr(run, "_AT_ONCE", 0)


def sampled(opened, encoder, seed=0, fields=("title", "text")):
    return SampledQueries(opened.vectors, opened.distinct, opened.documents, fields, encoder, seed)


def test_stand_ins_are_words_of_the_texts_and_the_same_for_the_same_seed(opened):
    class Spy:
        def __init__(self):
            self.texts = []

        def encode_queries(self, texts):
            self.texts += texts
            return make_encoder().encode_queries(texts)

    spies = [Spy(), Spy(), Spy()]
    phrase, words = sampled(opened, spies[0], seed=1).draw(50)
    sampled(opened, spies[1], seed=1).draw(50)
    sampled(opened, spies[2], seed=2).draw(50)
    assert (phrase.kind, words.kind, len(phrase), len(words)) == ("phrase", "words", 50, 50)
    assert spies[0].texts == spies[1].texts != spies[2].texts
    phrases, made_up = spies[0].texts[:50], spies[0].texts[50:]
    assert {len(text.split()) for text in phrases} == {1, 2, 3}
    assert {len(text.split()) for text in made_up} == {2, 3, 4, 5}
    assert all(part.startswith("w") for text in made_up for part in text.split())
    # The document that a phrase is from, and every equal one, is left out; made-up queries are from none.
    for text, rows in zip(phrases, phrase.left_out, strict=True):
        documents = opened.documents.fetch(rows[rows >= 0].tolist())
        assert documents
        for document in documents:
            assert f" {text} " in f" {document.payload['title']} {document.payload['text']} "
    assert (words.left_out == -1).all()
    assert max((phrase.left_out >= 0).sum(axis=1)) == 2


def test_stand_ins_are_vectors_where_there_is_no_text_or_no_encoder(opened):
    for source in (sampled(opened, None), sampled(opened, make_encoder(), fields=("nosuch",))):
        row, mixed = source.draw(20)
        assert (row.kind, mixed.kind, len(row), len(mixed)) == ("row", "mixed rows", 20, 20)
        first = opened.vectors.prefixes(row.left_out[:, 0], DIMENSION)
        np.testing.assert_allclose(row.vectors, first, atol=1e-6)


def test_vectors_that_too_many_rows_share_are_not_asked_for(tmp_path):
    texts = ["w1 w2"] * (MOST_COPIES + 1) + ["w3 w4"] * MOST_COPIES
    rows = [{"_id": str(i), "text": text} for i, text in enumerate(texts)]
    corpus = Corpus([write_lines(tmp_path / "c.jsonl", rows)])
    result = build_index(corpus, make_encoder(), tmp_path / "index", BuildOptions(calibration=None))
    opened = OpenedGeneration(result.path)
    row, _ = sampled(opened, None).draw(10)
    opened.close()
    np.testing.assert_array_equal(row.left_out, [range(MOST_COPIES + 1, 2 * MOST_COPIES + 1)] * 10)


def test_queries_are_read_from_rows_or_lines(tmp_path):
    rows = write_lines(tmp_path / "q.jsonl", [{"text": "one"}, {"query": " two "}, {"text": ""}])
    assert read_queries(rows) == ["one", "two"]
    lines = tmp_path / "q.txt"
    lines.write_text("one\n\n two\n", encoding="utf-8")
    assert read_queries(lines) == ["one", "two"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("q.jsonl", '{"body": "x"}\n', r"q.jsonl line 1: a query needs 'text' or 'query', the row has \['body'\]"),
        ("q.jsonl", "{broken\n", "q.jsonl line 1: bad JSON"),
        ("q.txt", "\n \n", "q.txt holds no query"),
        ("q.txt", None, "cannot read queries .*q.txt"),
    ],
)
def test_a_broken_file_of_queries_is_told(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        read_queries(tmp_path / name)


# ── plans to try ────────────────────────────────────────────────────────────────────────────────────────────────────

points = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=30)


def trial(recall, milliseconds):
    return Trial(Plan(10, 8, 20, None, (FunnelStage(8, 10),), SCAN), recall / 20, float(milliseconds))


def recall_of(one):
    return one.recall


@given(points)
def test_the_front_is_what_no_other_beats(values):
    trials = [trial(*value) for value in values]
    best = front(trials, recall_of)
    assert all(a.milliseconds < b.milliseconds and a.recall < b.recall for a, b in combinations(best, 2))
    for one in trials:
        assert any(other.recall >= one.recall and other.milliseconds <= one.milliseconds for other in best)


@given(points, st.integers(2, 6))
def test_a_thinned_front_is_short_and_keeps_the_best(values, most):
    best = front([trial(*value) for value in values], recall_of)
    kept = thinned(best, recall_of, most)
    assert len(kept) <= most
    assert kept[-1] == best[-1]
    assert [one for one in best if one in kept] == kept


def test_plans_are_tried_until_nothing_is_gained_and_none_slower_than_a_scan_is_kept(opened):
    tried = []

    def attempt(plan):
        tried.append(plan)
        work = 500.0 if plan.single else plan.candidates + (plan.effort or 0) / 10 + 50 * (plan.structure == SCAN)
        return Trial(plan, 1.0 if plan.single else min(0.97, 0.6 + plan.candidates / 500), work)

    grid = Grid(opened.shortlist, "hnsw", 8, (8, 16, DIMENSION), 3000, 10)
    found = grid.narrowed(attempt, 5, math.inf)
    assert tried[0] == grid.exact
    assert 1 < len(found) <= 5
    assert all(one.milliseconds < 500 and not one.plan.single for one in found)
    lengths = [plan.candidates for plan in tried]
    assert max(lengths) <= 400
    # More effort gained nothing twice: the third is the last that is tried.
    climbed = [plan for plan in tried if plan.candidates == 50 and plan.effort in opened.shortlist.efforts(50)]
    assert sum(plan.structure == "hnsw" and len(plan.stages) == 1 for plan in climbed) == 3
    funnels = {plan.stages for plan in tried if len(plan.stages) > 1}
    assert ((16, 25), (DIMENSION, 10)) in funnels
    for plan in tried:
        keeps = [plan.candidates, *(stage.keep for stage in plan.stages)]
        assert keeps == sorted(keeps, reverse=True)
        assert all(keep >= 10 + MOST_COPIES for keep in keeps[:-1]) or plan.single


def test_between_two_plans_far_apart_others_are_tried(opened, monkeypatch):
    lengths = set()

    def attempt(plan):
        if plan.structure == SCAN:
            return Trial(plan, 1.0 if plan.single else 0.5, 1e6)
        lengths.add(plan.candidates)
        return Trial(plan, 1 - plan.effort**-0.5, float(plan.effort))

    found = Grid(opened.shortlist, "hnsw", DIMENSION, (DIMENSION,), 3000, 10).narrowed(attempt, 100, math.inf)
    # The structure ranks by all dimensions already: a longer list for the rerank would be for nothing.
    assert lengths == {15}
    misses = [1 - one.recall for one in found]
    assert all(high > 0.8 * low for low, high in pairwise(misses))
    monkeypatch.setattr(type(opened.shortlist), "exact_scores", False)
    Grid(opened.shortlist, "hnsw", DIMENSION, (DIMENSION,), 3000, 10).narrowed(attempt, 100, math.inf)
    assert lengths == {15, 20}  # a little longer, where scores are estimates
    monkeypatch.setattr(type(opened.shortlist), "close_scores", False)
    Grid(opened.shortlist, "hnsw", DIMENSION, (DIMENSION,), 3000, 10).narrowed(attempt, 100, math.inf)
    assert max(lengths) == 400


def test_plans_are_not_tried_when_the_time_is_over(opened):
    tried = []

    def attempt(plan):
        tried.append(plan)
        return Trial(plan, 0.9, 1.0)

    Grid(opened.shortlist, "hnsw", 8, (8, DIMENSION), 3000, 10).narrowed(attempt, 5, until=0)
    assert len(tried) <= 3


def test_the_meter_finds_what_a_search_finds(opened):
    queries = make_encoder().encode_queries(make_texts(30, seed=9))
    examined = [Examined.of(QuerySet.of("given", queries), opened.vectors, 10, 1)]
    plan = Plan(10, 8, 20, 20, (FunnelStage(DIMENSION, 10),), "hnsw")
    meter = Meter(opened.ranker, 1)
    sample = meter.sample(plan, examined)
    with Index.open(opened.path.parent.parent, encoder=make_encoder()) as index:
        scores, _ = index.rank(queries, plan)
        exact, _ = index.rank(queries, index.plan(SearchOptions(dims=DIMENSION)))
    assert sample.mean == pytest.approx(float(np.mean(scores >= exact[:, -1:] - 1e-6)))
    assert meter.samples([plan], examined, until=math.inf)[0].mean == pytest.approx(sample.mean)
    assert meter.trial(plan, examined).recall == sample.mean
    times = meter.milliseconds([plan, plan], [NEVER, NEVER], queries[:, None], 3, 5, until=0)
    assert len(times) == 2
    assert all(0 < milliseconds < 1000 for milliseconds in times)


# ── calibration ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_measured_is_a_front_of_bounded_plans(opened, measured_however_small):
    started = time.monotonic()
    facts = calibrate(opened, make_encoder(), options=CalibrationOptions(k=(1, 10), seconds=2))
    assert time.monotonic() - started < 20
    assert (facts.queries, facts.confidence) == ("sampled", 0.95)
    assert {plan.k for plan in facts.plans} == {1, 10}
    for k in (1, 10):
        own = [plan for plan in facts.plans if plan.k == k]
        assert own[-1].exact
        assert (own[-1].recall, own[-1].recall_low) == (1, 1)
        assert all(a.milliseconds < b.milliseconds and a.recall_low < b.recall_low for a, b in combinations(own, 2))
        assert all(plan.recall_low < plan.recall for plan in own[:-1])


def test_a_small_index_promises_a_scan_at_once(opened):
    facts = calibrate(opened, make_encoder())
    assert facts.kinds == {}
    assert [(plan.k, plan.exact, plan.recall_low) for plan in facts.plans] == [(10, True, 1), (100, True, 1)]
    assert facts.seconds < 2


class CountedMeter(Meter):
    """Costs of plans by counting, so that tests need no clock."""

    def _seconds(self, query, plan):
        return (1e6 if plan.single else plan.candidates * 10 + (plan.effort or 1000)) / 1e6


def calibration(opened, queries=None, **options):
    options = CalibrationOptions(**{"k": (10,), "seconds": 30, **options})
    one = run.Calibration(opened, make_encoder(), queries, options, lambda event, facts: None)
    one.worthwhile, one.meter = True, CountedMeter(opened.ranker, 1)
    return one


def test_promises_hold_on_queries_that_calibration_never_saw(opened):
    real = make_encoder().encode_queries(make_texts(1500, seed=77))
    facts = calibration(opened, real[:700]).run()
    assert facts.queries == "given"
    assert facts.kinds == {"given": 700 - 175}
    others = [Examined.of(QuerySet.of("given", real[700:]), opened.vectors, 10, 1)]
    assert sum(not plan.exact for plan in facts.plans) >= 3
    for plan in facts.plans[:-1]:
        as_plan = Plan(plan.k, plan.dims, plan.candidates, plan.effort, plan.stages, plan.structure)
        assert Meter(opened.ranker, 1).sample(as_plan, others).mean >= plan.recall_low


def test_few_given_queries_all_go_into_the_bounds(opened):
    real = make_encoder().encode_queries(make_texts(90, seed=77))
    assert calibration(opened, real).run().kinds == {"given": 90}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": ()}, "k none: give numbers of at least 1"),
        ({"k": (0, 10)}, "k 0, 10: give numbers of at least 1"),
        ({"seconds": 0}, "seconds 0: give more than 0"),
        ({"confidence": 1}, "confidence 1: give 0.5 or more, and less than 1"),
    ],
)
def test_impossible_options_are_refused(changes, message):
    with pytest.raises(InvalidOptionError, match=message):
        CalibrationOptions(**changes)


def test_the_time_grows_with_the_index_up_to_a_minute():
    times = [CalibrationOptions().time_for(rows, 256) for rows in (1000, 40_000, 1_000_000, 100_000_000)]
    assert times == sorted(times)
    assert times[0] < 1
    assert times[1] < 6
    assert times[-1] == 60
    assert CalibrationOptions(seconds=3).time_for(10**9, 256) == 3


@pytest.fixture
def index_copy(small, tmp_path):
    import shutil

    shutil.copytree(small, tmp_path / "index")
    return tmp_path / "index"


def test_a_published_index_is_calibrated_again_and_nothing_else_changes(index_copy, measured_however_small):
    folder = index_copy / "generations" / "000001"
    before = Manifest.read(folder)
    assert before.plans == ()
    told = []
    manifest = calibrate_index(
        index_copy,
        make_texts(60, seed=5),
        CalibrationOptions(k=(10,), seconds=2),
        encoder=make_encoder(),
        report=lambda event, facts: told.append(event),
    )
    assert Manifest.read(folder) == manifest
    assert manifest.calibration.queries == "given"
    assert manifest.model_copy(update={"calibration": None}) == before
    assert manifest.differing_files(folder) == []
    assert set(told) == {"calibrate"}
    again = calibrate_index(index_copy, make_encoder().encode_queries(make_texts(60)), CalibrationOptions(k=(5,)))
    assert {plan.k for plan in again.plans} == {5}


def test_calibrating_needs_the_lock_and_an_index(index_copy, tmp_path):
    with Generations(index_copy).locked(), pytest.raises(BundleBusyError, match="another process is changing"):
        calibrate_index(index_copy, encoder=make_encoder())
    with pytest.raises(BundleNotFoundError, match="no index is published"):
        calibrate_index(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.zeros((3, 5)), r"query vectors of shape \(3, 5\): give at least one of 32 dimensions"),
        (np.zeros((0, 32)), r"query vectors of shape \(0, 32\)"),
        (np.full((1, 32), np.nan), "a query vector holds NaN or infinity"),
    ],
)
def test_given_vectors_are_checked(index_copy, vectors, message):
    with pytest.raises(InvalidOptionError, match=message):
        calibrate_index(index_copy, vectors, encoder=make_encoder())


# ── the choice of a plan ────────────────────────────────────────────────────────────────────────────────────────────


def calibrated(k, recall_low, milliseconds, candidates=50, effort=100, between=()):
    stages = (*(FunnelStage(*stage) for stage in between), FunnelStage(32, k))
    return CalibratedPlan(
        k=k,
        structure="hnsw",
        dims=8,
        candidates=candidates,
        effort=effort,
        stages=stages,
        recall=min(1.0, recall_low + 0.01),
        recall_low=recall_low,
        milliseconds=milliseconds,
    )


def scan(k, milliseconds):
    stages = (FunnelStage(32, k),)
    return CalibratedPlan(
        k=k, structure=SCAN, dims=32, candidates=k, effort=None, stages=stages, recall=1, recall_low=1,
        milliseconds=milliseconds,
    )  # fmt: skip


PLANS = (
    calibrated(10, 0.8, 0.1),
    calibrated(10, 0.93, 0.2),
    calibrated(10, 0.96, 0.4, candidates=100, between=[(16, 40)]),
    calibrated(10, 0.985, 1.0),
    scan(10, 3.0),
    calibrated(100, 0.9, 0.5, candidates=200),
    scan(100, 3.5),
)


@pytest.mark.parametrize(
    ("options", "milliseconds", "met"),
    [
        ({}, 0.4, True),
        ({"recall": 0.9}, 0.2, True),
        ({"recall": 0.96}, 0.4, True),
        ({"recall": 0.99}, 3.0, True),
        ({"recall": 1.0}, 3.0, True),
        ({"milliseconds": 0.5}, 0.4, True),
        ({"milliseconds": 100}, 3.0, True),
        ({"milliseconds": 0.01}, 0.1, False),
        ({"recall": 0.9, "milliseconds": 1.0}, 0.2, True),
        ({"recall": 0.99, "milliseconds": 1.0}, 1.0, False),
        ({"recall": 0.99, "milliseconds": 0.05}, 0.1, False),
        ({"k": 3}, 0.4, True),
        ({"k": 11, "recall": 0.9}, 0.5, True),
    ],
)
def test_the_fastest_plan_that_holds_is_chosen_or_the_closest(options, milliseconds, met):
    plan = choose_plan(PLANS, SearchOptions(**options), 3000)
    assert (plan.promise.milliseconds, plan.promise.met) == (milliseconds, met)
    assert plan.k == plan.stages[-1].keep == options.get("k", 10)


def test_a_chosen_plan_is_the_calibrated_one_with_its_promise():
    plan = choose_plan(PLANS, SearchOptions(recall=0.95), 3000)
    assert plan == Plan(
        10, 8, 100, 100, (FunnelStage(16, 40), FunnelStage(32, 10)), "hnsw", promise=Promise(0.97, 0.96, 0.4)
    )
    tiny = choose_plan(PLANS, SearchOptions(k=10), 30)
    assert (tiny.k, tiny.candidates, tiny.stages[0].keep) == (10, 30, 30)
    assert choose_plan(PLANS, SearchOptions(), 4).k == 4


def test_where_nobody_says_a_slow_scan_is_not_taken_for_a_bound_that_falls_short():
    near = calibrated(10, 0.94, 0.2)
    assert DEFAULT_RECALL == 0.95
    assert choose_plan([near, scan(10, 1.9)], SearchOptions(), 3000).structure == SCAN
    plan = choose_plan([near, scan(10, 2.1)], SearchOptions(), 3000)
    assert (plan.structure, plan.promise.met) == ("hnsw", False)
    # Who asks for a recall gets it.
    assert choose_plan([near, scan(10, 2.1)], SearchOptions(recall=0.95), 3000).structure == SCAN


def test_more_results_than_were_calibrated_are_exact_where_a_recall_is_asked_for_else_scaled():
    plan = choose_plan(PLANS, SearchOptions(k=250, recall=0.9), 3000)
    assert (plan.single, plan.k, plan.promise.recall_low) == (True, 250, 1)
    plan = choose_plan(PLANS, SearchOptions(k=250), 3000)
    assert (plan.structure, plan.k, plan.promise) == (SCAN, 250, Promise(1, 1, 3.5, True))
    plan = choose_plan(PLANS, SearchOptions(k=250, milliseconds=2), 3000)
    assert (plan.structure, plan.k, plan.candidates, plan.effort, plan.promise) == ("hnsw", 250, 600, 300, None)


def test_a_promise_is_not_made_for_filtered_searches_unless_they_are_exact():
    condition = object()
    assert choose_plan(PLANS, SearchOptions(filter=condition), 3000).promise is None
    assert choose_plan(PLANS, SearchOptions(filter=condition, recall=1.0), 3000).promise.recall_low == 1


@pytest.mark.parametrize("options", [{"dims": 8}, {"candidates": 50}, {"effort": 5}, {"stages": (FunnelStage(8, 20),)}])
def test_a_plan_by_hand_is_left_to_the_hand(options):
    assert choose_plan(PLANS, SearchOptions(**options), 3000) is None
    with pytest.raises(InvalidOptionError, match=f"recall together with {next(iter(options))}: give either"):
        choose_plan(PLANS, SearchOptions(**options, recall=0.9), 3000)


@pytest.mark.parametrize(
    ("options", "plans", "message"),
    [
        ({"recall": 0}, PLANS, "recall 0: give more than 0 and at most 1"),
        ({"recall": 1.1}, PLANS, "recall 1.1"),
        ({"recall": math.nan}, PLANS, "recall nan"),
        ({"milliseconds": 0}, PLANS, "milliseconds 0: give more than 0"),
        ({"milliseconds": -1}, PLANS, "milliseconds -1"),
        ({"recall": 0.9, "milliseconds": 1, "dims": 8}, PLANS, "recall and milliseconds together with dims"),
        ({"recall": 0.9}, (), "recall: the index has no calibrated plans; measure them with mrl index calibrate"),
    ],
)
def test_impossible_targets_are_refused(options, plans, message):
    with pytest.raises(InvalidOptionError, match=message):
        choose_plan(plans, SearchOptions(**options), 3000)


def test_without_calibrated_plans_there_is_nothing_to_choose():
    assert choose_plan((), SearchOptions(), 3000) is None


plans_of_ten = st.lists(
    st.tuples(st.integers(1, 99), st.integers(1, 50)).map(lambda pair: calibrated(10, pair[0] / 100, pair[1] / 10)),
    min_size=1,
    max_size=12,
)


@given(plans_of_ten, st.floats(0.01, 1), st.floats(0.05, 6))
def test_the_choice_is_what_a_search_over_all_plans_gives(plans, recall, milliseconds):
    promise = choose_plan(plans, SearchOptions(recall=recall, milliseconds=milliseconds), 3000).promise
    fit = [plan for plan in plans if plan.recall_low >= recall and plan.milliseconds <= milliseconds]
    in_time = [plan for plan in plans if plan.milliseconds <= milliseconds]
    assert promise.met == bool(fit)
    if fit:
        assert promise.milliseconds == min(plan.milliseconds for plan in fit)
        assert promise.recall_low >= recall
    elif in_time:
        assert promise.recall_low == max(plan.recall_low for plan in in_time)
    else:
        assert promise.milliseconds == min(plan.milliseconds for plan in plans)


# ── the choice of a structure ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("runs", "kind"), [(True, "symqg"), (False, "hnsw")])
def test_small_indexes_are_flat_by_rule_and_large_ones_what_the_machine_runs(monkeypatch, runs, kind):
    monkeypatch.setattr(shortlist_type("symqg"), "unavailable", lambda build=True: None if runs else "it cannot")
    nesting = Nesting((64, 128, 256))
    assert structure.default_structure(1000, nesting, None).kind == "flat"
    large = structure.default_structure(100_000, nesting, None)
    assert (large.kind, large.dims) == (kind, 128)
    assert large.options == shortlist_type(kind).options_type().model_dump()
    assert structure.default_structure(1000, nesting, 64).dims == 64


@pytest.fixture
def chosen(opened, monkeypatch):
    monkeypatch.setattr(structure, "_SCANNED_AT_ONCE", 0)
    monkeypatch.setattr(structure, "_SAMPLE", 800)
    monkeypatch.setattr(structure, "KINDS", ("flat", "hnsw"))
    monkeypatch.setattr(structure, "_KINDS_BY_RULE", ("hnsw",))

    def choose(target, dims=None):
        return structure.choose_structure(
            opened.vectors,
            opened.distinct,
            sampled(opened, make_encoder()),
            Nesting((8, DIMENSION)),
            dims,
            target,
            lambda event, facts: None,
        )

    return choose


def test_a_structure_is_chosen_for_a_target_among_those_that_fit_the_memory(chosen):
    facts, target = chosen(Target(recall=0.9))
    tried = {(one.kind, one.dims) for one in target.considered}
    assert tried == {(kind, dims) for kind in ("flat", "hnsw") for dims in (8, DIMENSION)}
    storages = {one.options["storage"] for one in target.considered if one.kind == "hnsw"}
    assert storages == {"fp32", "fp16", "sq8"}
    assert (facts.kind, facts.dims) == (target.considered[0].kind, target.considered[0].dims)
    holding = [one for one in target.considered if one.milliseconds is not None]
    assert target.considered[0].milliseconds == min(one.milliseconds for one in holding)
    assert all(one.recall >= 0.9 for one in holding)
    # 2,700 distinct vectors of 8 float32, and the list of those that repeat.
    tight = 2700 * 8 * 4 + 60_000
    facts, target = chosen(Target(recall=0.9, memory=tight))
    assert (facts.kind, facts.dims) == ("flat", 8)
    assert target.considered[0].memory <= tight < target.considered[1].memory
    facts, target = chosen(Target(memory=10), dims=8)
    assert target.considered[0].memory == min(one.memory for one in target.considered)


def test_with_a_time_alone_the_structure_that_finds_most_in_it_is_chosen(chosen):
    _, target = chosen(Target(milliseconds=1000), dims=16)
    assert {one.dims for one in target.considered} == {16}
    assert target.considered[0].recall == max(one.recall for one in target.considered)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"recall": 1.5}, "recall 1.5: give more than 0 and at most 1"),
        ({"milliseconds": 0}, "milliseconds 0: give more than 0"),
        ({"memory": -5}, "memory -5: give more than 0"),
    ],
)
def test_impossible_build_targets_are_refused(values, message):
    with pytest.raises(InvalidOptionError, match=message):
        Target(**values)


def test_the_manifest_of_an_index_with_plans_reads_back(tmp_path):
    rows = [{"_id": str(i), "text": text} for i, text in enumerate(make_texts(200))]
    corpus = Corpus([write_lines(tmp_path / "c.jsonl", rows)])
    result = build_index(corpus, make_encoder(), tmp_path / "index", BuildOptions(target=Target(memory=10)))
    manifest = Manifest.read(result.path)
    assert manifest.plans[0].stages == (FunnelStage(DIMENSION, 10),)
    assert isinstance(manifest.plans[0].stages[0], FunnelStage)
    assert json.loads((result.path / "manifest.json").read_text())["calibration"]["plans"][0]["stages"] == [[32, 10]]
    assert result.missed == manifest.target.missed
    assert "memory 1e-05 MB: the smallest structure there is takes" in result.missed[0]
