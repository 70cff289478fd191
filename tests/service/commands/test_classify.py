import json

import numpy as np
import pytest

from models.classifier.cascade import choose
from models.classifier.classifier import Classifier
from models.classifier.text_options import ClassificationOptions
from models.progress import Step
from tests.conftest import write_lines
from tests.models.classifier.test_texts import make_items

TRAIN = ["--sizes", "2,8,32", "--epochs", "6", "--batch-size", "64", "--learning-rate", "0.3"]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    items = [
        {"_id": str(i), "text": item.text, "label": item.label, "split": item.split}
        for i, item in enumerate(make_items())
    ]
    return write_lines(tmp_path_factory.mktemp("rows") / "rows.jsonl", [*items, {"text": "no label"}])


@pytest.fixture
def model(mrl, rows, model_directory, tmp_path):
    out = tmp_path / "model"
    status, printed, err = mrl("train", rows, "--base", model_directory, "--out", out, *TRAIN)
    assert status == 0, err
    assert "texts to train on" in err
    assert "skipped" in err
    assert "top-1 accuracy, 12 labels" in printed
    assert "expected dims" in err
    return out


def test_train_then_classify_then_index(mrl, model, rows, tmp_path):
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

    status, _, err = mrl("train", rows, "--base", model, "--out", model, *TRAIN)
    assert status == 1
    assert "already holds a model" in err


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


def test_an_image_is_no_text(mrl, model, tmp_path, monkeypatch):
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
    # A text is no less one for looking like a name.
    texts = ["two.png", "letters", "", "w1 " * 200 + ".png", "w1\0.csv"]
    status, out, err = mrl("classify", model, *texts, "--json")
    assert status == 0, err
    assert [answer["text"] for answer in json.loads(out)["answers"]] == texts


def test_ctrl_c_keeps_the_best_and_the_same_command_goes_on(mrl, rows, model_directory, tmp_path, monkeypatch):
    arguments = ("train", rows, "--base", model_directory, "--out", tmp_path / "model", *TRAIN)
    with monkeypatch.context() as patch:
        patch.setattr("service.commands.progress.TrainingProgress.report", interrupt_at(20))
        status, _, err = mrl(*arguments)
    assert status == 0, err
    assert "interrupted after 2 epochs" in err
    assert mrl("classify", tmp_path / "model", "w1 w2 w3")[0] == 0
    status, _, err = mrl(*arguments, "--seed", "1")
    assert status == 1
    assert "checkpoint of another run: it had {'seed': 0}, this run has {'seed': 1}" in err
    status, _, err = mrl(*arguments)
    assert status == 0, err
    assert "finished after 6 epochs" in err
    assert err.count(" accuracy  2: ") == 4, "two of the six epochs were done"
    assert not (tmp_path / "model" / "checkpoint").exists()
    status, _, err = mrl(*arguments)
    assert "already holds a model" in err
    status, _, err = mrl(*arguments, "--seed", "1", "--restart")
    assert status == 0, err
    assert err.count(" accuracy  2: ") == 6


def interrupt_at(step):
    """Draw nothing, and interrupt a run after a step."""

    def report(display, event):
        if isinstance(event, Step) and event.step == step:
            raise KeyboardInterrupt

    return report


def test_a_single_size_has_no_cascade(mrl, rows, model_directory, tmp_path):
    out = tmp_path / "ff"
    status, _, err = mrl(
        "train", rows, "--base", model_directory, "--out", out, "--kind", "ff", "--sizes", "8", "--epochs", "2"
    )
    assert status == 0, err
    status, printed, _ = mrl("classify", out, "w1 w2", "--json")
    assert json.loads(printed)["answers"][0]["dims"] == 8


def test_options_for_pairs_are_refused(mrl, rows, model_directory, tmp_path):
    status, _, err = mrl("train", rows, "--base", model_directory, "--out", tmp_path / "model", "--temperature", "0.1")
    assert status != 0
    assert "are for pairs" in err


def test_what_is_not_given_is_left_to_classification(mrl, rows, tmp_path, monkeypatch):
    taken = []
    monkeypatch.setattr("service.commands.train.train_labelled", lambda *arguments: taken.append(arguments))
    mrl("train", rows, "--out", tmp_path / "model")
    mrl("train", rows, "--out", tmp_path / "model", "--epochs", "7", "--learning-rate", "0")
    assert [arguments[4] for arguments in taken] == [ClassificationOptions()]
