import math
from itertools import pairwise

from indexer.calibration.grid import Grid
from indexer.calibration.measure import Trial
from indexer.calibration.queries import MOST_COPIES
from indexer.plan import SCAN
from tests.conftest import DIMENSION


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
    assert all(trial.milliseconds < 500 and not trial.plan.single for trial in found)
    lengths = [plan.candidates for plan in tried]
    assert max(lengths) <= 400
    # More effort gained nothing twice, so the third is the last one tried.
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
    # The structure ranks by all dimensions already, so a longer list for the rerank is useless.
    assert lengths == {15}
    misses = [1 - trial.recall for trial in found]
    assert all(high > 0.8 * low for low, high in pairwise(misses))
    monkeypatch.setattr(type(opened.shortlist), "exact_scores", False)
    Grid(opened.shortlist, "hnsw", DIMENSION, (DIMENSION,), 3000, 10).narrowed(attempt, 100, math.inf)
    assert lengths == {15, 20}  # a little longer, because scores are estimates
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
