import pickle

import numpy as np
import pytest

from benchmarks.service.contenders import CONTENDERS
from benchmarks.service.contenders.base import Contender
from benchmarks.service.contenders.pgvector import PgVector
from benchmarks.service.peers import _Racer


class Ladder(Contender):
    """Each knob tells what it finds and how long it takes."""

    name = form = version = "ladder"
    asked = ({"found": 3, "ms": 1.0},)

    def __init__(self, *steps: tuple[int, float]) -> None:
        self.steps = steps

    @property
    def knobs(self):
        return tuple({"found": found, "ms": ms} for found, ms in self.steps)

    def build(self, corpus, folder):
        raise NotImplementedError

    def opened(self, corpus, folder):
        raise NotImplementedError


class Told(_Racer):
    def _measure(self, knob, payload, seconds):
        return (knob["ms"] + payload, knob["ms"] + 2), np.arange(100) < knob["found"]


def raced(*steps: tuple[int, float]) -> dict:
    racer = Told(Ladder(*steps), {"build_seconds": 1.0})
    racer.climb(lambda found: float(found.mean()), 1.0)
    racer.run(1.0)
    return racer.result()


def test_the_fastest_that_reaches_a_target_is_taken_and_not_the_first():
    at = raced((90, 1.0), (96, 4.0), (97, 3.0), (98, 5.0))["at"]
    assert at["0.95"]["knob"] == {"found": 97, "ms": 3.0}
    assert (at["0.95"]["recall"], at["0.95"]["p50_ms"], at["0.95"]["p95_ms"]) == (0.97, 3.0, 5.0)
    assert at["0.95"]["with_payload_p50_ms"] == 4.0
    assert at["0.99"] == "not reached"


def test_what_is_asked_for_is_measured_whatever_it_reaches():
    assert raced((99, 1.0))["at"]["asked for {'found': 3, 'ms': 1.0}"]["recall"] == 0.03


def test_a_ladder_is_left_once_everything_is_found():
    assert [step["recall"] for step in raced((96, 1.0), (100, 2.0), (100, 3.0))["ladder"]] == [0.96, 1.0]


@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda contender: contender.name)
def test_contenders_go_to_other_processes_and_their_ladders_rise(contender):
    assert pickle.loads(pickle.dumps(contender)) == contender
    assert len(contender.knobs) > 5
    for name in contender.knobs[0]:
        values = [knob[name] for knob in contender.knobs if name in knob]
        assert values[0] < values[-1]


def test_names_are_unique():
    assert len({contender.name for contender in CONTENDERS}) == len(CONTENDERS)


def test_pgvector_ranks_a_prefixs_candidates_by_whole_vectors():
    statement = PgVector(prefix=64).statement({"candidates": 50, "effort": 100}, payload=False)
    assert "subvector(full_, 1, 64)::vector(64) <=> %(prefix)s LIMIT 50" in statement
    assert statement.endswith("ORDER BY score LIMIT 10")
