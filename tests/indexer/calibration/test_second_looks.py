import pytest

from indexer.calibration.measure import Meter
from indexer.calibration.second_looks import second_looks
from indexer.plan import SCAN
from tests.indexer.rankers import graph_plan


@pytest.fixture
def meter(ranker):
    return Meter(ranker, 1)


def test_several_shares_of_the_queries_are_tried(ranker, meter, answered):
    found = list(second_looks(meter, answered, graph_plan()))
    assert [plan.second_look.effort for plan in found] == [48, 48, 48]
    passes = [meter.second_pass(plan, answered) for plan in found]
    assert [share for share, _ in passes] == pytest.approx([0.1, 0.2, 0.4], abs=0.011)
    for plan, (share, hard) in zip(found, passes, strict=True):
        assert len(hard) == round(share * len(answered[0]))
        assert (ranker.candidates(hard, graph_plan(), None).scores[:, 0] < plan.second_look.below).all()
    recalls = [meter.recalls(plan, answered).mean for plan in [graph_plan(), *found, graph_plan(48)]]
    assert recalls == sorted(recalls)
    assert recalls[0] < recalls[2] < recalls[-1]


def test_scans_plans_without_effort_and_plans_with_a_second_look_have_no_variants(meter, answered):
    (looked, *_) = second_looks(meter, answered, graph_plan())
    for plan in (graph_plan(structure=SCAN), graph_plan(None), looked):
        assert list(second_looks(meter, answered, plan)) == []


def test_too_few_queries_fit_no_threshold(meter, answered):
    assert list(second_looks(meter, [answered[0].part(slice(0, 30))], graph_plan())) == []
