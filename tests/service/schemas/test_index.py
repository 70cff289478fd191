import pytest
from pydantic import ValidationError

from service.schemas.compaction import CompactionFacts
from service.schemas.index import IndexAnswer, RollbackRequest


def test_facts_are_collected_from_the_index(opened):
    compaction = CompactionFacts(state="done", generation="000001")
    facts = IndexAnswer.from_index(opened, compaction)
    manifest = opened.manifest
    assert (facts.documents, facts.dimension, facts.sizes, facts.updates) == (1000, 32, [8, 16, 32], 0)
    assert (facts.generation, facts.model_hash) == ("000001", manifest.model.content_hash)
    assert facts.shortlist["dims"] == manifest.shortlist.dims
    assert facts.shortlist["kind"] == manifest.shortlist.kind
    assert facts.bytes_on_disk == sum(file.size for file in manifest.files.values())
    assert (facts.compaction, facts.calibration, facts.lexical) == (compaction, manifest.calibration, None)
    assert IndexAnswer.model_validate_json(facts.model_dump_json()) == facts


@pytest.mark.parametrize("body", [{"to": 2}, {"generation": "2"}])
def test_a_rollback_names_a_generation_or_none(body):
    assert RollbackRequest().to is None
    with pytest.raises(ValidationError):
        RollbackRequest.model_validate(body)
