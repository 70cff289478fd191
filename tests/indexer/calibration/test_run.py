import json
import math
import time
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer import BuildOptions, Corpus, Index, SearchOptions, build_index
from indexer.calibration import CalibrationOptions, Target, calibrate_index, run, structure
from indexer.calibration.exact_answers import QueriesWithAnswers
from indexer.calibration.grid import Grid
from indexer.calibration.measure import NO_SECOND_PASS, Meter, Trial
from indexer.calibration.pareto import pareto_front, prune_front
from indexer.calibration.queries import MOST_COPIES, QuerySet, SampledQueries
from indexer.calibration.run import calibrate
from indexer.errors import BundleBusyError, BundleNotFoundError
from indexer.plan import SCAN, FunnelStage, Plan
from indexer.progress import Calibrating, silent
from indexer.shortlist import shortlist_type
from indexer.storage.generations import Generations
from indexer.storage.manifest import Manifest
from models import InvalidOptionError, Nesting
from tests.conftest import DIMENSION, make_encoder, make_texts, write_lines

# ── plans to try ────────────────────────────────────────────────────────────────────────────────────────────────────

points = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=30)


def trial(recall, milliseconds):
    return Trial(Plan(10, 8, 20, None, (FunnelStage(8, 10),), SCAN), recall / 20, float(milliseconds))


def recall_of(one):
    return one.recall


@given(points)
def test_the_front_is_what_no_other_beats(values):
    trials = [trial(*value) for value in values]
    best = pareto_front(trials, recall_of)
    assert all(a.milliseconds < b.milliseconds and a.recall < b.recall for a, b in combinations(best, 2))
    for one in trials:
        assert any(other.recall >= one.recall and other.milliseconds <= one.milliseconds for other in best)


@given(points, st.integers(2, 6))
def test_a_thinned_front_is_short_and_keeps_the_best(values, most):
    best = pareto_front([trial(*value) for value in values], recall_of)
    kept = prune_front(best, recall_of, most)
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
    answered = [QueriesWithAnswers.of(QuerySet.of("given", queries), opened.vectors, 10, 1)]
    plan = Plan(10, 8, 20, 20, (FunnelStage(DIMENSION, 10),), "hnsw")
    meter = Meter(opened.ranker, 1)
    sample = meter.recalls(plan, answered)
    with Index.open(opened.path.parent.parent, encoder=make_encoder()) as index:
        scores, _ = index.rank(queries, plan)
        exact, _ = index.rank(queries, index.plan(SearchOptions(dims=DIMENSION)))
    assert sample.mean == pytest.approx(float(np.mean(scores >= exact[:, -1:] - 1e-6)))
    assert meter.recalls_of([plan], answered, until=math.inf)[0].mean == pytest.approx(sample.mean)
    assert meter.trial(plan, answered).recall == sample.mean
    times = meter.milliseconds([plan, plan], [NO_SECOND_PASS, NO_SECOND_PASS], queries[:, None], 3, 5, until=0)
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
    one = run.Calibration(opened, make_encoder(), queries, options, silent)
    one.worthwhile, one.meter = True, CountedMeter(opened.ranker, 1)
    return one


def test_promises_hold_on_queries_that_calibration_never_saw(opened):
    real = make_encoder().encode_queries(make_texts(1500, seed=77))
    facts = calibration(opened, real[:700]).run()
    assert facts.queries == "given"
    assert facts.kinds == {"given": 700 - 175}
    others = [QueriesWithAnswers.of(QuerySet.of("given", real[700:]), opened.vectors, 10, 1)]
    assert sum(not plan.exact for plan in facts.plans) >= 3
    for plan in facts.plans[:-1]:
        as_plan = Plan(plan.k, plan.dims, plan.candidates, plan.effort, plan.stages, plan.structure)
        assert Meter(opened.ranker, 1).recalls(as_plan, others).mean >= plan.recall_low


def test_few_given_queries_all_go_into_the_bounds(opened):
    real = make_encoder().encode_queries(make_texts(90, seed=77))
    assert calibration(opened, real).run().kinds == {"given": 90}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": ()}, "k none: give numbers of at least 1"),
        ({"k": (0, 10)}, "k 0, 10: give numbers of at least 1"),
        ({"seconds": 0}, "seconds 0: give more than 0"),
        ({"confidence": 1}, "confidence 1: give at least 0.5 and less than 1"),
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
        report=told.append,
    )
    assert Manifest.read(folder) == manifest
    assert manifest.calibration.queries == "given"
    assert manifest.model_copy(update={"calibration": None}) == before
    assert manifest.differing_files(folder) == []
    assert set(map(type, told)) == {Calibrating}
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
    monkeypatch.setattr(structure, "_FIRST_SECONDS", 120)  # enough for all trials on a busy machine
    monkeypatch.setattr(structure, "_SAMPLE", 800)
    monkeypatch.setattr(structure, "KINDS", ("flat", "hnsw"))
    monkeypatch.setattr(structure, "_KINDS_BY_RULE", ("hnsw",))

    def choose(target, dims=None):
        return structure.choose_structure(
            opened.vectors,
            opened.distinct,
            SampledQueries(opened.vectors, opened.distinct, opened.documents, ("title", "text"), make_encoder(), 0),
            Nesting((8, DIMENSION)),
            dims,
            target,
            silent,
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
    assert "memory 1e-05 MB: the smallest structure takes" in result.missed[0]
