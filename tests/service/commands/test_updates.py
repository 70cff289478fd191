import io
import json
import sys

import pytest

from indexer import Generations, Index
from indexer.storage.manifest import Manifest
from tests.conftest import write_lines
from tests.service.commands.mistakes import check_mistake


@pytest.fixture
def index(root):
    return root


@pytest.mark.parametrize("command", ["append", "delete", "compact"])
def test_help(mrl, command):
    status, out, _ = mrl("index", command, "--help")
    assert status == 0
    assert f"Usage: mrl index {command}" in out
    assert command in mrl("index", "--help")[1]


def test_documents_are_appended_found_deleted_and_compacted(mrl, index, tmp_path):
    rows = [{"_id": f"new {i}", "text": f"w{i} w{i} w{i + 1}"} for i in range(20)]
    corpus = write_lines(tmp_path / "more.jsonl", [*rows, {"_id": "7", "text": "w7"}, {"_id": "broken"}])
    listed = tmp_path / "rejected.jsonl"
    status, _, err = mrl("index", "append", index, corpus, "--batch-size", "8", "--rejected", listed)
    assert status == 0, err
    assert "20 documents added, 1 replaced in" in err
    assert f"1 rows were rejected, see {listed}:" in err
    assert "more.jsonl line 22: missing text" in err
    assert json.loads(listed.read_text())["line"] == 22

    status, out, _ = mrl("search", index, "w5 w5 w6", "-k", "1", "--json")
    assert json.loads(out)["results"][0]["id"] == "new 5"

    (tmp_path / "ids.txt").write_text("new 5\nnew 6\nnosuch\n")
    status, out, _ = mrl("index", "delete", index, "new 7", "7", "--from", tmp_path / "ids.txt")
    assert (status, out.split(": ")[1]) == (0, "4 documents deleted, 1 ids not found\n")
    status, out, _ = mrl("index", "delete", index, "new 7", "new 8", "--json")
    assert (json.loads(out)["deleted"], json.loads(out)["missing"]) == (1, 1)

    status, _, err = mrl("index", "compact", index)
    assert status == 0, err
    assert "26 updates folded in, 1015 documents, " in err
    status, out, _ = mrl("index", "compact", index, "--json")
    assert (json.loads(out)["generation"], json.loads(out)["operations"]) == ("000002", 0)
    status, _, err = mrl("index", "compact", index)
    assert "no updates since generation 000002" in err
    assert Generations(index).published() == "000002"
    assert mrl("index", "verify", index)[0] == 0
    with Index.open(index) as opened:
        assert len(opened) == 1015
        assert not {"new 5", "7"} & set(opened.view.ids())


def test_append_reports_as_json(mrl, index, tmp_path):
    corpus = write_lines(
        tmp_path / "more.jsonl", [{"key": "a", "body": "w1"}, {"key": "1", "body": "w2"}, {"key": "a"}]
    )
    status, out, _ = mrl("index", "append", index, corpus, "--id-field", "key", "--text-field", "body", "--json")
    found = json.loads(out)
    assert (status, found["added"], found["replaced"], found["rejected"]) == (0, 1, 1, 1)


def test_ids_are_read_from_standard_input(mrl, index, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"1\n2\n\n")))
    status, out, _ = mrl("index", "delete", index, "--from", "-", "--json")
    assert (status, json.loads(out)["deleted"]) == (0, 2)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["delete", "{index}"], 2, "no id given: name ids, or a file of ids with --from"),
        (["delete", "{index}", "--from", "/no/such"], 2, "No such file"),
        (["delete", "{index}", "--from", "{tmp}/latin"], 1, "error: cannot read .*latin: 'utf-8' codec"),
        (["delete", "/no/index", "a"], 1, "error: no index is published at /no/index"),
        (["append", "{index}", "{tmp}/latin"], 1, "error: corpus file .*latin: unknown kind"),
        (["append", "{index}", "/no/corpus"], 1, "error: corpus /no/corpus: no such file or folder"),
        (["compact", "/no/index"], 1, "error: no index is published at /no/index"),
        (["compact", "{index}", "--keep", "0"], 1, "error: keep 0: give at least 1"),
    ],
)
def test_mistakes_are_one_clear_line(mrl, index, tmp_path, arguments, status, message):
    (tmp_path / "latin").write_bytes(b"\xe9\n")
    filled = [argument.format(index=index, tmp=tmp_path) for argument in arguments]
    check_mistake(mrl("index", *filled), status, message)


def test_a_compaction_without_the_model_says_so(mrl, index):
    mrl("index", "delete", index, "1")
    folder = index / "generations" / "000001"
    manifest = Manifest.read(folder)
    gone = manifest.model.model_copy(update={"name": "/no/model"})
    manifest.model_copy(update={"model": gone}).write(folder)
    status, _, err = mrl("index", "compact", index)
    assert status == 0, err
    assert "'/no/model': no such directory" in err
    assert "plans are calibrated with vectors of documents instead" in err
