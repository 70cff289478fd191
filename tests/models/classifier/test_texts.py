import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from models import InvalidOptionError, ModelError, Nesting, TrainingError, load_encoder
from models.classifier.cascade import choose
from models.classifier.classifier import Classifier, LinearHeads, answer
from models.classifier.text_data import ClassificationData
from models.classifier.text_options import ClassificationOptions
from models.classifier.texts import classifier_vectors, resized, save_classifier, train_classifier, without_tokens
from models.classifier.training import accuracy
from models.data.labelled_texts import LabelledText, split_labelled
from models.directory.output import check_output
from models.progress import Evaluated, Step, TrainingStarted
from tests.conftest import WORDS, make_encoder

NESTING = Nesting((2, 8, 32))
LABELS = 12


def make_items(count=900, seed=0):
    """A text has three words of its label's own twenty and three of any."""
    rng = np.random.default_rng(seed)
    items = []
    for number in range(count):
        label = int(rng.integers(LABELS))
        own, others = WORDS[label * 20 : label * 20 + 20], WORDS
        words = [*rng.choice(own, 3), *rng.choice(others, 3)]
        split = ("train", "train", "train", "valid", "test")[number % 5]
        items.append(LabelledText(" ".join(words), f"label {label}", split))
    return items


def options(**changes):
    return ClassificationOptions(
        **{
            "nesting": NESTING,
            "epochs": 8,
            "batch_size": 64,
            "learning_rate": 0.3,
            "token_dropout": 0.1,
            "patience": 8,
            **changes,
        }
    )


@pytest.fixture(scope="module")
def data():
    return ClassificationData.prepare(split_labelled(make_items(), 0.1, 0), make_encoder())


@pytest.fixture(scope="module")
def events():
    return []


@pytest.fixture(scope="module")
def trained(data, events):
    return train_classifier(data, options(), report=events.append)


@pytest.fixture(scope="module")
def directory(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("classifier") / "model"
    save_classifier(trained, path, options(), "tiny")
    return path


def test_every_size_learns_and_longer_ones_more(trained, data):
    scores = accuracy(trained.classifier, classifier_vectors(trained.classifier, data.test), data.test_targets)
    assert scores[2] > 2.5 / LABELS
    assert scores[8] > 0.7
    assert scores[32] > 0.8
    assert scores[2] < scores[8]


def test_the_best_epoch_is_kept(trained, data):
    means = [np.mean(list(entry["accuracy"].values())) for entry in trained.history]
    assert trained.best_epoch == 1 + int(np.argmax(means))
    best = trained.history[trained.best_epoch - 1]["accuracy"]
    classifier = trained.classifier
    assert accuracy(classifier, classifier_vectors(classifier, data.valid), data.valid_targets) == best


def test_events_tell_steps_and_evaluations(events, trained):
    assert isinstance(events[0], TrainingStarted)
    assert events[0].training > events[0].validation > 100
    steps = [event.step for event in events if isinstance(event, Step)]
    assert steps == list(range(1, events[0].steps + 1))
    losses = [event.losses for event in events if isinstance(event, Evaluated)]
    assert losses[-1][32] < losses[0][32]


@pytest.mark.parametrize("kind", ["mrl", "mrl-e", "ff", "slimmable"])
def test_the_module_trained_and_the_arrays_kept_give_the_same_logits(data, kind):
    from models.classifier.texts import _TextTask

    task = _TextTask(data, options(kind=kind, nesting=Nesting((32,)) if kind == "ff" else NESTING))
    for number in range(task.batches.per_epoch):
        task.optimizer.zero_grad()
        task.step(number)
        task.optimizer.step()
    classifier = task.classifier()
    with torch.no_grad():
        expected = task.module(task.counts[:50])
    found = classifier.logits(classifier_vectors(classifier, data.train[:50]))
    assert set(found) == set(expected)
    for size, logits in found.items():
        np.testing.assert_allclose(logits, expected[size].numpy(), atol=2e-4)


@pytest.mark.parametrize("kind", ["mrl", "mrl-e", "slimmable"])
def test_the_seed_decides_everything(data, kind):
    tables = [
        train_classifier(data, options(kind=kind, epochs=1, seed=seed)).classifier.encoder.table for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(tables[0], tables[1])
    assert not np.array_equal(tables[0], tables[2])


def test_tokens_never_seen_stay_as_they_were(data):
    classifier = train_classifier(data, options(epochs=1)).classifier
    unseen = np.setdiff1d(np.arange(len(WORDS)), data.train.indices)
    assert len(unseen)
    base = make_encoder().table
    np.testing.assert_allclose(classifier.encoder.table[unseen] * base.std(), base[unseen], rtol=1e-5)
    seen = data.train.indices[0]
    assert not np.allclose(classifier.encoder.table[seen] * base.std(), base[seen], rtol=1e-2)


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


def test_the_cascade_in_batches_is_each_text_by_itself(trained):
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


def test_one_size_can_be_asked_for(trained):
    answers = trained.classifier.classify(["w1 w2 w3"], dims=8)
    assert answers[0].dims == 8
    with pytest.raises(InvalidOptionError, match=r"dims 9: the classifier has sizes \[2, 8, 32\]"):
        trained.classifier.classify(["w1"], dims=9)
    assert replace(trained.classifier, cascade=None).classify(["w1"])[0].dims == 32
    assert trained.classifier.classify([]) == []


def test_answer_is_the_greatest_softmax():
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


def test_a_directory_without_or_with_another_classifier_is_refused(directory, model_directory, tmp_path):
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


def test_early_stop_and_time_limit(data):
    assert train_classifier(data, options(epochs=30, learning_rate=1e-8, patience=1)).stopped == "early stop"
    result = train_classifier(data, options(epochs=30, max_seconds=1e-6))
    assert (result.stopped, len(result.history)) == ("time limit", 1)


def test_a_loss_that_is_no_number_is_an_error(data):
    base = make_encoder()
    base.table[:] *= np.nan
    with pytest.raises(TrainingError, match=r"the loss became nan at step \d+: lower --learning-rate"):
        train_classifier(replace(data, base=base), options(epochs=1))


def test_a_base_is_cut_or_widened():
    encoder = make_encoder()
    np.testing.assert_array_equal(resized(encoder, 8, 0).table, encoder.table[:, :8])
    wide = resized(encoder, 64, 0)
    assert wide.dimension == 64
    np.testing.assert_array_equal(wide.table[:, :32], encoder.table)


def test_dropped_tokens(data):
    rng = np.random.default_rng(0)
    kept = without_tokens(data.train, 0.25, rng)
    assert kept.nnz == pytest.approx(0.75 * data.train.nnz, rel=0.05)
    dense, whole = kept.toarray(), data.train.toarray()
    assert ((dense == whole) | (dense == 0)).all()
    assert without_tokens(data.train, 0.0, rng) is data.train


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "full"}, "kind 'full': known are mrl, mrl-e, ff, slimmable"),
        ({"epochs": 0}, "epochs 0: give at least 1"),
        ({"learning_rate": 0.0}, "learning_rate 0.0: give a positive number"),
        ({"token_dropout": 1.0}, "token_dropout 1.0: give one from 0"),
        ({"width": 64}, r"width 64: the nested sizes \[2, 8, 32\] must end at it"),
    ],
)
def test_options_out_of_bounds(change, message):
    with pytest.raises(InvalidOptionError, match=message):
        options(**change)


def test_fixed_features_have_one_size(data):
    with pytest.raises(InvalidOptionError, match="kind 'ff' has a single size"):
        train_classifier(data, options(kind="ff"))


def test_only_static_tables_are_trained():
    class Other:
        name = "other"

    with pytest.raises(InvalidOptionError, match="base 'other' is not a static encoder"):
        ClassificationData.prepare(split_labelled(make_items(), 0.1, 0), Other())


def test_where_a_model_may_be_written(directory, tmp_path):
    check_output(tmp_path / "new", restart=False)
    with pytest.raises(TrainingError, match="already holds a model"):
        check_output(directory, restart=False)
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="is a file"):
        check_output(tmp_path / "file", restart=True)
    with pytest.raises(TrainingError, match="is not empty and holds no model that was trained here"):
        check_output(tmp_path, restart=True)


def test_a_run_may_have_as_few_steps_as_a_warm_up_has_tenths(data):
    result = train_classifier(data, options(epochs=10, batch_size=len(data.train_targets)))
    assert [entry["epoch"] for entry in result.history][-1] == 10
