import json

import pytest

from indexer import Generations, Manifest
from tests.conftest import write_lines
from tests.service.commands.mistakes import check_mistake

BUILD = ["index", "build", "{corpus}", "--out", "{tmp}/i"]


@pytest.fixture
def corpus(tmp_path):
    rows = [{"_id": str(i), "title": "t", "text": f"w{i}", "n": i} for i in range(200)]
    return write_lines(tmp_path / "corpus.jsonl", [*rows, {"_id": "broken"}])


def test_build(mrl, tmp_path, corpus, model_directory):
    build = ["index", "build", corpus, "--model", model_directory, "--out", tmp_path / "index", "--dims", "16"]
    options = ["--shortlist", "hnsw", "-o", "links=8", "--filterable", "n", "--lexical", "--no-calibrate", "--json"]
    status, out, err = mrl(*build, *options)
    assert status == 0, err
    facts = json.loads(out)
    assert (facts["generation"], facts["documents"], facts["rejected"]) == ("000001", 200, 1)
    manifest = Manifest.read(tmp_path / "index" / "generations" / "000001")
    assert (manifest.shortlist.kind, manifest.shortlist.options["links"]) == ("hnsw", 8)
    assert manifest.lexical.fields == ("title", "text")
    status, _, err = mrl(*build, "--keep", "1", "--no-calibrate", "--no-resume")
    assert status == 0
    assert "generation 000002 of" in err
    assert "1 rows were rejected, see " in err
    assert "deleted generations 000001; --keep sets how many to keep" in err


def test_a_missed_target_is_a_warning(mrl, tmp_path, corpus, model_directory):
    build = ["index", "build", corpus, "--model", model_directory, "--out", tmp_path / "index"]
    status, out, err = mrl(*build, "--recall", "0.9", "--memory", "0.001MB", "--json")
    assert status == 0
    missed = "memory 0.001 MB: "
    assert f"warning: target missed: {missed}" in err
    assert json.loads(out)["missed"][0].startswith(missed)
    status, _, err = mrl(*build, "--recall", "0.9", "--memory", "1 GB")
    assert (status, "warning" in err) == (0, False)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
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
        ([*BUILD, "--lexical-field", "title"], 2, "--lexical-field and --lexical-language need --lexical"),
    ],
)  # fmt: skip
def test_mistakes_are_one_clear_line(mrl, tmp_path, built, arguments, status, message):
    corpus = write_lines(tmp_path / "corpus.jsonl", [{"_id": "a", "text": "w1"}])
    filled = [argument.format(corpus=corpus, tmp=tmp_path, index=built) for argument in arguments]
    check_mistake(mrl(*filled), status, message)


def test_verify(mrl, root):
    status, out, _ = mrl("index", "verify", root)
    assert (status, "files and 0 updates in the journal are intact" in out) == (0, True)
    vectors = root / "generations" / "000001" / "vectors.npy"
    content = bytearray(vectors.read_bytes())
    content[500] ^= 1
    vectors.write_bytes(content)
    status, _, err = mrl("index", "verify", root, "--generation", "1")
    assert status == 1
    assert "vectors.npy differ from the manifest" in err


def test_snapshot(mrl, root, tmp_path):
    status, out, _ = mrl("index", "snapshot", root, tmp_path / "copy", "--copy")
    assert status == 0
    assert "generation 000001" in out
    assert "copied, with 0 updates in the journal" in out
    status, out, _ = mrl("index", "snapshot", root, tmp_path / "link", "--json")
    assert (status, json.loads(out)["generation"]) == (0, "000001")
    assert Generations(tmp_path / "copy").published() == Generations(tmp_path / "link").published() == "000001"


def test_rollback(mrl, tmp_path, corpus, model_directory):
    out = tmp_path / "index"
    for _ in range(2):
        assert mrl("index", "build", corpus, "--model", model_directory, "--out", out, "--no-calibrate")[0] == 0
    status, printed, _ = mrl("index", "rollback", out)
    assert (status, printed) == (0, f"{out}: published generation 000001 instead of 000002\n")
    status, _, err = mrl("index", "rollback", out)
    assert status == 1
    assert "has no earlier generation" in err
    assert mrl("index", "rollback", out, "--to", "2")[0] == 0
    assert Generations(out).published() == "000002"
