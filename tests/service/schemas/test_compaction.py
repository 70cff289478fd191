import pytest
from pydantic import ValidationError

from service.schemas.compaction import CompactionFacts


def test_before_the_first_compaction_there_is_nothing_to_tell():
    facts = CompactionFacts().model_dump()
    assert facts.pop("state") == "none"
    assert set(facts.values()) == {None}


def test_a_state_is_one_of_four():
    with pytest.raises(ValidationError, match="'none', 'running', 'done' or 'failed'"):
        CompactionFacts(state="paused")
