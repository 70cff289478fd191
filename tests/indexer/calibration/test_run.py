import time
from itertools import combinations

from indexer.calibration import CalibrationOptions, run
from indexer.calibration.exact_answers import QueriesWithAnswers
from indexer.calibration.measure import Meter
from indexer.calibration.queries import QuerySet
from indexer.calibration.run import calibrate
from indexer.plan import Plan
from indexer.progress import silent
from tests.conftest import make_encoder, make_texts


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
    """Derives latencies from the plans, so that tests do not depend on a clock."""

    def _seconds(self, query, plan):
        return (1e6 if plan.single else plan.candidates * 10 + (plan.effort or 1000)) / 1e6


def calibration(opened, queries=None, **options):
    options = CalibrationOptions(**{"k": (10,), "seconds": 30, **options})
    made = run.Calibration(opened, make_encoder(), queries, options, silent)
    made.worthwhile, made.meter = True, CountedMeter(opened.ranker, 1)
    return made


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
    assert calibration(opened, real, seconds=5).run().kinds == {"given": 90}
