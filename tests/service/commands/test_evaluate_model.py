import json
import re

import numpy as np
import pytest

from models import truncate
from models.evaluation.labels import EvaluationOptions, evaluate_labels
from tests.conftest import WORDS, write_lines


def make_labelled(count=240, split=True):
    """Texts whose label is the tens of their words."""
    rows = []
    for i in range(count):
        label = i % 4
        words = " ".join(WORDS[10 * label + (7 * i + 3 * j) % 10] for j in range(3)) + f" {WORDS[100 + i % 190]}"
        rows.append(
            {"text": words, "label": f"l{label}", **({"split": "test" if i % 5 == 0 else "train"} if split else {})}
        )
    return rows


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    return write_lines(tmp_path_factory.mktemp("labelled") / "labelled.jsonl", make_labelled())


def test_a_model_is_evaluated_by_labels(mrl, tmp_path, labelled, model_directory, encoder):
    save, plots = tmp_path / "new" / "figures.json", tmp_path / "plots"
    status, out, err = mrl(
        "evaluate", model_directory, "--data", labelled, "--save", save, "--plots", plots, "--episodes", 2
    )
    assert status == 0
    assert "192 training and 48 test texts, 4 labels" in out
    assert "* interpolated: halfway between two sizes" in out
    assert re.search(r"│ 12 \* +│", out)
    assert re.search(r"adaptive +│ +8→32 +│ +200", out)
    assert re.search(r"funnel +│ +8→16→32 +│ +200→100", out)
    assert re.search(r"16 +│ +\d+\.\d ± \d+\.\d │", out)
    assert "mean of 2 episodes" in out
    assert "measuring linear probes" in err
    assert sorted(path.name for path in plots.iterdir()) == [
        "few_shot.png",
        "linear.png",
        "map.png",
        "nearest.png",
        "retrieval.png",
    ]
    figures = json.loads(save.read_text())
    assert figures["content_hash"] == encoder.content_hash
    rows = make_labelled()
    vectors = truncate(encoder.encode_documents([row["text"] for row in rows]), 32)
    labels = np.array([row["label"] for row in rows])
    test = np.array([row["split"] == "test" for row in rows])
    expected = evaluate_labels(
        vectors[~test], labels[~test], vectors[test], labels[test], (8, 16, 32), options=EvaluationOptions(episodes=2)
    )
    assert figures["labels"]["sizes"] == json.loads(json.dumps(expected.to_json()))["sizes"]


def test_json_on_standard_output_and_chosen_sizes(mrl, tmp_path, model_directory):
    data = write_lines(tmp_path / "drawn.jsonl", make_labelled(split=False))
    options = [
        "--dims",
        "8,32",
        "--no-linear",
        "--no-between",
        "--episodes",
        "2",
        "--candidates",
        "20",
        "--limit",
        "150",
    ]
    status, out, _ = mrl("evaluate", model_directory, "--data", data, *options, "--json")
    assert status == 0
    figures = json.loads(out)["labels"]
    assert [(score["size"], score["linear"]) for score in figures["sizes"]] == [(8, None), (32, None)]
    assert figures["retrieval"][0]["sizes"] == [8, 32]
    assert figures["retrieval"][0]["candidates"] == [20]
    assert figures["train"] + figures["test"] == 150


def test_a_model_is_evaluated_by_pairs(mrl, tmp_path, model_directory):
    rows = [{"q": f"w{i}", "d": f"w{i} w{i + 100}"} for i in range(30)] + [{"q": "alone"}] * 12
    data = write_lines(tmp_path / "pairs.jsonl", rows)
    fields = ["--query-field", "q", "--document-field", "d"]
    status, out, err = mrl("evaluate", model_directory, "--data", data, *fields)
    assert status == 0
    assert "30 queries, each with one relevant document among 30" in out
    assert re.search(r"nDCG@10 ┃ +recall@1 ┃ +recall@10 ┃ +recall@100", out)
    assert "skipped 2 more rows" in err
    status, out, _ = mrl(
        "evaluate", model_directory, "--data", data, *fields, "--limit", "10", "--dims", "32", "--json"
    )
    (score,) = json.loads(out)["pairs"]
    assert (score["size"], score["documents"], score["recall"]["10"]) == (32, 10, 1.0)
