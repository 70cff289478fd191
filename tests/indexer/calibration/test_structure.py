import pytest

from indexer.calibration import Target, structure
from indexer.calibration.queries import SampledQueries
from indexer.progress import silent
from indexer.shortlist import shortlist_type
from models import Nesting
from tests.conftest import DIMENSION, make_encoder


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
    monkeypatch.setattr(structure, "_SAMPLE", 400)
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
    tried = {(found.kind, found.dims) for found in target.considered}
    assert tried == {(kind, dims) for kind in ("flat", "hnsw") for dims in (8, DIMENSION)}
    storages = {found.options["storage"] for found in target.considered if found.kind == "hnsw"}
    assert storages == {"fp32", "fp16", "sq8"}
    assert (facts.kind, facts.dims) == (target.considered[0].kind, target.considered[0].dims)
    holding = [found for found in target.considered if found.milliseconds is not None]
    assert target.considered[0].milliseconds == min(found.milliseconds for found in holding)
    assert all(found.recall >= 0.9 for found in holding)
    # 2,700 distinct vectors of 8 float32, and the list of those that repeat.
    tight = 2700 * 8 * 4 + 60_000
    facts, target = chosen(Target(recall=0.9, memory=tight))
    assert (facts.kind, facts.dims) == ("flat", 8)
    assert target.considered[0].memory <= tight < target.considered[1].memory
    facts, target = chosen(Target(memory=10), dims=8)
    assert target.considered[0].memory == min(found.memory for found in target.considered)


def test_with_a_time_alone_the_structure_that_finds_most_in_it_is_chosen(chosen):
    _, target = chosen(Target(milliseconds=1000), dims=16)
    assert {found.dims for found in target.considered} == {16}
    assert target.considered[0].recall == max(found.recall for found in target.considered)
