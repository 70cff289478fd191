import math
import time

import numpy as np
import pytest

from indexer.calibration.measure import Trial
from indexer.calibration.queries import SampledQueries
from indexer.calibration.sample import Sample, TrialResult
from indexer.calibration.target import Target
from indexer.plan import SCAN, FunnelStage, Plan
from indexer.storage.manifest import ShortlistFacts
from models import InvalidOptionError

FLAT = ShortlistFacts(kind="flat", dims=8, options={})
HNSW = ShortlistFacts(kind="hnsw", dims=8, options={"links": 8})
PLAN = Plan(10, 8, 20, None, (FunnelStage(32, 10),), SCAN)


@pytest.fixture
def sample(opened):
    sampled = SampledQueries(opened.vectors, opened.distinct, opened.documents, ("text",), None, 0)
    return Sample.draw(opened.vectors, opened.distinct, sampled, 500)


def result(growth, *trials, structure=HNSW, power=0.5):
    return TrialResult(structure, 1000, [Trial(PLAN, *trial) for trial in trials], growth, power, 1.0)


def test_a_sample_is_of_distinct_vectors_and_excludes_only_rows_in_it(sample):
    assert len(sample) == len(np.unique(np.asarray(sample.vectors.stored), axis=0)) == 500
    row, mixed = sample.answered
    assert row.exact.shape[1] == 10
    excluded = row.queries.excluded
    assert (excluded < 500).all()
    for vector, rows in zip(row.queries.vectors, excluded, strict=True):
        for found in rows[rows >= 0]:
            np.testing.assert_allclose(sample.vectors.prefixes(np.array([found]), 32)[0], vector, atol=1e-6)
    assert (mixed.queries.excluded == -1).all()


def test_a_structure_is_built_and_its_plans_are_tried(sample):
    shortlist, trials = sample.trials(HNSW, 2700, until=0)
    assert shortlist.kind == "hnsw"
    assert trials
    assert all(trial.recall >= 0.5 for trial in trials)
    with pytest.raises(InvalidOptionError):
        sample.trials(ShortlistFacts(kind="ivf", dims=8, options={"cells": 501}), 2700, until=0)


@pytest.mark.parametrize(("structure", "power"), [(FLAT, 1), (HNSW, 0.5)], ids=["flat", "hnsw"])
def test_latency_is_assumed_to_grow_linearly_for_a_scan_only(sample, structure, power):
    tried = TrialResult.on(sample, structure, 2700, until=time.monotonic())
    assert (tried.growth, tried.power) == (5.4, power)
    assert tried.seconds > 0


def test_the_growth_of_latency_is_measured_between_two_samples():
    larger = result(2.0, (0.99, 0.4)).after(result(8.0, (0.99, 0.2)), Target(recall=0.9))
    assert larger.power == pytest.approx(math.log(2) / math.log(4))
    assert result(2.0, (0.99, 0.1)).after(result(8.0, (0.99, 0.2)), Target()).power == 0
    assert result(2.0, (0.99, 9.0)).after(result(8.0, (0.99, 0.2)), Target()).power == 1
    # Without a plan, a larger sample, or a structure that is not exact there is nothing to measure.
    for after, before in (
        (result(2.0), result(8.0, (0.99, 0.2))),
        (result(8.0, (0.99, 0.4)), result(8.0, (0.99, 0.2))),
        (result(2.0, (0.99, 0.4), structure=FLAT), result(8.0, (0.99, 0.2), structure=FLAT)),
    ):
        assert after.after(before, Target()) is after


def test_predictions_extrapolate_memory_and_the_latency_of_the_plan_that_reaches_the_target():
    tried = result(4.0, (0.93, 0.1), (0.99, 0.3), (0.999, 2.0))
    facts = tried.facts(Target(recall=0.98), 50)
    assert (facts.memory, facts.recall, facts.milliseconds) == (4050, 0.999, 0.6)
    assert (facts.kind, facts.dims, facts.options) == ("hnsw", 8, {"links": 8})
    within = tried.facts(Target(recall=0.98, milliseconds=0.5), 0)
    assert (within.recall, within.milliseconds) == (0.93, None)
    fast = tried.facts(Target(milliseconds=1), 0)
    assert (fast.recall, fast.milliseconds) == (0.99, 0.6)
    assert result(4.0).facts(Target(), 0).recall == 0
