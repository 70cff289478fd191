import json
from dataclasses import replace

import pytest
from sentence_transformers import SentenceTransformer

from models import Classifier
from models.classifier.output import write_classifier
from models.directory.output import CHECKPOINT
from tests.models.classifier.labelled import options

CARD = {"title": "Title", "summary": "A summary.", "pipeline": "text-classification", "usage": "use(it)"}


def test_a_directory_has_the_model_its_record_and_its_card(trained, tmp_path):
    write_classifier(trained, str(tmp_path / "model"), options(), "tiny", **CARD)
    out = tmp_path / "model"
    assert Classifier.load(out).encoder.content_hash == trained.classifier.encoder.content_hash
    assert SentenceTransformer(str(out), device="cpu").get_embedding_dimension() == 32
    record = json.loads((out / "mrl.json").read_text())
    assert (record["base"], record["stopped"], record["best_epoch"]) == ("tiny", "finished", trained.best_epoch)
    assert record["nesting"] == trained.classifier.nesting.to_json()
    assert record["options"] == options().record()
    assert record["test"]["accuracy"] == {str(size): value for size, value in trained.test.items()}
    assert len(record["history"]) == len(trained.history)
    card = (out / "README.md").read_text()
    for part in ("# Title", "A summary.", "use(it)", "text-classification", trained.classifier.encoder.content_hash):
        assert part in card
    assert "top-1, validation" in card
    assert "top-1, test" in card


@pytest.mark.parametrize(("stopped", "kept"), [("finished", False), ("early stop", False), ("interrupted", True)])
def test_only_an_interrupted_run_keeps_its_checkpoint(trained, tmp_path, stopped, kept):
    checkpoint = tmp_path / CHECKPOINT
    checkpoint.mkdir()
    (checkpoint / "state.json").write_text("{}")
    write_classifier(replace(trained, stopped=stopped, test={}), tmp_path, options(), None, **CARD)
    assert (checkpoint / "state.json").exists() == kept
    assert "top-1, test" not in (tmp_path / "README.md").read_text()
