"""A user trains, indexes, searches and evaluates by the command line."""

import json
import re

from tests.conftest import write_lines
from tests.models.training.test_contrastive import make_pairs


def test_train_index_search_and_evaluate(mrl, tmp_path, model_directory):
    pairs = write_lines(tmp_path / "pairs.jsonl", [{"query": p.query, "document": p.document} for p in make_pairs()])
    corpus = write_lines(
        tmp_path / "corpus.jsonl", [{"_id": f"d{i}", "text": p.document} for i, p in enumerate(make_pairs())]
    )
    queries = write_lines(
        tmp_path / "queries.jsonl", [{"_id": f"q{i}", "text": p.query} for i, p in enumerate(make_pairs())]
    )
    (tmp_path / "qrels.tsv").write_text("".join(f"q{i}\td{i}\t1\n" for i in range(300)))
    model, index = tmp_path / "model", tmp_path / "index"

    options = [
        "--sizes",
        "8,16,32",
        "--weights",
        "2,1,1",
        "--epochs",
        "3",
        "--batch-size",
        "64",
        "--learning-rate",
        "0.2",
    ]
    status, out, err = mrl("train", pairs, "--base", model_directory, "--out", model, *options)
    assert status == 0, err
    assert "dims" in out
    assert re.search(r"step +0 +nDCG@10", err)
    assert "finished after" in err

    status, out, _ = mrl(
        *("index", "build", corpus, "--model", model, "--out", index, "--dims", "16", "--json"),
        *("--shortlist", "hnsw", "-o", "links=8"),
    )
    assert status == 0
    assert json.loads(out)["documents"] == 300
    status, _, err = mrl(
        "index", "build", corpus, "--model", model, "--out", index, "--shortlist", "flat", "--dims", "16"
    )
    assert status == 0
    assert "generation 000002" in err

    status, out, _ = mrl("search", index, make_pairs()[7].query, "-k", "3", "--json")
    found = json.loads(out)
    assert (status, len(found["results"])) == (0, 3)
    # Nothing is faster than a scan of so few rows, and it finds everything.
    assert (found["plan"]["structure"], found["plan"]["promise"]["recall_low"]) == ("scan", 1)
    status, out, err = mrl("search", index, make_pairs()[7].query, "-k", "3")
    assert [line.split()[2] for line in out.splitlines()] == [hit["id"] for hit in found["results"]]
    assert "300 → 3" in err

    evaluate = ["evaluate", index, "--queries", tmp_path / "queries.jsonl", "--qrels", tmp_path / "qrels.tsv"]
    status, out, _ = mrl(*evaluate, "--dims", "8,32", "--json")
    scores = json.loads(out)
    assert [(score["search"], score["dims"]) for score in scores] == [
        ("single", 8),
        ("single", 32),
        ("shortlist", 8),
        ("shortlist", 16),
    ]
    status, out, _ = mrl(*evaluate)
    assert status == 0
    assert "300 judged queries, 300 documents" in out
    assert "ndcg@10" in out
    assert queries.exists()
