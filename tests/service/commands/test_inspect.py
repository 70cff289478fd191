import json
import re

from indexer import Document, Updates
from tests.conftest import write_lines


def test_contents_and_calibration_are_shown(mrl, built):
    status, out, _ = mrl("index", "inspect", built)
    assert status == 0
    assert "1000, 0 rows rejected" in out
    assert "flat over 16 dims" in out
    assert "with sampled queries: none needed, an exact scan is fastest" in out
    assert "lexical      none; build with --lexical" in out
    assert re.search(r"10 +│ +scan +│ +32 +│.*│ 1.0000 │ +1.0000", out)


def test_the_manifest_as_json(mrl, built):
    status, out, _ = mrl("index", "inspect", built, "--json", "--generation", "1")
    facts = json.loads(out)
    assert (status, facts["rows"], facts["generation"], facts["published"]) == (0, 1000, "000001", "000001")


def test_updates_are_shown(mrl, root):
    with Updates.open(root) as updates:
        updates.upsert([Document("new", "w1", {"text": "w1"})])
    out = mrl("index", "inspect", root)[1]
    assert re.search(r"updates +1 upserts and 0 deletes since, journal of .*; 1001 documents now", out)


def test_words_a_target_and_what_was_missed_are_shown(mrl, tmp_path, model_directory):
    corpus = write_lines(tmp_path / "corpus.jsonl", [{"_id": str(i), "text": f"w{i}"} for i in range(200)])
    build = ["index", "build", corpus, "--model", model_directory, "--out", tmp_path / "index"]
    options = ["--recall", "0.9", "--memory", "0.001MB", "--lexical", "--lexical-language", "english"]
    status, _, err = mrl(*build, *options)
    assert status == 0, err
    _, out, err = mrl("index", "inspect", tmp_path / "index")
    assert "english stems" in out
    assert re.search(r"target +recall 0.9, memory 1.0 KB; \d+ structures tried on a sample", out)
    assert "warning: target missed: memory 0.001 MB" in err


def test_plans_are_plotted(mrl, built, tmp_path):
    picture = tmp_path / "front.png"
    assert mrl("index", "inspect", built, "--plot", picture)[0] == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_an_index_without_calibration(mrl, tmp_path, model_directory):
    corpus = write_lines(tmp_path / "corpus.jsonl", [{"_id": str(i), "text": f"w{i}"} for i in range(20)])
    build = ["index", "build", corpus, "--model", model_directory, "--out", tmp_path / "index", "--no-calibrate"]
    assert mrl(*build)[0] == 0
    assert "calibrated   no; run mrl index calibrate" in mrl("index", "inspect", tmp_path / "index")[1]
    status, _, err = mrl("index", "inspect", tmp_path / "index", "--plot", tmp_path / "x.png")
    assert status == 1
    assert "the index has no calibrated plans to plot: run mrl index calibrate first" in err
