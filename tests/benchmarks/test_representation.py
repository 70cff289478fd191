import json
import sys

import numpy as np
import pytest

from benchmarks.representation import cli
from benchmarks.representation.config import REST, WHOLE, Settings
from benchmarks.representation.run import measure_seed
from benchmarks.representation.tables import claims, spread, summary
from models import Nesting
from models.classifier.text_data import ClassificationData
from models.data.labelled_texts import split_labelled
from tests.conftest import make_encoder
from tests.models.classifier.labelled import make_items

SETTINGS = Settings(
    nesting=Nesting((2, 8, 32)),
    seeds=(0, 1),
    training={"epochs": 2, "batch_size": 64, "learning_rate": 0.3, "device": "cpu"},
    shortlist=8,
    candidates=50,
    few_shot_size=8,
    episodes=2,
)


@pytest.fixture(scope="module")
def run():
    data = ClassificationData.prepare(split_labelled(make_items(), 0.1, 0), make_encoder())
    rows = np.ones(len(data.test_targets), bool)
    return measure_seed(data, {WHOLE: rows, REST: rows & (data.test_targets > 2)}, SETTINGS, 0)


def test_every_experiment_of_the_paper_is_there(run):
    assert set(run["validation"]) == {"mrl", "mrl-e", "slimmable", "ff"}
    assert set(run["views"]) == {WHOLE, REST}
    assert run["views"][WHOLE]["accuracy"] != run["views"][REST]["accuracy"]
    run = run["views"][WHOLE]
    methods = {"mrl", "mrl-e", "ff", "slimmable", "truncation", "random", "pca", "svd", "int8", "one bit"}
    assert set(run["accuracy"]) == methods
    for method in methods - {"int8", "one bit"}:
        assert set(run["accuracy"][method]) == {2, 8, 32}
    assert set(run["accuracy"]["int8"]) == {2, 8}, "int8 of FF-8 and FF-32"
    assert run["accuracy"]["truncation"][32] == pytest.approx(run["accuracy"]["pca"][32], abs=0.1)
    assert run["accuracy"]["mrl"][32] > 0.5
    adaptive = run["adaptive"]
    assert adaptive["chosen"]["ff"]["validation"]["accuracy"] >= adaptive["targets"]["ff"] or (
        adaptive["chosen"]["ff"] == adaptive["curve"][-1]
    )
    assert {tuple(score["sizes"]) for score in run["retrieval"]} == {(2,), (8,), (32,), (2, 32), (8, 32)}
    assert set(run["one_shot"]) == {2, 8, 32}


def test_claims_are_paired_by_seed_and_held_against_their_bounds(run):
    run = json.loads(json.dumps(run["views"][WHOLE]), object_hook=_with_sizes)
    better = json.loads(json.dumps(run), object_hook=_with_sizes)
    for size in (2, 8, 32):
        run["accuracy"]["mrl"][size] = run["accuracy"]["ff"][size] - 0.004
        better["accuracy"]["mrl"][size] = better["accuracy"]["ff"][size] - 0.008
    found = {one["claim"]: one for one in claims([run, better], SETTINGS)}
    assert found["MRL - FF at 8"]["mean"] == pytest.approx(-0.6)
    assert not found["MRL - FF at 8"]["holds"]
    assert found["MRL - FF at 8"]["low"] < -0.6 < found["MRL - FF at 8"]["high"]
    assert found["adaptive within D/14: dimensions"]["bound"] == pytest.approx(32 / 14)
    assert "MRL-E - MRL at 32" in found
    assert "MRL-E - MRL at 8" not in found


def _with_sizes(value):
    return {int(key) if key.isdigit() else key: one for key, one in value.items()}


def test_one_seed_has_no_interval():
    assert spread([0.5]) == {"mean": 0.5, "values": [0.5]}
    assert spread([0.5, 0.7])["mean"] == pytest.approx(0.6)


def test_the_command_writes_results_and_pictures(monkeypatch, tmp_path, capsys, run):
    monkeypatch.setattr(cli, "measure_seed", lambda data, views, settings, seed: run)
    monkeypatch.setattr(cli, "summary", lambda runs, settings: summary(runs, SETTINGS))
    monkeypatch.setattr(cli, "data_file", lambda name: tmp_path / "rows.jsonl")
    monkeypatch.setattr(sys, "argv", ["representation", "--out", str(tmp_path / "out"), "--seeds", "2"])
    rows = [
        {"id": ("libghc-" if i % 3 else "w") + str(i), "text": item.text, "label": item.label, "split": item.split}
        for i, item in enumerate(make_items(200))
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    cli.main()
    assert "| MRL - FF at " in capsys.readouterr().out
    written = json.loads((tmp_path / "out" / "representation.json").read_text())
    assert written["data"]["labels"] == 12
    assert written["data"]["test"] == {WHOLE: 40, REST: 13}
    assert np.isfinite(written["views"][REST]["accuracy"]["mrl"]["8"]["mean"])
    for name in ("accuracy", "adaptive", "retrieval", "one_shot"):
        assert (tmp_path / "out" / f"representation_{name}.png").stat().st_size > 10_000
