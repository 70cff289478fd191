import json

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize

from models import ModelError, Nesting, Prompts, TrainingError, load_encoder, truncate
from models.adapter.adapter import Adapter
from models.adapter.model import adapt_model, adapted
from models.adapter.options import AdapterOptions
from models.encoders.transformer import SentenceTransformerEncoder
from tests.conftest import make_encoder, make_texts
from tests.models.adapter.test_adapter import make_adapter

OPTIONS = AdapterOptions(sizes=(4, 8), steps=10, evaluate_every=5, batch_size=64)


@pytest.fixture(params=["static", "transformer", "normalised transformer"])
def base(request, tmp_path):
    """A model directory of each making, and one whose last module normalises."""
    path = tmp_path / "base"
    if request.param == "static":
        from models.training.trainable import as_trainable

        as_trainable(make_encoder(prompts=Prompts(query="w1 ")), "cpu").save(str(path), create_model_card=False)
        return path
    directory = request.getfixturevalue("transformer_directory")
    if request.param == "transformer":
        return directory
    model = SentenceTransformer(str(directory), device="cpu")
    SentenceTransformer(modules=[*model.children(), Normalize()], prompts=model.prompts).save(
        str(path), create_model_card=False
    )
    return path


def test_an_adapted_model_is_a_model_with_the_same_whole_scores(base, tmp_path):
    before = load_encoder(str(base))
    queries, documents = make_texts(500, seed=2), make_texts(800)
    learned = adapt_model(load_encoder(str(base)), documents, tmp_path / "out", OPTIONS, queries)
    after = load_encoder(str(tmp_path / "out"))

    assert type(after) is type(before)
    assert after.nesting == Nesting((4, 8, before.dimension))
    assert after.prompts == before.prompts
    assert after.content_hash != before.content_hash
    sides = before.encode_queries(queries), before.encode_documents(documents)
    mapped = after.encode_queries(queries), after.encode_documents(documents)
    np.testing.assert_allclose(mapped[0] @ mapped[1].T, sides[0] @ sides[1].T, atol=1e-5)
    for theirs, ours in zip(sides, mapped, strict=True):
        np.testing.assert_allclose(ours, learned.adapter.apply(theirs), atol=1e-5)
        for size in (4, 8):
            np.testing.assert_allclose(truncate(ours, size), truncate(learned.adapter.apply(theirs), size), atol=1e-4)


def test_sentence_transformers_alone_loads_it_and_cuts_it_alike(base, tmp_path):
    texts = make_texts(800)
    adapt_model(load_encoder(str(base)), texts, tmp_path / "out", OPTIONS)
    ours = truncate(load_encoder(str(tmp_path / "out")).encode_documents(texts[:20]), 8)
    theirs = SentenceTransformer(str(tmp_path / "out"), device="cpu", truncate_dim=8)
    vectors = theirs.encode(texts[:20], normalize_embeddings=True, convert_to_numpy=True)
    np.testing.assert_allclose(vectors, ours, atol=1e-5)


def test_the_directory_tells_how_it_came_to_be(model_directory, tmp_path):
    out, encoder = tmp_path / "out", load_encoder(str(model_directory))
    learned = adapt_model(encoder, make_texts(800), out, OPTIONS)
    record = json.loads((out / "mrl.json").read_text())
    assert record["base"] == str(model_directory)
    assert record["base_hash"] == encoder.content_hash
    assert record["recall"]["adapter"] == {str(size): value for size, value in learned.recall["adapter"].items()}
    assert record["options"]["seed"] == 0
    card = (out / "README.md").read_text()
    assert load_encoder(str(out)).content_hash in card
    assert not (out / "partial").exists()


def test_half_precision_becomes_single(transformer_directory):
    model = SentenceTransformer(str(transformer_directory), device="cpu").bfloat16()
    encoder = SentenceTransformerEncoder("half", model, None, Prompts())
    vectors = adapted(encoder, make_adapter(16)).encode(["w1 w2"])
    assert vectors.dtype == np.float32
    assert all(weight.dtype == torch.float32 for weight in encoder.model.parameters())


def test_encoding_ends_in_time_and_too_few_texts_are_refused(tmp_path):
    class Slow:
        def __init__(self, encoder):
            self.encoder = encoder

        def __getattr__(self, name):
            return getattr(self.encoder, name)

        def encode_documents(self, texts):
            calls.append(len(texts))
            return self.encoder.encode_documents(texts)

    calls = []
    short = AdapterOptions(sizes=(4, 8), max_seconds=1e-6)
    with pytest.raises(ModelError, match="a Slow cannot take an adapter"):
        adapt_model(Slow(make_encoder()), make_texts(800), tmp_path / "out", short)
    assert calls == []
    with pytest.raises(TrainingError, match="0 distinct documents are too few"):
        adapt_model(make_encoder(), make_texts(800), tmp_path / "out", short)
    assert not (tmp_path / "out").exists()


def test_what_cannot_take_an_adapter_is_refused(transformer_directory, tmp_path):
    model = SentenceTransformer(str(transformer_directory), device="cpu", truncate_dim=8)
    encoder = SentenceTransformerEncoder("cut", model, None, Prompts())
    with pytest.raises(ModelError, match="model 'cut' cuts its vectors to 8 dimensions itself"):
        adapt_model(encoder, make_texts(800), tmp_path / "out", OPTIONS)
    (tmp_path / "file").write_text("x")
    with pytest.raises(TrainingError, match="is a file"):
        adapt_model(make_encoder(), make_texts(800), tmp_path / "file", OPTIONS)


def test_an_earlier_model_is_replaced_only_when_asked(tmp_path):
    texts, out = make_texts(800), tmp_path / "out"
    first = adapt_model(make_encoder(), texts, out, OPTIONS)
    with pytest.raises(TrainingError, match="--restart"):
        adapt_model(make_encoder(seed=1), texts, out, OPTIONS)
    second = adapt_model(make_encoder(seed=1), texts, out, OPTIONS, restart=True)
    assert isinstance(second.adapter, Adapter)
    assert not np.allclose(first.adapter.matrix, second.adapter.matrix)
