import pytest

from models import ClassificationOptions
from tests.conftest import write_lines
from tests.models.training.test_contrastive import make_pairs
from tests.service.commands.mistakes import check_mistake


@pytest.fixture
def pairs(tmp_path):
    rows = [{"query": pair.query, "document": pair.document} for pair in make_pairs(60)]
    return write_lines(tmp_path / "pairs.jsonl", [{"query": "alone"}] * 12 + rows)


def test_pairs_train_a_model_and_invalid_ones_are_skipped(mrl, tmp_path, model_directory, pairs):
    options = ["--sizes", "8,32", "--weights", "2,1", "--epochs", "1", "--batch-size", "16", "--learning-rate", "0.2"]
    status, out, err = mrl("train", pairs, "--base", model_directory, "--out", tmp_path / "m", *options)
    assert status == 0, err
    assert "pairs.jsonl line 1: no text in field 'document'" in err
    assert "skipped 2 more rows" in err
    assert "validation nDCG@10" in out
    assert [line.split()[1] for line in out.splitlines() if line.startswith("│")] == ["8", "32"]
    assert "finished after" in err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["train", "/no/pairs.jsonl", "--out", "{tmp}/m"], 1, "cannot read /no/pairs.jsonl"),
        (["train", "{corpus}", "--out", "{tmp}/m"], 1, "no training pair in 1 rows"),
        (["train", "{corpus}", "--out", "{tmp}/m", "--weights", "1"], 2, "--weights needs --sizes"),
    ],
)  # fmt: skip
def test_mistakes_are_one_clear_line(mrl, tmp_path, built, arguments, status, message):
    corpus = write_lines(tmp_path / "corpus.jsonl", [{"_id": "a", "text": "w1"}])
    filled = [argument.format(corpus=corpus, tmp=tmp_path, index=built) for argument in arguments]
    check_mistake(mrl(*filled), status, message)


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--temperature", "0.1"], "are for pairs, but the data are labelled texts"), (["--compile"], "are for pairs")],
)
def test_options_for_pairs_are_refused_for_labelled_texts(mrl, tmp_path, options, message):
    rows = write_lines(tmp_path / "rows.jsonl", [{"text": "w1", "label": "a"}])
    check_mistake(mrl("train", rows, "--out", tmp_path / "model", *options), 2, message)


def test_options_that_are_not_given_keep_the_defaults_of_classification(mrl, tmp_path, monkeypatch):
    rows = write_lines(tmp_path / "rows.jsonl", [{"text": "w1", "label": "a"}])
    taken = []
    monkeypatch.setattr("service.commands.train.train_labelled", lambda *arguments: taken.append(arguments))
    mrl("train", rows, "--out", tmp_path / "model")
    mrl("train", rows, "--out", tmp_path / "model", "--epochs", "7", "--learning-rate", "0")
    assert [arguments[4] for arguments in taken] == [ClassificationOptions()]


def test_a_folder_trains_on_images(mrl, tmp_path, monkeypatch):
    taken = []
    monkeypatch.setattr("service.commands.train.train_on_images", lambda *arguments: taken.append(arguments))
    assert mrl("train", tmp_path, "--out", tmp_path / "model", "--sizes", "4,8", "--kind", "mrl-e")[0] == 0
    ((folder, base, _, options, validation, restart),) = taken
    assert (folder, base, options.nesting.sizes, options.kind) == (tmp_path, None, (4, 8), "mrl-e")
    assert (validation, restart) == (0.05, False)
    message = "give a single folder, and --sizes instead of --width"
    check_mistake(mrl("train", tmp_path, "--out", tmp_path / "model", "--width", "64"), 2, message)
