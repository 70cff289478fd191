import json
from dataclasses import replace

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from models import InvalidOptionError, ModelError, Nesting, Prompts, load_encoder
from models.classifier.cascade import choose
from models.classifier.classifier import Classification, Classifier, LinearHeads, answer, load_classifier
from models.classifier.texts import train_classifier
from tests.models.classifier.labelled import LABELS, NESTING, make_items, options


def test_a_saved_classifier_loads_back_the_same(trained, directory):
    loaded = Classifier.load(directory)
    texts = [item.text for item in make_items(50, seed=5)]
    assert loaded.labels == trained.classifier.labels
    assert loaded.kind == "mrl"
    assert loaded.cascade == trained.classifier.cascade
    assert loaded.curve == trained.classifier.curve
    assert loaded.classify(texts) == trained.classifier.classify(texts)
    assert "top-1, validation" in (directory / "README.md").read_text()


def test_its_directory_is_an_encoder_here_and_for_sentence_transformers(trained, directory):
    texts = [item.text for item in make_items(20, seed=5)]
    encoder = load_encoder(str(directory))
    assert encoder.nesting == NESTING
    vectors = encoder.encode_documents(texts)
    np.testing.assert_allclose(vectors, trained.classifier.encoder.encode_documents(texts), atol=1e-6)
    theirs = SentenceTransformer(str(directory), device="cpu").encode(texts, normalize_embeddings=True)
    np.testing.assert_allclose(vectors, theirs, atol=1e-5)


def test_the_cascade_gives_each_text_the_answer_it_gets_alone(trained):
    curve = trained.classifier.curve
    classifier = replace(trained.classifier, cascade=curve[len(curve) // 2])
    texts = [item.text for item in make_items(80, seed=6)]
    logits = classifier.logits(classifier.encoder.encode_documents(texts))
    sizes = set()
    for number, found in enumerate(classifier.classify(texts)):
        for size, threshold in zip(classifier.cascade.sizes, (*classifier.cascade.thresholds, 0), strict=True):
            predicted, sure = answer(logits[size][number : number + 1])
            if sure[0] >= threshold:
                break
        assert (found.label, found.dims) == (classifier.labels[predicted[0]], size)
        assert found.confidence == pytest.approx(sure[0], abs=1e-5)
        sizes.add(found.dims)
    assert len(sizes) > 1, "some texts stop early and some do not"


def test_the_cascade_keeps_full_accuracy_on_validation(trained):
    classifier = trained.classifier
    full = trained.history[trained.best_epoch - 1]["accuracy"][32]
    assert classifier.cascade.accuracy >= full
    assert choose(list(classifier.curve), full - 0.04).dims < 32


def test_a_fixed_size_answers(trained):
    answers = trained.classifier.classify(["w1 w2 w3"], dims=8)
    assert answers[0].dims == 8
    with pytest.raises(InvalidOptionError, match=r"dims 9: the classifier has sizes \[2, 8, 32\]"):
        trained.classifier.classify(["w1"], dims=9)
    assert replace(trained.classifier, cascade=None).classify(["w1"])[0].dims == 32
    assert trained.classifier.classify([]) == []


def test_a_single_text_is_not_taken_for_a_list_of_letters(trained):
    with pytest.raises(InvalidOptionError, match=r"texts given as a single value \('moon'\)"):
        trained.classifier.classify("moon")


def test_the_answer_is_the_largest_softmax():
    logits = np.array([[1.0, 3.0, 2.0], [1000.0, 0.0, 0.0]], np.float32)
    predicted, sure = answer(logits)
    assert predicted.tolist() == [1, 0]
    np.testing.assert_allclose(sure, [np.exp(3) / (np.exp(1) + np.exp(3) + np.exp(2)), 1.0], rtol=1e-6)


def test_tied_heads_are_stored_once(tmp_path, data):
    heads = train_classifier(data, options(kind="mrl-e", epochs=1)).classifier.heads
    heads.save(tmp_path / "heads.safetensors")
    loaded = LinearHeads.load(tmp_path / "heads.safetensors", NESTING.sizes)
    assert loaded.tied
    assert (tmp_path / "heads.safetensors").stat().st_size < LABELS * (32 + 1) * 4 + 500
    for size in NESTING.sizes:
        np.testing.assert_array_equal(loaded.weights[size], heads.weights[size])
        np.testing.assert_array_equal(loaded.biases[size], heads.biases[size])


def test_a_directory_without_a_consistent_classifier_is_refused(directory, model_directory, tmp_path):
    with pytest.raises(ModelError, match=r"no classifier in .*classifier\.json is missing.*mrl train"):
        Classifier.load(model_directory)
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in directory.rglob("*"):
        target = copy / path.relative_to(directory)
        target.mkdir() if path.is_dir() else target.write_bytes(path.read_bytes())
    record = json.loads((copy / "classifier.json").read_text())
    (copy / "classifier.json").write_text(json.dumps({**record, "labels": record["labels"][1:]}))
    with pytest.raises(ModelError, match=r"11 labels .* do not fit the 12 outputs"):
        Classifier.load(copy)
    (copy / "classifier.json").write_text("{}")
    with pytest.raises(ModelError, match="does not hold a classifier: KeyError"):
        Classifier.load(copy)
    (copy / "classifier.json").write_text(json.dumps(record))
    (copy / "heads.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot read the heads"):
        Classifier.load(copy)


def test_an_encoder_in_memory_is_shared_with_its_classifier(directory, model_directory, trained):
    encoder = load_encoder(str(directory))
    assert load_classifier(None, encoder).encoder is encoder
    assert load_classifier(directory, encoder).encoder is encoder
    other = load_encoder(str(model_directory))
    assert load_classifier(None, other) is None, "its directory holds no classifier"
    assert load_classifier(str(directory), other).encoder is not other
    with pytest.raises(ModelError, match="no classifier in"):
        load_classifier(str(model_directory), encoder)


def test_a_classifier_of_images_classifies_vectors_and_not_texts():
    class Images:
        name, dimension, nesting = "images", 4, Nesting((2, 4))
        prompts, content_hash = Prompts(), ""
        encode_documents = encode_queries = encode_images = staticmethod(len)

    heads = LinearHeads({2: np.eye(2, dtype=np.float32), 4: np.eye(2, 4, dtype=np.float32)}, {2: [0, 0], 4: [0, 0]})
    classifier = Classifier(Images(), ("cat", "dog"), "mrl", heads)
    assert classifier.of_images
    with pytest.raises(InvalidOptionError, match="images classifies images, not texts: give images"):
        classifier.classify(["a cat"])
    (found,) = classifier.classify_vectors(np.array([[0, 1, 0, 0]], np.float32))
    assert found == Classification("dog", pytest.approx(np.e / (1 + np.e)), 4)
    assert found.to_json().keys() == {"label", "confidence", "dims"}
