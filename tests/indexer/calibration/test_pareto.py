from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from indexer.calibration.measure import Trial
from indexer.calibration.pareto import pareto_front, prune_front
from indexer.plan import SCAN, FunnelStage, Plan

points = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=30)


def trial(recall, milliseconds):
    return Trial(Plan(10, 8, 20, None, (FunnelStage(8, 10),), SCAN), recall / 20, float(milliseconds))


def recall_of(trial):
    return trial.recall


@given(points)
def test_the_front_is_what_no_other_beats(values):
    trials = [trial(*value) for value in values]
    best = pareto_front(trials, recall_of)
    assert all(a.milliseconds < b.milliseconds and a.recall < b.recall for a, b in combinations(best, 2))
    for tried in trials:
        assert any(other.recall >= tried.recall and other.milliseconds <= tried.milliseconds for other in best)


@given(points, st.integers(2, 6))
def test_a_pruned_front_is_short_and_keeps_the_best(values, most):
    best = pareto_front([trial(*value) for value in values], recall_of)
    kept = prune_front(best, recall_of, most)
    assert len(kept) <= most
    assert kept[-1] == best[-1]
    assert [item for item in best if item in kept] == kept
