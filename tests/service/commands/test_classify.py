import json

import numpy as np
import pytest

from models import (
    ClassificationData,
    ClassificationOptions,
    Classifier,
    ImageTrainingOptions,
    Nesting,
    list_labelled_images,
    load_encoder,
    save_classifier,
    save_image_classifier,
    split_labelled,
    split_labelled_images,
    train_classifier,
    train_images,
)
from models.classifier.cascade import choose
from tests.conftest import write_lines
from tests.models.classifier.labelled import make_items
from tests.models.image_models import write_digits
from tests.service.commands.mistakes import check_mistake


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    items = [
        {"_id": str(i), "text": item.text, "label": item.label, "split": item.split}
        for i, item in enumerate(make_items())
    ]
    return write_lines(tmp_path_factory.mktemp("rows") / "rows.jsonl", [*items, {"text": "no label"}])


@pytest.fixture(scope="module")
def model(model_directory, tmp_path_factory):
    """A text classifier. Tests must not change it."""
    out = tmp_path_factory.mktemp("model") / "classifier"
    options = ClassificationOptions(nesting=Nesting((2, 8, 32)), epochs=6, batch_size=64, learning_rate=0.3)
    data = ClassificationData.prepare(split_labelled(make_items(), 0.1, 0), load_encoder(str(model_directory)))
    save_classifier(train_classifier(data, options), out, options, str(model_directory))
    return out


def test_texts_and_rows_are_classified_and_the_model_indexes(mrl, model, rows, tmp_path):
    status, out, err = mrl("classify", model, rows, "w1 w2 w3", "--json", "--accuracy", "0.8")
    assert status == 0
    result = json.loads(out)
    answers = result["answers"]
    assert len(answers) == 902
    assert {answer["dims"] for answer in answers} <= {2, 8, 32}
    assert len({answer["dims"] for answer in answers}) > 1
    assert result["mean_dims"] == pytest.approx(np.mean([answer["dims"] for answer in answers]))
    truth = [item.label for item in make_items()]
    assert np.mean([a["label"] == label for a, label in zip(answers, truth, strict=False)]) > 0.7
    classifier = Classifier.load(model)
    asked = choose(list(classifier.curve), 0.8)
    assert answers[-1] == {"text": "w1 w2 w3", **classifier.classify(["w1 w2 w3"], cascade=asked)[0].to_json()}
    status, out, _ = mrl("classify", model, "w1 w2 w3", "--json")
    assert json.loads(out)["answers"][0] == {"text": "w1 w2 w3", **classifier.classify(["w1 w2 w3"])[0].to_json()}

    status, out, err = mrl("classify", model, "w1 w2 w3", "--dims", "8")
    assert status == 0
    assert "label 0" in out
    assert "8.0 dims per text" in err

    status, _, err = mrl("classify", model, "w1", "--accuracy", "1.01", "--limit", 1)
    assert "no cascade reaches validation accuracy 1.01" in err

    status, _, err = mrl("index", "build", rows, "--out", tmp_path / "index", "--model", model, "--dims", "8")
    assert status == 0, err


def test_what_cannot_be_classified(mrl, model, model_directory, tmp_path):
    status, _, err = mrl("classify", model)
    assert status == 1
    assert "no text to classify" in err
    status, _, err = mrl("classify", model_directory, "w1")
    assert status == 1
    assert "no classifier in" in err
    path = write_lines(tmp_path / "texts.jsonl", [{"body": "w1"}])
    status, _, err = mrl("classify", model, path)
    assert status == 1
    assert "no text in field 'text'" in err


def test_an_image_is_refused_by_a_text_classifier(mrl, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos" / "more").mkdir(parents=True)
    (tmp_path / "letters").mkdir()
    for name in ("one.png", "photos/more/two.JPG"):
        (tmp_path / name).write_bytes(b"?")
    for argument, message in (("one.png", "one.png is an image, but"), ("photos", "photos holds images, but")):
        status, _, err = mrl("classify", model, "w1", argument)
        assert status == 1
        assert message in err
        assert f"{model} classifies texts" in err
    # A text that looks like a file name is still a text.
    texts = ["two.png", "letters", "", "w1 " * 200 + ".png", "w1\0.csv"]
    status, out, err = mrl("classify", model, *texts, "--json")
    assert status == 0, err
    assert [answer["text"] for answer in json.loads(out)["answers"]] == texts


def test_a_single_size_has_no_cascade(mrl, rows, model_directory, tmp_path):
    out = tmp_path / "ff"
    status, _, err = mrl(
        "train", rows, "--base", model_directory, "--out", out, "--kind", "ff", "--sizes", "8", "--epochs", "2"
    )
    assert status == 0, err
    status, printed, _ = mrl("classify", out, "w1 w2", "--json")
    assert json.loads(printed)["answers"][0]["dims"] == 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_digits(tmp_path_factory.mktemp("digits"), 120)


@pytest.fixture(scope="module")
def images_model(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("model") / "digits"
    options = ImageTrainingOptions(nesting=Nesting((4, 8)), epochs=1, batch_size=32, device="cpu")
    parts = split_labelled_images(list_labelled_images(folder), 0.2, 0)
    save_image_classifier(train_images(parts, options), out, options, None)
    return out


def test_image_files_and_folders_are_classified_and_broken_files_skipped(mrl, images_model, folder, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"?")
    first = sorted((folder / "0").iterdir())[0]
    status, out, err = mrl("classify", images_model, first, folder / "1", tmp_path, "--dims", "4", "--json")
    assert status == 0, err
    names = [answer["image"] for answer in json.loads(out)["answers"]]
    assert names == [str(first), *map(str, sorted((folder / "1").iterdir()))]
    assert f"skipped {tmp_path / 'broken.png'}: " in err
    status, out, err = mrl("classify", images_model, first, "--limit", "1")
    assert status == 0
    assert "dims per image on average" in err


@pytest.mark.parametrize("argument", ["the sea is rising", "empty", ""])
def test_texts_are_refused_by_an_image_classifier(mrl, images_model, tmp_path, monkeypatch, argument):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    message = rf"'{argument}' is neither an image file \(.png, .* nor a folder with one: .* classifies images"
    check_mistake(mrl("classify", images_model, argument), 1, message)


def test_an_image_is_needed(mrl, images_model):
    check_mistake(mrl("classify", images_model), 1, "no image to classify: give image files or folders of them")
