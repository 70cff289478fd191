import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from models import ModelError, Nesting, Prompts, load_encoder
from models.encoders.transformer import SentenceTransformerEncoder
from tests.conftest import make_texts


@pytest.fixture(scope="module")
def model(transformer_directory):
    return SentenceTransformer(str(transformer_directory), device="cpu")


def test_vectors_are_those_of_sentence_transformers(model, transformer_directory):
    texts = make_texts(10)
    encoder = SentenceTransformerEncoder.load(transformer_directory, device="cpu")
    theirs = model.encode(texts, prompt_name="query", normalize_embeddings=True)
    np.testing.assert_allclose(encoder.encode_queries(texts), theirs, atol=1e-5)
    theirs = model.encode(texts, prompt_name="document", normalize_embeddings=True)
    np.testing.assert_allclose(encoder.encode_documents(texts), theirs, atol=1e-5)


def test_a_model_in_memory_is_an_encoder(model):
    encoder = SentenceTransformerEncoder("mine", model, None, Prompts())
    assert (encoder.name, encoder.dimension, encoder.nesting) == ("mine", 16, Nesting((8, 16)))
    assert encoder.special_tokens


def test_the_models_own_query_prompt_is_used_unless_replaced(transformer_directory):
    own = load_encoder(str(transformer_directory))
    without = load_encoder(str(transformer_directory), query_prompt="")
    np.testing.assert_allclose(own.encode_queries(["w1"]), own.encode_documents(["query: w1"]), atol=1e-6)
    np.testing.assert_allclose(without.encode_queries(["w1"]), own.encode_documents(["w1"]), atol=1e-6)
    assert own.content_hash != without.content_hash


def test_content_hash_follows_the_weights(transformer_directory):
    first, second = (load_encoder(str(transformer_directory)) for _ in range(2))
    assert first.content_hash == second.content_hash
    third = load_encoder(str(transformer_directory))
    with torch.no_grad():
        next(third.model.parameters()).add_(0.1)
    assert third.content_hash != first.content_hash


def test_a_directory_that_holds_no_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match="is not a sentence-transformers directory"):
        load_encoder(str(tmp_path))


def test_a_name_that_no_hub_has_is_refused(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def unreachable(*_, **__):
        raise OSError("no connection")

    monkeypatch.setattr("models.encoders.transformer.SentenceTransformer", unreachable)
    with pytest.raises(ModelError, match="'no/model' is neither a directory nor reachable on a hub: no connection"):
        load_encoder("no/model", device="cpu")


def test_the_tokenizer_is_a_copy_that_truncates_and_never_pads(transformer_directory):
    encoder = load_encoder(str(transformer_directory), device="cpu")
    encoder.encode_documents(["w1", "w1 w2 w3"])  # leaves padding set in the model's tokenizer
    lengths = [len(encoding.ids) for encoding in encoder.tokenizer.encode_batch(["w1", " ".join(["w1"] * 99)])]
    assert lengths == [1, 32]


def test_a_tokenizer_of_another_library_is_not_available(transformer_directory, monkeypatch):
    encoder = load_encoder(str(transformer_directory), device="cpu")
    monkeypatch.setattr(type(encoder.model), "tokenizer", object())
    assert encoder.tokenizer is None
    assert len(encoder.content_hash) == 64
