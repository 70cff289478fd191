import threading

import pytest

from indexer.errors import ModelMismatchError
from indexer.storage import recorded_model
from indexer.storage.manifest import ModelFacts
from indexer.storage.recorded_model import RecordedModel
from models import Prompts
from tests.conftest import make_encoder

FACTS = ModelFacts.of(make_encoder())


@pytest.fixture
def loaded(monkeypatch):
    """Replaces loading: the arguments of each call are listed, and the tiny encoder is returned."""
    calls = []

    def load(name, **options):
        calls.append((name, options))
        return make_encoder()

    monkeypatch.setattr(recorded_model, "load_encoder", load)
    return calls


def test_a_given_encoder_is_used_if_it_is_the_model(loaded):
    encoder = make_encoder()
    assert RecordedModel("index", FACTS, encoder, None, "cpu").encoder is encoder
    with pytest.raises(ModelMismatchError, match=r"index was built with model 'tiny' .* by --model, or build"):
        RecordedModel("index", FACTS, make_encoder(seed=1), None, "cpu")
    assert loaded == []


@pytest.mark.parametrize(("place", "name"), [(None, "tiny"), ("/elsewhere", "/elsewhere")], ids=["recorded", "moved"])
def test_the_model_is_loaded_once_with_what_is_recorded(loaded, place, name):
    facts = FACTS.model_copy(update={"query_prompt": "q: ", "document_prompt": "d: "})
    model = RecordedModel("index", facts, None, place, "cpu")
    assert facts.prompts == Prompts(query="q: ", document="d: ")
    assert loaded == []
    threads = [threading.Thread(target=lambda: model.encoder) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    options = {"nesting": facts.nesting, "query_prompt": "q: ", "document_prompt": "d: ", "device": "cpu"}
    assert loaded == [(name, options)]


def test_another_model_of_the_same_name_is_refused_at_every_use(loaded):
    model = RecordedModel("index", FACTS.model_copy(update={"content_hash": "0" * 64}), None, None, "cpu")
    for _ in range(2):
        with pytest.raises(ModelMismatchError, match="content 000000000000"):
            _ = model.encoder
    assert len(loaded) == 2


def test_a_generation_of_the_same_model_shares_it(loaded):
    model = RecordedModel("index", FACTS, make_encoder(), None, "cpu")
    assert model.of(FACTS.model_copy(update={"name": "renamed"})) is model
    other = model.of(FACTS.model_copy(update={"content_hash": "0" * 64}))
    assert other is not model
    assert other.facts.content_hash == "0" * 64
    assert loaded == []
