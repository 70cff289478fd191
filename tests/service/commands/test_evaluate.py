import json

import pytest

from tests.conftest import write_lines
from tests.service.commands.mistakes import check_mistake
from tests.service.commands.test_evaluate_model import make_labelled


@pytest.fixture
def labelled(tmp_path):
    return write_lines(tmp_path / "labelled.jsonl", make_labelled())


@pytest.fixture
def judged(tmp_path, texts):
    write_lines(tmp_path / "queries.jsonl", [{"_id": f"q{i}", "text": texts[i]} for i in range(30)])
    (tmp_path / "qrels.tsv").write_text("".join(f"q{i}\t{i}\t1\n" for i in range(30)))
    return ["--queries", tmp_path / "queries.jsonl", "--qrels", tmp_path / "qrels.tsv"]


def test_an_index_is_evaluated_by_judgements(mrl, built, judged):
    status, out, _ = mrl("evaluate", built, *judged, "--dims", "8,32", "--json")
    assert status == 0
    assert [(score["search"], score["dims"]) for score in json.loads(out)] == [
        ("single", 8),
        ("single", 32),
        ("shortlist", 8),
        ("shortlist", 16),
    ]
    status, out, _ = mrl("evaluate", built, *judged)
    assert status == 0
    assert "30 judged queries, 1000 documents" in out
    assert "ndcg@10" in out


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["{index}", "--queries", "/no/q.jsonl", "--qrels", "/no/q.tsv"], 1, "cannot read /no/q.jsonl"),
        (["{index}"], 2, "is an index: evaluate it with --queries and --qrels"),
        (["{index}", "--data", "{labelled}"], 2, "is an index: evaluate it with --queries and --qrels"),
        (["{index}", "--queries", "{labelled}"], 2, "is an index: evaluate it with --queries and --qrels"),
        (["{model}"], 2, "names a model: evaluate it with --data"),
        (["{model}", "--queries", "q.jsonl", "--qrels", "q.tsv"], 2, "names a model: evaluate it with --data"),
        (["wordllama", "--queries", "q.jsonl", "--qrels", "q.tsv"], 2, "names a model: evaluate it with --data"),
        (["{empty}", "--data", "{labelled}"], 1, "neither an index .* nor a model"),
        (["{empty}"], 1, "neither an index .* nor a model"),
        (["/no/model", "--data", "{labelled}"], 1, "no such directory"),
        (["{labelled}", "--data", "{labelled}"], 1, "no such directory"),
        (["{model}", "--data", "/no/data.parquet"], 1, "cannot read /no/data.parquet"),
        (["{model}", "--data", "{labelled}", "--label-field", "class"], 1, "no training pair in 240 rows"),
        (["{model}", "--data", "{labelled}", "--dims", "64"], 1, "give at least one row of 64 dimensions"),
        (["{model}", "--data", "{labelled}", "--candidates", "5"], 1, "candidates 5: give at least 10"),
    ],
)  # fmt: skip
def test_mistakes_are_one_clear_line(mrl, tmp_path, built, labelled, model_directory, arguments, status, message):
    empty = tmp_path / "empty"
    empty.mkdir()
    names = {"index": built, "model": model_directory, "labelled": labelled, "empty": empty}
    check_mistake(mrl("evaluate", *(argument.format(**names) for argument in arguments)), status, message)
