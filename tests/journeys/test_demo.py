"""The demonstration, in full but for the number of documents."""

import json

import pytest


@pytest.mark.slow
def test_the_demonstration_runs_and_training_helps(mrl, tmp_path):
    status, out, err = mrl("demo", "--out", tmp_path, "--documents", "4000")
    assert status == 0, err
    assert "parse a json string into python objects" in out
    assert "shortlist" in out
    scores = json.loads((tmp_path / "ndcg.json").read_text())
    for size in ("32", "64"):
        assert scores["after"][size] > scores["before"][size] + 0.05
    assert (tmp_path / "ndcg.png").exists()
