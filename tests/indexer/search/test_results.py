import time

import pytest

from indexer.search import results
from indexer.search.results import Stage, StageClock


@pytest.fixture
def clock(monkeypatch):
    """A clock whose readings are 0, 1, 2 … seconds."""
    ticks = iter(range(100))
    monkeypatch.setattr(results.time, "perf_counter", lambda: float(next(ticks)))
    return StageClock()


def test_stages_are_recorded_in_order_with_their_time_and_facts(clock):
    assert clock.run("encode", lambda: "value", dims=8) == "value"
    started = time.perf_counter()
    time.perf_counter()
    clock.add("shortlist", started, candidates_in=100, candidates_out=10, structure="scan")
    assert clock.stages == [
        Stage("encode", 1000.0, dims=8),
        Stage("shortlist", 2000.0, candidates_in=100, candidates_out=10, structure="scan"),
    ]


def test_a_stage_that_fails_is_not_recorded(clock):
    with pytest.raises(ZeroDivisionError):
        clock.run("encode", lambda: 1 / 0)
    assert clock.stages == []
