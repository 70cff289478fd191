import json
import shutil
import threading
import time
from dataclasses import asdict

import pytest

from benchmarks.faults import verified
from indexer import Document, Generations, Index, SearchOptions, snapshot_index
from indexer.building.compact import compact_index
from indexer.errors import BundleCorruptError, BundleNotFoundError
from indexer.updates import Updates, update_facts
from models.errors import InvalidOptionError
from tests.conftest import make_encoder, make_index, make_texts

ENCODER = make_encoder()
ALL = SearchOptions(k=300, dims=32)


@pytest.fixture
def index(tmp_path):
    with make_index(tmp_path, make_texts(100), ENCODER) as opened:
        opened.upsert([Document("new", "w1 w2", {"n": 1})])
        opened.delete(["7"])
        yield opened


@pytest.mark.parametrize("copy", [False, True])
def test_a_snapshot_is_an_index_of_its_own(index, tmp_path, copy):
    target = tmp_path / "kept" / "copy"
    result = snapshot_index(index.root, target, copy=copy)
    assert (result.generation, result.files, result.linked, result.operations) == ("000001", 6, not copy, 2)
    same = [
        (index.opened.path / name).samefile(target / "generations" / "000001" / name) for name in index.manifest.files
    ]
    assert set(same) == {not copy}
    assert sorted(path.name for path in (target / "generations" / "000001").iterdir()) == sorted(
        [*index.manifest.files, "manifest.json"]
    )
    verified(target)
    with Index.open(target, encoder=ENCODER, verify="all") as copied:
        assert copied.search(["w1 w2"], ALL).hits == index.search(["w1 w2"], ALL).hits
        # Neither feels what happens to the other.
        copied.upsert([Document("own", "w5", {})])
        assert "own" in copied.get(["own"])
        assert index.get(["own"]) == {}
    compact_index(target, keep=1)
    assert (update_facts(target).documents, update_facts(index.root).documents) == (101, 100)
    compact_index(index.root, keep=1)
    shutil.rmtree(index.root)
    with Index.open(target, encoder=ENCODER, verify="all") as copied:
        assert len(copied) == 101


def test_an_index_without_a_journal(tmp_path):
    with make_index(tmp_path, ["w1", "w2"], ENCODER) as index:
        shutil.rmtree(index.root / "journal", ignore_errors=True)
        assert snapshot_index(index.root, tmp_path / "copy").operations == 0
    with Index.open(tmp_path / "copy", encoder=ENCODER) as copied:
        copied.delete(["0"])
        assert len(copied) == 1


def test_a_rolled_back_index_is_copied_as_it_is_shown(index, tmp_path):
    index.upsert([Document("before", "w1", {})])
    compact_index(index.root)
    index.upsert([Document("after", "w1", {})])
    for back in ("2", "1"):
        Generations(index.root).rollback(back)
        snapshot_index(index.root, tmp_path / back)
        verified(tmp_path / back)
        with Index.open(tmp_path / back, encoder=ENCODER) as copied:
            assert set(copied.get(["new", "before", "after", "7"])) == {"new", "before", "after"}
            assert len(copied) == 102


def test_a_damaged_generation_is_not_copied(index, tmp_path):
    path = index.opened.path / "documents.sqlite"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(BundleCorruptError, match=r"documents.sqlite differ from the manifest"):
        snapshot_index(index.root, tmp_path / "copy")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus.jsonl", "index"]


def test_existing_destinations_and_missing_indexes_are_refused(index, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    for place in (tmp_path / "full", tmp_path / "corpus.jsonl", index.root):
        with pytest.raises(InvalidOptionError, match="exists: name a new directory"):
            snapshot_index(index.root, place)
    with pytest.raises(BundleNotFoundError):
        snapshot_index(tmp_path / "none", tmp_path / "copy")
    assert not (tmp_path / "none").exists()
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.partial").mkdir()
    (tmp_path / "empty.partial" / "left by a killed snapshot").touch()
    snapshot_index(index.root, tmp_path / "empty")
    verified(tmp_path / "empty")


def test_snapshots_under_updates_and_compactions_have_all_that_was_acknowledged_and_no_half_batch(index, tmp_path):
    acknowledged, stop = [], threading.Event()

    def write():
        with Updates.open(index.root, encoder=ENCODER) as updates:
            while not stop.is_set():
                number = len(acknowledged)
                updates.upsert([Document(f"{number}-{i}", f"w{number % 300}", {"n": number}) for i in range(3)])
                acknowledged.append(number)

    def compact():
        while not stop.is_set():
            compact_index(index.root, keep=1)

    threads = [threading.Thread(target=write), threading.Thread(target=compact)]
    for thread in threads:
        thread.start()
    kept = []
    try:
        deadline = time.monotonic() + 60
        while len(kept) < 8 or len({generation for _, _, generation in kept}) < 3:
            assert time.monotonic() < deadline
            before = len(acknowledged)
            result = snapshot_index(index.root, tmp_path / f"copy{len(kept)}")
            kept.append((before, len(acknowledged), result.generation))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    for number, (before, after, generation) in enumerate(kept):
        verified(tmp_path / f"copy{number}")
        with Index.open(tmp_path / f"copy{number}", encoder=ENCODER) as copied:
            assert copied.generation == generation
            found = copied.get([f"{batch}-{i}" for batch in range(after + 2) for i in range(3)])
            there = [sum(f"{batch}-{i}" in found for i in range(3)) for batch in range(after + 2)]
            assert there[:before] == [3] * before
            assert sorted(there, reverse=True) == there
            assert set(there) <= {0, 3}
            assert len(copied) == 100 + len(found)


def test_the_result_is_a_plain_record(index, tmp_path):
    facts = asdict(snapshot_index(index.root, tmp_path / "copy"))
    assert json.loads(json.dumps(facts)) == facts
    assert facts["size"] == sum(file.size for file in index.manifest.files.values())
