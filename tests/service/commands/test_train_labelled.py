import re

import pytest

from models.progress import Step
from tests.conftest import write_lines
from tests.models.classifier.labelled import make_items

TRAIN = ["--sizes", "2,8,32", "--epochs", "6", "--batch-size", "64", "--learning-rate", "0.3"]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    items = [
        {"_id": str(i), "text": item.text, "label": item.label, "split": item.split}
        for i, item in enumerate(make_items())
    ]
    return write_lines(tmp_path_factory.mktemp("rows") / "rows.jsonl", [*items, {"text": "no label"}])


def interrupt_at(step):
    """Draw nothing, and interrupt a run after a step."""

    def report(display, event):
        if isinstance(event, Step) and event.step == step:
            raise KeyboardInterrupt

    return report


def test_ctrl_c_keeps_the_best_weights_and_the_same_command_resumes(mrl, rows, model_directory, tmp_path, monkeypatch):
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
    status, printed, err = mrl(*arguments)
    assert status == 0, err
    assert "texts to train on" in err
    assert re.search(r"skipped .*rows.jsonl line 901: ", err)
    assert "top-1 accuracy, 12 labels" in printed
    assert "expected dims" in err
    assert "finished after 6 epochs" in err
    assert err.count(" accuracy  2: ") == 4, "two of the six epochs are done"
    assert not (tmp_path / "model" / "checkpoint").exists()
    status, _, err = mrl(*arguments)
    assert "already holds a model" in err
    status, _, err = mrl(*arguments, "--seed", "1", "--restart")
    assert status == 0, err
    assert err.count(" accuracy  2: ") == 6
