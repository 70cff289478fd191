import numpy as np
import pytest

from indexer.calibration.stop_rules import stop_rules
from indexer.plan import SCAN
from indexer.search.results import StageClock
from tests.indexer.rankers import K, graph_plan


def test_the_whole_beam_becomes_candidates_and_most_answers_equal_reading_all(ranker, answered):
    queries = answered[0].queries.vectors
    found = list(stop_rules(ranker, answered, graph_plan(160, candidates=60), 1))
    assert [(plan.candidates, plan.stop.probability, plan.stop.k) for plan in found] == [(160, 0.9, K), (160, 0.97, K)]
    _, rows = ranker.rank(queries, graph_plan(160, candidates=160), None, StageClock())
    for plan in found:
        clock = StageClock()
        _, stopped = ranker.rank(queries, plan, None, clock)
        assert np.mean((stopped == rows).all(axis=1)) >= plan.stop.probability
        assert K < clock.stages[-1].read < 160


@pytest.mark.parametrize(
    "plan",
    [graph_plan(160, candidates=60, structure=SCAN), graph_plan(20, candidates=20)],
    ids=["scan", "short-list"],
)
def test_scans_and_short_lists_read_all(ranker, answered, plan):
    assert list(stop_rules(ranker, answered, plan, 1)) == []


def test_too_few_queries_fit_no_gap(ranker, answered):
    assert list(stop_rules(ranker, [answered[0].part(slice(0, 30))], graph_plan(160, candidates=60), 1)) == []
