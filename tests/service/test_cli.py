import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.conftest import write_lines
from tests.models.training.test_contrastive import make_pairs

COMMANDS = ["train", "index", "search", "serve", "evaluate", "demo"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        *([name] for name in COMMANDS),
        *(["index", name] for name in ("build", "calibrate", "inspect", "verify", "rollback")),
    ],
)
def test_help_on_every_level(mrl, arguments):
    status, out, _ = mrl(*arguments, "--help")
    assert status == 0
    assert "Usage: mrl" in re.sub(r"\s+", " ", out)
    if not arguments:
        assert all(name in out for name in COMMANDS)


def test_a_user_goes_the_whole_way(mrl, tmp_path, model_directory):
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


def test_inspect_verify_rollback(mrl, built, tmp_path):
    index = tmp_path / "index"
    shutil.copytree(built, index)
    status, out, _ = mrl("index", "inspect", index)
    assert status == 0
    assert "1000, 0 rows rejected" in out
    assert "flat over 16 dims" in out
    assert "with sampled queries: none needed, an exact scan is fastest" in out
    assert re.search(r"10 +│ +scan +│ +32 +│.*│ 1.0000 │ +1.0000", out)
    status, out, _ = mrl("index", "inspect", index, "--json")
    assert json.loads(out)["rows"] == 1000
    status, out, _ = mrl("index", "verify", index)
    assert (status, "6 files and 0 updates in the journal are intact" in out) == (0, True)
    status, _, err = mrl("index", "rollback", index)
    assert status == 1
    assert "error: " in err
    assert "has no earlier generation" in err

    vectors = index / "generations" / "000001" / "vectors.npy"
    content = bytearray(vectors.read_bytes())
    content[500] ^= 1
    vectors.write_bytes(content)
    status, _, err = mrl("index", "verify", index, "--generation", "1")
    assert status == 1
    assert "vectors.npy differ from the manifest" in err


def test_calibrate_again_and_draw_it(mrl, built, tmp_path):
    index = tmp_path / "index"
    shutil.copytree(built, index)
    queries = tmp_path / "queries.txt"
    queries.write_text("w1 w2\nw3\n")
    status, out, err = mrl("index", "calibrate", index, "--queries", queries, "--seconds", "1", "--k", "1,5")
    assert status == 0
    assert "with given queries" in err
    assert [row.split()[1] for row in out.splitlines() if "scan" in row] == ["1", "5"]
    status, out, _ = mrl("index", "calibrate", index, "--k", "7", "--confidence", "0.9", "--json")
    facts = json.loads(out)
    assert (facts["queries"], facts["confidence"], [plan["k"] for plan in facts["plans"]]) == ("sampled", 0.9, [7])
    picture = tmp_path / "front.png"
    status, out, _ = mrl("index", "inspect", index, "--plot", picture)
    assert status == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_build_says_what_of_its_target_it_missed(mrl, tmp_path, model_directory):
    corpus = write_lines(tmp_path / "corpus.jsonl", [{"_id": str(i), "text": f"w{i}"} for i in range(200)])
    build = ["index", "build", corpus, "--model", model_directory, "--out", tmp_path / "index"]
    status, out, err = mrl(*build, "--recall", "0.9", "--memory", "0.001MB", "--json")
    assert status == 0
    missed = "memory 0.001 MB: the smallest structure takes"
    assert f"warning: target missed: {missed}" in err
    assert json.loads(out)["missed"][0].startswith(missed)
    assert missed in mrl("index", "inspect", tmp_path / "index")[2]
    status, _, err = mrl(*build, "--recall", "0.9", "--memory", "1 GB")
    assert (status, "warning" in err) == (0, False)
    status, _, err = mrl(*build, "--no-calibrate")
    status, _, err = mrl("index", "inspect", tmp_path / "index", "--plot", tmp_path / "x.png")
    assert status == 1
    assert "the index has no calibrated plans to plot" in err
    assert "calibrated   no; run mrl index calibrate" in mrl("index", "inspect", tmp_path / "index")[1]


BUILD = ["index", "build", "{corpus}", "--out", "{tmp}/i"]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["search", "/no/index", "text"], 1, "no index is published at /no/index: build one with mrl index build"),
        (["serve", "/no/index"], 1, "no index is published at /no/index"),
        (["serve"], 1, "no index given: name its directory, or set MRL_INDEX"),
        (["serve", "x", "--port", "99999"], 1, "port 99999: .*flag --port, MRL_PORT"),
        (["index", "build", "/no/corpus", "--out", "/tmp/x"], 1, "corpus /no/corpus: no such file or folder"),
        ([*BUILD, "--model", "/no/model"], 1, "model '/no/model': no such directory"),
        ([*BUILD, "--vectors", "int1"], 1, "vectors 'int1': allowed are float32, float16, int8"),
        ([*BUILD, "--on-error", "cry"], 1, "on_error 'cry': allowed are skip, fail"),
        ([*BUILD, "-o", "links"], 2, "write name=value"),
        ([*BUILD, "-o", "links=x", "--shortlist", "hnsw"], 1, "option links of shortlist 'hnsw'"),
        ([*BUILD, "-o", "links=8"], 1, "options links without a structure: name one by shortlist, such as hnsw"),
        ([*BUILD, "--shortlist", "hnsw", "--recall", "0.9"], 1, "shortlist 'hnsw' with a target"),
        ([*BUILD, "--recall", "95"], 1, "recall 95.0: give more than 0 and at most 1"),
        ([*BUILD, "--memory", "much"], 1, "memory 'much': give a number of bytes, or a size such as 500MB or 1.5GB"),
        ([*BUILD, "--calibration-seconds", "0"], 1, "seconds 0.0: give more than 0"),
        (["index", "calibrate", "/no/index"], 1, "no index is published at /no/index"),
        (["index", "calibrate", "{index}", "--k", "ten"], 1, "k 'ten': give integers separated by commas"),
        (["index", "calibrate", "{index}", "--queries", "/no/q.txt"], 1, "cannot read queries /no/q.txt"),
        (["train", "/no/pairs.jsonl", "--out", "{tmp}/m"], 1, "cannot read /no/pairs.jsonl"),
        (["train", "{corpus}", "--out", "{tmp}/m"], 1, "no training pair in 1 rows"),
        (["train", "{corpus}", "--out", "{tmp}/m", "--weights", "1"], 2, "--weights needs --sizes"),
        (["evaluate", "{index}", "--queries", "/no/q.jsonl", "--qrels", "/no/q.tsv"], 1, "cannot read /no/q.jsonl"),
        (["search", "{index}", "w1", "-k", "0"], 1, "k 0: give at least 1"),
    ],
)  # fmt: skip
def test_mistakes_are_one_clear_line(mrl, tmp_path, built, arguments, status, message):
    corpus = write_lines(tmp_path / "corpus.jsonl", [{"_id": "a", "text": "w1"}])
    filled = [argument.format(corpus=corpus, tmp=tmp_path, index=built) for argument in arguments]
    code, out, err = mrl(*filled)
    assert code == status
    assert re.search(message, re.sub(r"[\s│]+", " ", err))
    assert out == ""
    assert "Traceback" not in err


def test_passed_over_pairs_are_told(mrl, tmp_path, model_directory):
    rows = [{"query": p.query, "document": p.document} for p in make_pairs(40)]
    pairs = write_lines(tmp_path / "pairs.jsonl", [{"query": "alone"}] * 12 + rows)
    status, _, err = mrl("train", pairs, "--base", model_directory, "--out", tmp_path / "m", "--epochs", "1")
    assert status == 0
    assert "pairs.jsonl line 1: no text in field 'document'" in err
    assert "skipped 2 more rows" in err


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "service", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def test_serve_answers_and_stops_on_sigterm(built):
    process = start("serve", built, "--port", "0", "--auth", "off")
    try:
        port = None
        for line in process.stderr:
            if match := re.search(r"running on http://127.0.0.1:(\d+)", line):
                port = int(match[1])
                break
        deadline = time.monotonic() + 30
        while httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        answer = httpx.post(f"http://127.0.0.1:{port}/v1/search", json={"query": "w1", "k": 1}, trust_env=False)
        assert len(answer.json()["results"]) == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) in (0, -signal.SIGTERM)
    finally:
        process.kill()
        process.communicate()


def test_serve_ends_with_the_reason_where_the_index_is_damaged(built, tmp_path):
    index = tmp_path / "index"
    shutil.copytree(built, index)
    np.save(index / "generations" / "000001" / "vectors.npy", np.zeros(3))
    process = start("serve", index, "--port", "0", "--auth", "off")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.rstrip().splitlines()[-1].startswith("error: ")
    assert "vectors.npy has" in err
    assert "Traceback" not in err


def test_ctrl_c_ends_with_status_130(monkeypatch, mrl):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("service.commands.search.Index.open", interrupt)
    status, _, _ = mrl("search", "index", "text")
    assert status == 130


def test_the_command_starts_without_torch():
    program = "import sys; import service.cli; assert 'torch' not in sys.modules, 'torch takes seconds to import'"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path.cwd())
