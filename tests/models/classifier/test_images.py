import json

import numpy as np
import pytest

from indexer import BuildOptions, Corpus, Index, build_index
from models import Nesting, TrainingError, load_encoder
from models.classifier import images as module
from models.classifier.classifier import Classifier
from models.classifier.image_options import ImageTrainingOptions
from models.classifier.images import save_image_classifier, train_images
from models.data.images import read_image
from models.data.labelled_images import list_labelled_images, split_labelled_images
from models.encoders.image import ImageModelEncoder
from models.progress import Evaluated, TrainingStarted
from tests.models.image_models import make_vit, write_digits

NESTING = Nesting((4, 8, 16, 32, 64))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """All digits. The last quarter, by other writers than the rest, is for testing."""
    root = tmp_path_factory.mktemp("digits")
    write_digits(root / "train", 1347)
    write_digits(root / "test", start=1347)
    return root


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    options = ImageTrainingOptions(nesting=NESTING, epochs=6, device="cpu")
    parts = split_labelled_images(list_labelled_images(digits), 0.1, seed=0)
    events = []
    result = train_images(parts, options, report=events.append)
    out = tmp_path_factory.mktemp("model") / "digits"
    save_image_classifier(result, out, options, None)
    return result, out, events


def few(folder, per_label=8, labels=("0", "1")):
    """A few digits of each label."""
    items = [item for item in list_labelled_images(folder / "train") if item.label in labels]
    return [item for label in labels for item in [found for found in items if found.label == label][:per_label]]


def test_digits_by_other_writers_are_classified_at_every_size(trained):
    result, _, events = trained
    assert list(result.test) == list(NESTING.sizes)
    assert min(result.test.values()) > 0.88
    assert result.test[64] > 0.92
    assert (result.stopped, len(result.history), result.rejected) == ("finished", 6, [])
    assert isinstance(events[0], TrainingStarted)
    assert sum(isinstance(event, Evaluated) for event in events) == 6


def test_the_model_is_an_encoder_and_a_classifier_again(trained, digits):
    result, out, _ = trained
    encoder = load_encoder(str(out))
    assert encoder.nesting == NESTING
    assert encoder.content_hash == result.classifier.encoder.content_hash
    test = list_labelled_images(digits / "test")
    vectors = encoder.encode_images([read_image(item.path) for item in test])
    classifier = Classifier.load(out)
    for size, expected in result.test.items():
        answers = classifier.classify_vectors(vectors, dims=size)
        right = [found.label == item.label for found, item in zip(answers, test, strict=True)]
        assert np.mean(right) == pytest.approx(expected, abs=1e-6)
    assert {found.dims for found in classifier.classify_vectors(vectors)} <= set(NESTING.sizes)
    record = json.loads((out / "mrl.json").read_text())
    assert record["test"]["accuracy"]["64"] == result.test[64]
    card = (out / "README.md").read_text()
    assert "Image classifier, 10 labels, mrl" in card
    assert encoder.content_hash in card


def test_an_index_of_a_folder_finds_images_of_the_same_label(trained, digits, tmp_path):
    encoder = load_encoder(str(trained[1]))
    build_index(Corpus([digits / "test"]), encoder, tmp_path, BuildOptions(calibration=None))
    queries = list_labelled_images(digits / "train")[::40]
    with Index.open(tmp_path, encoder=encoder) as index:
        hits = index.search_images([item.path for item in queries]).hits
    right = [hit.id.split("/")[0] == item.label for item, found in zip(queries, hits, strict=True) for hit in found[:5]]
    assert np.mean(right) > 0.9


def test_the_same_run_gives_the_same_model_and_another_seed_another(digits):
    parts = split_labelled_images(few(digits, 16), 0.2, seed=0)
    options = {"nesting": Nesting((4, 8)), "epochs": 1, "batch_size": 8, "device": "cpu"}
    first, second, other = (
        train_images(parts, ImageTrainingOptions(**options, seed=seed)).classifier.encoder.content_hash
        for seed in (0, 0, 1)
    )
    assert first == second != other


@pytest.mark.parametrize(("kind", "sizes"), [("mrl-e", (4, 8)), ("ff", (8,))])
def test_other_kinds(digits, tmp_path, kind, sizes):
    parts = split_labelled_images(few(digits, 16), 0.2, seed=0)
    options = ImageTrainingOptions(kind=kind, nesting=Nesting(sizes), epochs=2, batch_size=8, device="cpu")
    result = train_images(parts, options)
    save_image_classifier(result, tmp_path / "model", options, None)
    classifier = Classifier.load(tmp_path / "model")
    assert (classifier.kind, classifier.heads.tied, classifier.nesting.sizes) == (kind, kind == "mrl-e", sizes)
    assert result.test == {}


def test_training_stops_early_and_keeps_the_best_epoch(digits, monkeypatch):
    scores = iter([0.5, 0.9, 0.2, 0.1, 0.1, 0.1])
    hashes = []
    with monkeypatch.context() as patch:
        patch.setattr(module._ImageTask, "accuracy", lambda run, part: _scored(run, hashes, next(scores)))
        parts = split_labelled_images(few(digits, 16), 0.2, seed=0)
        options = ImageTrainingOptions(nesting=Nesting((8,)), epochs=6, batch_size=8, patience=2, device="cpu")
        result = train_images(parts, options)
    assert (result.stopped, result.best_epoch, len(result.history)) == ("early stop", 2, 4)
    assert result.classifier.encoder.content_hash == hashes[1] != hashes[3]


def _scored(run, hashes, score):
    hashes.append(run.classifier().encoder.content_hash)
    return {8: score}


def test_the_time_limit_stops_training_and_broken_images_are_skipped(digits, tmp_path):
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "x.png").write_bytes(b"?")
    items = [*few(digits, 16), *list_labelled_images(tmp_path)]
    options = ImageTrainingOptions(nesting=Nesting((8,)), max_seconds=1e-6, device="cpu")
    parts = {"train": items, "valid": items[:4], "test": []}
    result = train_images(parts, options)
    assert (result.stopped, len(result.history)) == ("time limit", 1)
    assert [(path.name, reason[:21]) for path, reason in result.rejected] == [("x.png", "no image of a known k")]
    with pytest.raises(TrainingError, match="none of the 1 images of part 'valid' can be read: no image"):
        train_images({**parts, "valid": items[-1:]}, options)


def test_a_base_is_trained_on_and_a_map_leads_to_the_sizes(digits, tmp_path):
    vit = make_vit(tmp_path / "vit")
    parts = split_labelled_images(few(digits, 16), 0.2, seed=0)
    options = ImageTrainingOptions(nesting=Nesting((4, 12)), epochs=1, batch_size=8, device="cpu")
    result = train_images(parts, options, str(vit))
    save_image_classifier(result, tmp_path / "model", options, str(vit))
    encoder = load_encoder(str(tmp_path / "model"))
    assert isinstance(encoder, ImageModelEncoder)
    assert encoder.nesting == Nesting((4, 12))
    assert encoder.content_hash == result.classifier.encoder.content_hash


def test_a_new_model_sees_twice_the_images_within_bounds(digits, tmp_path):
    paths = [item.path for item in few(digits)]
    assert module._side(paths) == 16
    big = tmp_path / "big.png"
    read_image(paths[0]).resize((500, 25)).save(big)
    assert module._side([big]) == 50
    read_image(paths[0]).resize((400, 300)).save(big)
    assert module._side([big, tmp_path / "gone.png"]) == 64
    assert module._side([tmp_path / "gone.png"]) == 64


def test_images_that_do_not_fit_are_refused_before_all_are_read(digits, monkeypatch):
    monkeypatch.setattr(module, "_MOST_BYTES", 50_000)
    options = ImageTrainingOptions(nesting=Nesting((8,)), device="cpu")
    parts = split_labelled_images(few(digits, 16), 0.2, seed=0)
    with pytest.raises(TrainingError, match=r"26 images of 16 x 16 pixels take 0\.0 GB of memory: allowed are 0\.0"):
        train_images(parts, options)


def test_a_loss_that_is_not_finite_ends_the_run(digits):
    parts = split_labelled_images(few(digits, 16), 0.2, seed=0)
    options = ImageTrainingOptions(nesting=Nesting((8,)), learning_rate=1e30, batch_size=8, device="cpu")
    with pytest.raises(TrainingError, match=r"the loss became .*: lower --learning-rate"):
        train_images(parts, options)
