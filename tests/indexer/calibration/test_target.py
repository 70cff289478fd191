import json

import pytest

from indexer import BuildOptions, Corpus, build_index
from indexer.calibration import Target
from indexer.calibration.target import missed
from indexer.plan import FunnelStage
from indexer.storage.manifest import CalibratedPlan, Manifest, TargetFacts
from models import InvalidOptionError
from tests.conftest import DIMENSION, make_encoder, make_texts, write_lines


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


FACTS = {"memory": None, "considered": ()}


def measured(recall_low, milliseconds):
    return CalibratedPlan(
        k=10,
        structure="hnsw",
        dims=8,
        candidates=20,
        effort=20,
        stages=(FunnelStage(32, 10),),
        recall=1,
        recall_low=recall_low,
        milliseconds=milliseconds,
    )


@pytest.mark.parametrize(
    ("target", "messages"),
    [
        ({"recall": 0.9, "milliseconds": 1.0}, ()),
        ({"recall": 0.99, "milliseconds": None}, ("recall 0.99: the closest plan has recall 0.950 within 0.500 ms",)),
        (
            {"recall": None, "milliseconds": 0.1},
            ("0.1 ms per query: the closest plan has recall 0.950 within 0.500 ms",),
        ),
        ({"recall": None, "milliseconds": None}, ()),
    ],
)
def test_missed_parts_of_a_target_are_named(target, messages):
    assert missed(TargetFacts(**FACTS | target), [measured(0.95, 0.5)], 1000, 100) == messages


def test_without_plans_only_memory_can_be_missed():
    facts = TargetFacts(recall=0.9, milliseconds=1, memory=2_000_000, considered=())
    assert missed(facts, [], 1000, 2_000_000) == ()
    assert missed(facts, [], 1000, 3_000_000) == ("memory 2 MB: the smallest structure takes 3 MB",)


def test_only_a_time_without_a_recall_asks_for_the_highest_recall():
    assert Target(milliseconds=1, memory=5).time_alone
    assert not Target(recall=0.9, milliseconds=1).time_alone
    assert not Target().time_alone
