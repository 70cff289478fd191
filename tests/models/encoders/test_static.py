import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from models import ModelError, Nesting, Prompts, load_encoder, truncate
from models.encoders.static import StaticEncoder, is_static_directory
from tests.conftest import make_encoder, make_texts


def test_vectors_are_the_unit_mean_of_token_rows(encoder):
    text = "w3 w7 w7"
    expected = truncate((encoder.table[3] + 2 * encoder.table[7])[None], encoder.dimension)
    np.testing.assert_allclose(encoder.encode_documents([text]), expected, atol=1e-6)


def test_equals_sentence_transformers(model_directory):
    texts = [*make_texts(50), "", "no word of it"]
    theirs = SentenceTransformer(str(model_directory), device="cpu").encode(texts, convert_to_numpy=True)
    ours = load_encoder(str(model_directory)).encode_documents(texts)
    np.testing.assert_allclose(ours, truncate(theirs, theirs.shape[1]), atol=1e-6)


@pytest.mark.parametrize("texts", [[], [""], ["unknown words only"]])
def test_texts_without_a_known_word_have_the_zero_vector(encoder, texts):
    vectors = encoder.encode_queries(texts)
    assert vectors.shape == (len(texts), encoder.dimension)
    assert not vectors.any()


def test_prompts_go_before_the_text():
    prompted = make_encoder(prompts=Prompts(query="w1 ", document="w2 "))
    plain = make_encoder()
    np.testing.assert_array_equal(prompted.encode_queries(["w5"]), plain.encode_queries(["w1 w5"]))
    np.testing.assert_array_equal(prompted.encode_documents(["w5"]), plain.encode_documents(["w2 w5"]))


def test_the_content_hash_differs_if_vectors_do():
    same = make_encoder(), make_encoder(name="another name")
    others = make_encoder(seed=1), make_encoder(prompts=Prompts(query="w1 "))
    assert same[0].content_hash == same[1].content_hash
    assert len({encoder.content_hash for encoder in (same[0], *others)}) == 3


def test_wordllama_loads_without_torch_or_a_network():
    program = """
import socket, sys
def refuse(*_): raise AssertionError("a network call")
socket.socket.connect = refuse
from models import load_encoder
encoder = load_encoder("wordllama")
vectors = encoder.encode_queries(["a cat sat", "a kitten sat", "interest rates"])
assert vectors.shape == (3, 256), vectors.shape
assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2
assert encoder.nesting.sizes == (64, 128, 256)
assert "torch" not in sys.modules and "sentence_transformers" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_recorded_nesting_and_prompts_are_read_back(model_directory, tmp_path):
    path = tmp_path / "model"
    shutil.copytree(model_directory, path)
    (path / "mrl.json").write_text(json.dumps({"nesting": {"sizes": [8, 32], "weights": [2, 1]}}))
    config = json.loads((path / "config_sentence_transformers.json").read_text())
    config["prompts"] = {"query": "w1 ", "document": ""}
    (path / "config_sentence_transformers.json").write_text(json.dumps(config))
    encoder = load_encoder(str(path))
    assert encoder.nesting == Nesting((8, 32), (2, 1))
    assert encoder.prompts == Prompts(query="w1 ")
    assert load_encoder(str(path), query_prompt="").prompts == Prompts()


def test_tokenizer_truncation_is_kept(model_directory, tmp_path):
    path = tmp_path / "model"
    shutil.copytree(model_directory, path)
    (file,) = path.rglob("tokenizer.json")
    tokenizer = json.loads(file.read_text())
    tokenizer["truncation"] = {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}
    file.write_text(json.dumps(tokenizer))
    encoder = load_encoder(str(path))
    np.testing.assert_array_equal(*(encoder.encode_documents([text]) for text in ("w1 w2 w3", "w1 w2 w4")))


@pytest.mark.parametrize("broken", ["model.safetensors", "tokenizer.json", "mrl.json"])
def test_broken_files_are_named(model_directory, tmp_path, broken):
    path = tmp_path / "model"
    shutil.copytree(model_directory, path)
    for file in [*path.rglob(broken), *([path / broken] if broken == "mrl.json" else [])]:
        file.write_bytes(b"{}")
    with pytest.raises(ModelError, match=broken):
        load_encoder(str(path))


def test_the_built_in_table():
    encoder = StaticEncoder.wordllama(query_prompt="q ")
    assert encoder.table.shape == (len(encoder.table), 256)
    assert encoder.nesting == Nesting((64, 128, 256))
    assert encoder.prompts == Prompts(query="q ")
    assert not encoder.special_tokens


def test_the_built_in_table_needs_its_package(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelError, match="model 'wordllama' needs the package wordllama: pip install wordllama"):
        StaticEncoder.wordllama()


def test_counts_times_the_table_are_the_vectors_before_normalisation():
    encoder = make_encoder(prompts=Prompts(document="w2 "))
    counts = encoder.token_counts(["w1 w1", ""])
    assert counts.shape == (2, len(encoder.table))
    np.testing.assert_array_equal(np.flatnonzero(counts.toarray()[0]), [1, 2])
    vectors = truncate(counts @ encoder.table, encoder.dimension)
    np.testing.assert_allclose(vectors, encoder.encode_documents(["w1 w1", ""]), atol=1e-6)


@pytest.mark.parametrize(
    ("types", "static"),
    [
        (["StaticEmbedding"], True),
        (["StaticEmbedding", "Normalize"], True),
        (["StaticEmbedding", "Dense"], False),
        (["Transformer", "Pooling"], False),
    ],
)
def test_a_static_directory_has_a_table_and_at_most_a_normalisation(tmp_path, types, static):
    assert not is_static_directory(tmp_path)
    modules = [{"type": f"sentence_transformers.models.{name}", "path": ""} for name in types]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    assert is_static_directory(str(tmp_path)) is static
