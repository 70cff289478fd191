import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from indexer import BuildOptions, Corpus, Document, Generations, Index, SearchOptions, build_index
from indexer.building.compact import compact_index
from indexer.errors import BundleBusyError, BundleNotFoundError
from indexer.progress import BuildingShortlist, Calibrating, ComputingChecksums, Copying, Publishing
from indexer.storage.manifest import Manifest
from indexer.updates import Updates, update_facts
from models import InvalidOptionError
from tests.conftest import DIMENSION, make_encoder, make_index, make_texts, write_lines

ENCODER = make_encoder()
EXACT = SearchOptions(k=30, dims=DIMENSION)
TEXTS = make_texts(200)
QUERIES = make_texts(10, seed=5)


def document(identifier, text="w1 w2", **payload):
    return Document(identifier, text, {"text": text, **payload})


def change(index):
    """Replace some documents, delete some, add some."""
    index.upsert([document(str(i), f"w{i} w{i + 1}", n=i) for i in range(0, 60, 3)])
    index.delete([str(i) for i in range(1, 60, 3)])
    index.upsert([document(f"new {i}", text) for i, text in enumerate(make_texts(30, seed=2))])
    index.delete(["new 3", "new 4"])


@pytest.mark.parametrize("storage", ["float32", "float16", "int8"])
def test_a_compaction_holds_what_a_build_of_the_same_documents_holds(tmp_path, storage):
    with make_index(tmp_path, TEXTS, ENCODER, vectors=storage) as index:
        change(index)
        hits = index.search(QUERIES, EXACT).hits
        documents = index.view.fetch([row for row in range(len(index.view.ids())) if row in visible(index)])
        events = []
        result = compact_index(index.root, report=events.append)
        assert (result.generation, result.rows, result.operations, result.pruned) == ("000002", 208, 72, [])
        stages = [stage for stage in dict.fromkeys(map(type, events)) if stage is not Calibrating]
        assert stages == [Copying, BuildingShortlist, ComputingChecksums, Publishing]
        assert index.search(QUERIES, EXACT).hits == hits
        assert index.reload()
        assert not index.reload()
        assert (index.generation, len(index)) == ("000002", 208)
        assert index.search(QUERIES, EXACT).hits == hits

    rows = [{"_id": document.id, **document.payload} for document in documents]
    corpus = Corpus([write_lines(tmp_path / "same.jsonl", rows)])
    options = BuildOptions(dims=16, vectors=storage)
    same = build_index(corpus, ENCODER, tmp_path / "same", options).path
    for name in ("vectors.npy", "prefix_norms.f32", "distinct.safetensors"):
        assert (result.path / name).read_bytes() == (same / name).read_bytes()
    assert stored(result.path) == stored(same)
    manifest = Manifest.read(result.path)
    assert manifest.differing_files(result.path) == []
    first = Manifest.read(Generations(index.root).path("000001"))
    assert (manifest.shortlist, manifest.model, manifest.corpus) == (first.shortlist, first.model, first.corpus)
    assert (manifest.index_id, manifest.options) == (first.index_id, first.options)
    assert (manifest.rows, manifest.documents) == (208, 208)
    assert [plan.k for plan in manifest.plans] == [plan.k for plan in first.plans] == [10, 100]


def visible(index):
    return {*index.view.delta.visible(None).rows.tolist(), *index.view.delta.rows.tolist()}


def stored(folder):
    connection = sqlite3.connect(folder / "documents.sqlite")
    rows = connection.execute("SELECT row, id, payload FROM documents ORDER BY row").fetchall()
    connection.close()
    return rows


def test_without_updates_there_is_nothing_to_do(tmp_path):
    with make_index(tmp_path, TEXTS[:20], ENCODER) as index:
        result = compact_index(index.root)
        assert (result.generation, result.rows, result.operations) == ("000001", 20, 0)
        index.upsert([document("a")])
        assert compact_index(index.root).generation == "000002"
        assert compact_index(index.root).generation == "000002"


def test_everything_may_have_been_deleted(tmp_path):
    with make_index(tmp_path, TEXTS[:20], ENCODER) as index:
        index.delete([str(i) for i in range(20)])
        assert compact_index(index.root).rows == 0
        assert index.reload()
        assert index.search(["w1"]).hits == [[]]
        index.upsert([document("a")])
        assert compact_index(index.root).rows == 1


def test_updates_during_a_compaction_apply_to_what_it_makes(tmp_path):
    with make_index(tmp_path, TEXTS[:50], ENCODER) as index:
        index.upsert([document("before")])

        def report(event):
            if isinstance(event, Copying):
                index.upsert([document("during", "w7 w8"), document("3", "w7 w8 w9")])
                index.delete(["4", "before"])
                assert index.search(["w7 w8"], EXACT).hits[0][0].id == "during"

        result = compact_index(index.root, report=report)
        assert result.rows == 51
        before = index.search(QUERIES, EXACT).hits
        index.reload()
        assert index.search(QUERIES, EXACT).hits == before
        facts = update_facts(index.root)
        assert (len(index), facts.documents) == (50, 50)
        # Told at the start and after the one batch; what is gone already is not deleted again.
        assert (facts.upserts, facts.deletes) == (4, 2)


def test_updates_that_no_kept_generation_needs_are_pruned_and_a_late_reader_reloads(tmp_path):
    with make_index(tmp_path, TEXTS[:50], ENCODER) as index, Updates.open(index.root, encoder=ENCODER) as updates:
        updates.upsert([document(f"a {i}", "w7 w8") for i in range(30)])
        # The reader has not looked since the build, and now cannot read what it needs.
        compact_index(index.root, keep=1)
        updates.upsert([document("b", "w7 w8 w7")])
        assert (len(index), index.generation) == (81, "000002")
        connection = sqlite3.connect(index.root / "journal" / "journal.sqlite")
        assert connection.execute("SELECT id FROM operations").fetchall() == [("b",)]
        assert connection.execute("SELECT generation FROM starts").fetchall() == [("000002",)]
        connection.close()


def test_updates_that_a_kept_generation_needs_are_kept(tmp_path):
    with make_index(tmp_path, TEXTS[:50], ENCODER) as index:
        for number in range(4):
            index.upsert([document(f"new {number}", "w7 w8")])
            compact_index(index.root, keep=2)
        generations = Generations(index.root)
        assert generations.complete() == ["000004", "000005"]
        generations.rollback()
        with Index.open(index.root, encoder=ENCODER) as again:
            assert (again.generation, len(again)) == ("000004", 54)
            assert {hit.id for hit in again.search(["w7 w8"]).hits[0]} >= {f"new {i}" for i in range(4)}


def test_a_build_and_a_compaction_exclude_each_other(tmp_path):
    with make_index(tmp_path, TEXTS[:20], ENCODER) as index:
        index.upsert([document("a")])
        with Generations(index.root).locked(), pytest.raises(BundleBusyError, match="another process is changing"):
            compact_index(index.root)


def test_what_cannot_be_compacted_is_refused(tmp_path):
    with pytest.raises(InvalidOptionError, match="keep 0: give at least 1"):
        compact_index(tmp_path, keep=0)
    with pytest.raises(BundleNotFoundError, match="no index is published"):
        compact_index(tmp_path)


# Forks for every point, so that the libraries are loaded once; the child does the work and is killed in it.
KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from indexer import Document, Generations
from indexer.building.compact import compact_index
from indexer.progress import silent
from indexer.storage.journal import Journal, Writing
from indexer.storage.journal_file import Latest
from indexer.updates import Updates
from tests.conftest import make_encoder

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def before(owner, name):
    setattr(owner, name, kill)

def after(owner, name):
    original = getattr(owner, name)
    def replaced(*arguments):
        original(*arguments)
        kill()
    setattr(owner, name, replaced)

def at(label, number):
    seen = []
    def report(event):
        seen.append(event.label)
        if seen.count(label) == number:
            kill()
    return report

COMPACTIONS = {
    "copying": at("copy", 1), "copied": at("copy", 2),
    "structure": at("shortlist", 1), "checksums": at("checksums", 1),
}
POINTS = {
    "unnamed": (Generations, "adopt", before), "adopted": (Generations, "adopt", after),
    "unpublished": (Generations, "publish", before), "published": (Generations, "publish", after),
    "unpruned": (Journal, "prune", before), "pruned": (Journal, "prune", after),
}
root = Path(sys.argv[1])
compact_index(shutil.copytree(root, root.with_name("warm")))  # what is compiled or loaded here the children have too
for point in sys.argv[2:]:
    shutil.copytree(root, root.with_name(point))
    if (child := os.fork()) == 0:
        if point == "uncommitted":
            after(Writing, "upsert")
        if point == "committed":
            Latest.value = property(lambda self: 0, kill)
        if point in ("uncommitted", "committed"):
            with Updates.open(root.with_name(point), encoder=make_encoder()) as updates:
                updates.upsert([Document(f"late {i}", "w1 w2", {}) for i in range(20)])
        if point not in COMPACTIONS:
            owner, name, how = POINTS[point]
            how(owner, name)
        compact_index(root.with_name(point), keep=1, report=COMPACTIONS.get(point, silent))
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL, point
"""
OLD = ["copying", "copied", "structure", "checksums", "unnamed", "adopted", "unpublished"]
NEW = ["published", "unpruned", "pruned"]


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Copies of an index with updates, in each of which a process was killed at some point; and what it answered."""
    root = tmp_path_factory.mktemp("killed")
    with make_index(root, TEXTS, ENCODER, shortlist="flat") as index:
        change(index)
        hits = index.search(QUERIES, EXACT).hits
    program = [sys.executable, "-c", KILLED, str(root / "index"), *OLD, *NEW, "uncommitted", "committed"]
    # No process may fork that has threads.
    subprocess.run(program, env={**os.environ, "PYTHONPATH": str(Path.cwd()), "OMP_NUM_THREADS": "1"}, check=True)
    return root, hits


@pytest.mark.parametrize("point", OLD + NEW)
def test_killed_in_a_compaction_nothing_is_lost_and_the_next_one_finishes(killed, point):
    root, hits = killed[0] / point, killed[1]
    with Index.open(root, encoder=ENCODER) as index:
        assert index.generation == ("000001" if point in OLD else "000002")
        assert index.search(QUERIES, EXACT).hits == hits
        assert len(index) == update_facts(root).documents == 208
        index.upsert([document("later", "w1 w2")])
        assert index.search(["w1 w2"], EXACT).hits[0][0].id == "later"
        hits = index.search(QUERIES, EXACT).hits
    result = compact_index(root, keep=1)
    assert result.rows == 209
    generations = Generations(root)
    assert [path.name for path in (root / "generations").iterdir()] == [result.generation]
    assert generations.complete() == [result.generation] == [generations.published()]
    with Index.open(root, encoder=ENCODER) as index:
        assert index.search(QUERIES, EXACT).hits == hits
        assert update_facts(root)[:3] == (209, 0, 0)


@pytest.mark.parametrize(("point", "found"), [("uncommitted", 0), ("committed", 20)])
def test_a_batch_is_written_completely_or_not_at_all_after_a_kill(killed, point, found):
    with Index.open(killed[0] / point, encoder=ENCODER) as index:
        hits = index.search(["w1 w2"], SearchOptions(k=300, dims=DIMENSION)).hits[0]
        assert sum(hit.id.startswith("late") for hit in hits) == found
        assert len(index) == 208 + found


APPENDING = """
import sys
from indexer import Document
from indexer.updates import Updates
from tests.conftest import make_encoder

with Updates.open(sys.argv[1], encoder=make_encoder()) as updates:
    for number in range(100_000):
        updates.upsert([Document(f"{number} {i}", "w1 w2", {}) for i in range(3)])
        updates.delete([f"{number - 1} 0"])
        print(number, flush=True)
"""


def test_killed_while_it_appends_no_acknowledged_update_is_lost_and_an_open_index_sees_them(tmp_path):
    with make_index(tmp_path, TEXTS[:20], ENCODER) as index:
        program = [sys.executable, "-c", APPENDING, str(index.root)]
        environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
        with subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                number = int(line)
                # Acknowledged, so the next search of another process finds it; more may have come since.
                hits = index.search(["w1 w2"], SearchOptions(k=1000)).hits[0]
                assert f"{number} 2" in {hit.id for hit in hits}
                if number == 7:
                    process.send_signal(signal.SIGKILL)
                    break
            last = int(next(iter([line for line in process.stdout if line.strip()][-1:]), number))
        with Index.open(index.root, encoder=ENCODER) as again:
            ids = {hit.id for hit in again.search(["w1 w2"], SearchOptions(k=1000)).hits[0]}
        assert {f"{number} {i}" for number in range(last + 1) for i in (1, 2)} <= ids
        assert not {f"{number} 0" for number in range(last)} & ids
        batches = [sum(f"{number} {i}" in ids for i in (1, 2)) for number in range(last + 3)]
        assert set(batches) <= {0, 2}


def test_vectors_are_not_encoded_again(tmp_path):
    with make_index(tmp_path, ["w1", "w2"], ENCODER) as index:
        vector = np.random.default_rng(0).normal(size=(1, DIMENSION))
        index.upsert([document("a", "")], vector)
        score = index.search_vectors(vector).hits[0][0].score
        assert score == pytest.approx(1, abs=1e-3)
        compact_index(index.root)
        index.reload()
        assert index.search_vectors(vector).hits[0][0].score == score
