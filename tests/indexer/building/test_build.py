import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from indexer import (
    BuildError,
    BuildOptions,
    Corpus,
    Fields,
    Generations,
    Index,
    LexicalOptions,
    SearchOptions,
    build_index,
)
from indexer.building.build import BUILD_MARK
from indexer.calibration import Target, calibrate_index
from indexer.search.generation import OpenedGeneration
from indexer.shortlist import shortlist_options
from indexer.storage.manifest import Manifest, OptionFacts
from models import InvalidOptionError, truncate
from tests.conftest import make_encoder, make_texts, write_lines

ROWS = [{"_id": str(i), "text": text, "n": i} for i, text in enumerate(make_texts(500))]


class CountingEncoder:
    """The small encoder, counting what it is asked to encode; can fail after so many texts."""

    def __init__(self, fail_after=None):
        self._encoder, self.encoded, self.fail_after = make_encoder(), 0, fail_after

    def __getattr__(self, name):
        return getattr(self._encoder, name)

    def encode_documents(self, texts):
        if self.fail_after is not None and self.encoded + len(texts) > self.fail_after:
            raise OSError("power cut")
        self.encoded += len(texts)
        return self._encoder.encode_documents(texts)


@pytest.fixture
def corpus(tmp_path):
    return Corpus([write_lines(tmp_path / "corpus.jsonl", ROWS)])


def content(folder):
    """Vectors, documents and rejected rows of a generation."""
    with sqlite3.connect(folder / "documents.sqlite") as connection:
        documents = connection.execute("SELECT row, id, payload FROM documents ORDER BY row").fetchall()
    connection.close()
    return (folder / "vectors.npy").read_bytes(), documents, (folder / "rejected.jsonl").read_text()


def test_a_build_holds_every_document_and_its_vector(corpus, tmp_path):
    options = BuildOptions(dims=16, batch_size=64, shortlist="hnsw")
    result = build_index(corpus, make_encoder(), tmp_path / "index", options)
    assert (result.rows, result.rejected, result.resumed_rows) == (500, 0, 0)
    _, documents, rejected = content(result.path)
    assert documents == [
        (i, row["_id"], json.dumps({"text": row["text"], "n": i}, separators=(",", ":"))) for i, row in enumerate(ROWS)
    ]
    expected = make_encoder().encode_documents([row["text"] for row in ROWS])
    np.testing.assert_array_equal(np.load(result.path / "vectors.npy"), expected.astype(np.float16))
    norms = np.fromfile(result.path / "prefix_norms.f32", "<f4")
    np.testing.assert_allclose(norms, np.linalg.norm(expected[:, :16], axis=1), atol=1e-3)
    assert rejected == ""
    manifest = Manifest.read(result.path)
    assert (manifest.rows, manifest.dimension, manifest.shortlist.dims) == (500, 32, 16)
    assert manifest.shortlist.options == shortlist_options("hnsw", {}).model_dump()
    assert manifest.model.content_hash == make_encoder().content_hash
    assert manifest.corpus.text_fields == ("title", "text")
    assert {"faiss-cpu", "numpy"} <= manifest.versions.keys()


def test_batches_do_not_change_what_is_built(corpus, tmp_path):
    folders = [
        build_index(corpus, make_encoder(), tmp_path / str(size), BuildOptions(batch_size=size)).path
        for size in (7, 500)
    ]
    assert content(folders[0]) == content(folders[1])


def test_invalid_rows_are_skipped_counted_and_listed_by_line(tmp_path):
    path = tmp_path / "corpus.jsonl"
    rows = [
        {"_id": "a", "text": "w1"},
        {"_id": "b"},
        {"_id": "a", "text": "w2"},
        {"_id": "c", "text": "w3", "x": float("nan")},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{broken\n" + '{"_id": "d", "text": "w4"}\n')
    result = build_index(Corpus([path]), make_encoder(), tmp_path / "index", BuildOptions(batch_size=2))
    assert (result.rows, result.rejected) == (2, 4)
    listed = [json.loads(line) for line in result.report.read_text().splitlines()]
    assert [(row["source"], row["line"]) for row in sorted(listed, key=lambda row: row["line"])] == [
        (str(path), n) for n in (2, 3, 4, 5)
    ]
    reasons = {row["line"]: row["reason"] for row in listed}
    assert "missing text" in reasons[2]
    assert reasons[3] == "duplicate id 'a'"
    assert "NaN is not JSON" in reasons[4]
    assert "bad JSON" in reasons[5]
    with Index.open(tmp_path / "index", encoder=make_encoder()) as index:
        assert [hit.id for hit in index.search(["w4"]).hits[0]] == ["d", "a"]


def test_a_duplicate_in_the_same_batch_is_found_too(tmp_path):
    rows = [{"_id": "a", "text": "w1"}, {"_id": "a", "text": "w2"}]
    result = build_index(Corpus([write_lines(tmp_path / "c.jsonl", rows)]), make_encoder(), tmp_path / "index")
    assert (result.rows, result.rejected) == (1, 1)


def test_rows_whose_vector_is_not_finite_are_rejected(tmp_path):
    encoder = make_encoder()
    encoder.table[1] = np.nan
    rows = [{"_id": str(i), "text": f"w{i}"} for i in range(3)]
    result = build_index(Corpus([write_lines(tmp_path / "c.jsonl", rows)]), encoder, tmp_path / "index")
    assert result.rows == 2
    assert "the model gave NaN" in result.report.read_text()


def test_invalid_rows_can_be_fatal(tmp_path):
    path = write_lines(tmp_path / "c.jsonl", [{"_id": "a", "text": "w1"}, {"_id": "b"}])
    with pytest.raises(BuildError, match=r"c.jsonl line 2: missing text.*--on-error skip continues without it"):
        build_index(Corpus([path]), make_encoder(), tmp_path / "index", BuildOptions(on_error="fail"))
    result = build_index(Corpus([path]), make_encoder(), tmp_path / "index", BuildOptions(on_error="skip"))
    assert (result.rows, result.rejected) == (1, 1)


def test_a_corpus_without_a_document_is_an_error_and_a_corrected_call_succeeds(tmp_path):
    corpus = write_lines(tmp_path / "c.jsonl", [{"key": "a", "text": "w1"}])
    with pytest.raises(BuildError, match=r"none of the 1 rows is a document; .* Name the fields by --id-field"):
        build_index(Corpus([corpus]), make_encoder(), tmp_path / "index")
    from indexer import Fields

    assert build_index(Corpus([corpus], Fields(id="key")), make_encoder(), tmp_path / "index").rows == 1


@pytest.mark.parametrize("done", [0, 64, 320, 448])
def test_an_interrupted_build_resumes_without_encoding_again(corpus, tmp_path, done):
    options = BuildOptions(batch_size=64)
    with pytest.raises(OSError, match="power cut"):
        build_index(corpus, CountingEncoder(fail_after=done), tmp_path / "index", options)
    encoder = CountingEncoder()
    result = build_index(corpus, encoder, tmp_path / "index", options)
    assert encoder.encoded == 500 - done
    assert result.resumed_rows == done
    whole = build_index(corpus, make_encoder(), tmp_path / "whole", options)
    assert content(result.path) == content(whole.path)


def test_resuming_with_other_options_is_refused_and_no_resume_starts_over(corpus, tmp_path):
    with pytest.raises(OSError, match="power cut"):
        build_index(corpus, CountingEncoder(fail_after=200), tmp_path / "index", BuildOptions(batch_size=64))
    other = BuildOptions(batch_size=64, vectors="float32")
    with pytest.raises(BuildError, match=r"is an interrupted build that differs in vectors: .* or --no-resume"):
        build_index(corpus, make_encoder(), tmp_path / "index", other)
    encoder = CountingEncoder()
    result = build_index(corpus, encoder, tmp_path / "index", other, resume=False)
    assert encoder.encoded == 500
    assert Generations(tmp_path / "index").complete() == [result.generation]


def test_a_damaged_mark_starts_over(corpus, tmp_path):
    with pytest.raises(OSError, match="power cut"):
        build_index(corpus, CountingEncoder(fail_after=200), tmp_path / "index", BuildOptions(batch_size=64))
    (tmp_path / "index" / "generations" / "000001" / BUILD_MARK).write_text("{")
    assert build_index(corpus, make_encoder(), tmp_path / "index").rows == 500


def test_a_new_build_keeps_as_many_generations_as_asked(corpus, tmp_path):
    for _ in range(3):
        result = build_index(corpus, make_encoder(), tmp_path / "index", BuildOptions(keep=2))
    assert result.pruned == ["000001"]
    assert Generations(tmp_path / "index").complete() == ["000002", "000003"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dims": 33}, "dims 33: give 1 to 32, the model's dimension"),
        ({"dims": -1}, "dims -1"),
        ({"dims": 0}, "dims 0"),
        ({"batch_size": 0}, "batch_size 0: give at least 1"),
        ({"keep": 0}, "keep 0: give at least 1"),
        ({"on_error": "ignore"}, "on_error 'ignore': allowed are skip, fail"),
        ({"vectors": "int4"}, "vectors 'int4': allowed are float32, float16, int8"),
        ({"shortlist": "nosuch"}, "shortlist 'nosuch': give one of"),
        ({"shortlist_values": {"links": 8}}, "options links without a structure: name one by shortlist"),
        ({"shortlist": "flat", "target": Target(recall=0.9)}, "shortlist 'flat' with a target"),
    ],
)
def test_impossible_options_are_refused_before_anything_is_written(corpus, tmp_path, changes, message):
    with pytest.raises(InvalidOptionError, match=message):
        build_index(corpus, make_encoder(), tmp_path / "index", BuildOptions(**changes))
    assert not (tmp_path / "index" / "generations").exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from indexer import BuildOptions, Corpus, build_index
from tests.conftest import make_encoder

count = 0
def report(event):
    global count
    count += 1
    if count == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

build_index(Corpus([Path(sys.argv[1])]), make_encoder(), Path(sys.argv[2]), BuildOptions(batch_size=128), report=report)
"""


@pytest.mark.slow
def test_killed_at_every_step_the_earlier_generation_answers_and_the_rerun_finishes_the_same(tmp_path):
    old = write_lines(tmp_path / "old.jsonl", ROWS[:50])
    new = write_lines(tmp_path / "new.jsonl", ROWS)
    build_index(Corpus([old]), make_encoder(), tmp_path / "old")
    whole = build_index(Corpus([new]), make_encoder(), tmp_path / "whole", BuildOptions(batch_size=128))
    exact = SearchOptions(dims=32)
    with Index.open(tmp_path / "old", encoder=make_encoder()) as index:
        old_hits = index.search(["w1 w2"]).hits
    with Index.open(tmp_path / "whole", encoder=make_encoder()) as index:
        new_hits = index.search(["w1 w2"], exact).hits
    # Encoding begun and four batches, the shortlist begun and done, the checksums, the calibration, the publication.
    for event in range(1, 11):
        root = tmp_path / f"killed-{event}"
        shutil.copytree(tmp_path / "old", root)
        command = [sys.executable, "-c", KILLED, str(new), str(root), str(event)]
        killed = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(Path.cwd())}, check=False)
        assert killed.returncode == -signal.SIGKILL
        with Index.open(root, encoder=make_encoder()) as index:
            assert index.search(["w1 w2"]).hits == old_hits
        encoder = CountingEncoder()
        result = build_index(Corpus([new]), encoder, root, BuildOptions(batch_size=128))
        assert encoder.encoded == max(0, 500 - 128 * min(event - 1, 4))
        assert content(result.path) == content(whole.path)
        with Index.open(root, encoder=make_encoder()) as index:
            assert index.search(["w1 w2"], exact).hits == new_hits
        manifest = Manifest.read(result.path)
        assert manifest.differing_files(result.path) == []
        assert manifest.plans
        assert not (result.path / BUILD_MARK).exists()


def test_the_structure_is_built_over_truncated_and_normalised_prefixes(corpus, tmp_path):
    result = build_index(
        corpus, make_encoder(), tmp_path / "index", BuildOptions(dims=8, shortlist="flat", vectors="float32")
    )
    unit = truncate(np.load(result.path / "vectors.npy"), 8)
    opened = OpenedGeneration(result.path)
    found = opened.shortlist.search(unit[:20], 500)
    opened.close()
    assert opened.manifest.rows == len(opened.distinct) == 500
    expected = np.take_along_axis(unit[:20] @ unit.T, found.rows, axis=1)
    np.testing.assert_allclose(found.scores, expected, atol=1e-5)


def test_a_build_without_calibration_has_no_plans_until_it_is_calibrated(corpus, tmp_path):
    result = build_index(corpus, make_encoder(), tmp_path / "index", BuildOptions(calibration=None))
    assert Manifest.read(result.path).calibration is None
    assert calibrate_index(tmp_path / "index", encoder=make_encoder()).plans == Manifest.read(result.path).plans != ()


def test_a_build_killed_in_its_calibration_calibrates_when_it_resumes(corpus, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("power cut")

    with monkeypatch.context() as patched:
        patched.setattr("indexer.building.build.calibrate", fail)
        with pytest.raises(OSError, match="power cut"):
            build_index(corpus, make_encoder(), tmp_path / "index")
    assert Generations(tmp_path / "index").published() is None
    encoder = CountingEncoder()
    result = build_index(corpus, encoder, tmp_path / "index")
    assert (encoder.encoded, result.resumed_rows) == (0, 500)
    assert Manifest.read(result.path).plans


def test_without_a_structure_named_a_small_index_is_flat(corpus, tmp_path):
    result = build_index(corpus, make_encoder(), tmp_path / "index")
    facts = Manifest.read(result.path).shortlist
    assert (facts.kind, facts.dims, facts.options) == ("flat", 32, {})
    result = build_index(corpus, make_encoder(), tmp_path / "index", BuildOptions(dims=8))
    assert Manifest.read(result.path).shortlist.dims == 8


def test_a_target_is_recorded_with_what_was_missed(corpus, tmp_path):
    target = Target(recall=0.9, milliseconds=1e-6)
    result = build_index(corpus, make_encoder(), tmp_path / "index", BuildOptions(target=target))
    facts = Manifest.read(result.path).target
    assert (facts.recall, facts.milliseconds, facts.memory) == (0.9, 1e-6, None)
    assert re.fullmatch(
        r"recall 0.9 within 1e-06 ms per query: the closest plan has recall 1.000 within 0.\d+ ms", facts.missed[0]
    )
    assert result.missed == facts.missed
    result = build_index(corpus, make_encoder(), tmp_path / "index", BuildOptions(target=Target(recall=0.9)))
    assert result.missed == ()


def test_an_interrupted_build_with_another_target_is_refused(corpus, tmp_path):
    with pytest.raises(OSError, match="power cut"):
        build_index(corpus, CountingEncoder(fail_after=200), tmp_path / "index", BuildOptions(batch_size=64))
    options = BuildOptions(batch_size=64, target=Target(recall=0.9))
    with pytest.raises(BuildError, match="differs in target"):
        build_index(corpus, make_encoder(), tmp_path / "index", options)


def test_the_manifest_records_which_options_were_given_and_which_chosen(corpus, tmp_path):
    def recorded(source=corpus, **options):
        return Manifest.read(
            build_index(source, make_encoder(), tmp_path / "index", BuildOptions(**options)).path
        ).options

    assert recorded(batch_size=50, keep=3) == OptionFacts(given={}, chosen=("dims", "shortlist"))
    assert recorded(shortlist="hnsw", shortlist_values={"links": 8}, calibration=None).model_dump() == {
        "given": {"shortlist": "hnsw", "shortlist_values": {"links": 8}, "calibration": None},
        "chosen": ("dims",),
    }
    facts = recorded(
        dims=8, target=Target(recall=0.9), filterable=("title",), lexical=LexicalOptions(language="german")
    )
    assert facts.chosen == ("shortlist",)
    assert facts.given["filterable"] == ["title"]
    assert (facts.given["dims"], facts.given["target"]["recall"], facts.given["lexical"]["language"]) == (
        8,
        0.9,
        "german",
    )
    rows = [{"key": "a", "about": "w1"}]
    other = Corpus([write_lines(tmp_path / "other.jsonl", rows)], Fields(id="key", text="about"))
    assert recorded(other).given == {"fields": {"id": "key", "text": "about", "title": "title"}}


def test_all_generations_share_the_id_of_the_first(corpus, tmp_path):
    ids = {
        Manifest.read(build_index(corpus, make_encoder(), tmp_path / name, BuildOptions()).path).index_id
        for name in ("index", "index", "other")
    }
    assert len(ids) == 2
    assert None not in ids


def test_the_id_is_kept_if_the_files_of_all_generations_are_damaged(corpus, tmp_path):
    path = build_index(corpus, make_encoder(), tmp_path / "index").path
    before = Manifest.read(path).index_id
    (path / "vectors.npy").write_bytes(b"")
    assert Manifest.read(build_index(corpus, make_encoder(), tmp_path / "index").path).index_id == before
