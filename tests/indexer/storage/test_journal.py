import multiprocessing
import os
import sqlite3
import threading

import pytest

from indexer.errors import BundleBusyError, BundleCorruptError, BundleError, BundleFormatError, PrunedError
from indexer.storage.journal import Journal


@pytest.fixture
def journal(tmp_path):
    opened = Journal(tmp_path)
    yield opened
    opened.close()


def add(journal, *ids, model="m"):
    with journal.writing() as writing:
        writing.upsert([(identifier, "{}", b"v") for identifier in ids], model)


def delete(journal, *ids):
    with journal.writing() as writing:
        writing.delete(ids)


def read(journal, after=0, until=None):
    return [operation for page in journal.pages(after, until) for operation in page]


def test_operations_come_back_in_order(journal, monkeypatch):
    monkeypatch.setattr("indexer.storage.journal.PAGE", 2)
    add(journal, "a", "b", "c")
    delete(journal, "b")
    add(journal, "d")
    assert [(one.sequence, one.id) for one in read(journal)] == [(1, "a"), (2, "b"), (3, "c"), (4, "b"), (5, "d")]
    assert read(journal, 3, 4) == [(4, "b", None, None, None)]
    assert read(journal, 4) == [(5, "d", "{}", b"v", "m")]
    assert journal.last == 5
    assert journal.latest(1, "m") == {"b": False, "c": True, "d": True}
    assert journal.latest(1, "n") == {"b": False}
    assert journal.counts(1, "m") == (3, 1, 0)
    assert journal.counts(1, "n") == (0, 1, 3)


def test_reading_makes_nothing(journal, tmp_path):
    assert (read(journal), journal.last, journal.signal, journal.start_of("000001")) == ([], 0, 0, 0)
    assert (journal.latest(0, "m"), journal.counts(0, "m"), journal.size_bytes) == ({}, (0, 0, 0), 0)
    journal.prune(3, [])
    assert list(tmp_path.iterdir()) == []


def test_a_batch_that_fails_leaves_nothing_and_the_signal_as_it_was(journal):
    add(journal, "a")
    signal = journal.signal
    with pytest.raises(sqlite3.ProgrammingError, match="binding"), journal.writing() as writing:
        writing.upsert([("b", "{}", b"v"), ("c", "{}")], "m")
    assert [one.id for one in read(journal)] == ["a"]
    assert journal.signal == signal
    with journal.writing():
        pass
    assert journal.signal == signal


def test_every_writer_s_operations_change_the_signal_of_every_reader(journal, tmp_path):
    other = Journal(tmp_path)
    seen = [other.signal]
    for writer in (journal, other, journal, other):
        add(writer, "a")
        assert other.signal == journal.signal
        seen.append(other.signal)
    assert len(set(seen)) == 5
    other.close()


def _write(root, name):
    journal = Journal(root)
    for number in range(20):
        add(journal, f"{name} {number}")
    journal.close()


def test_processes_and_threads_write_one_after_the_other(journal, tmp_path):
    names = ("process", "thread 0", "thread 1")
    writers = [multiprocessing.get_context("spawn").Process(target=_write, args=(tmp_path, "process"))]
    writers += [threading.Thread(target=_write, args=(tmp_path, name)) for name in names[1:]]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    found = [one.id for one in read(journal)]
    assert len(found) == len(set(found)) == 60
    for name in names:
        assert [one for one in found if one.startswith(name)] == [f"{name} {i}" for i in range(20)]


def test_a_writer_that_holds_on_too_long_is_told(journal, tmp_path, monkeypatch):
    add(journal, "a")
    monkeypatch.setattr("indexer.storage.journal_file._WAIT_SECONDS", 0.05)
    other = Journal(tmp_path)
    with journal.writing() as writing:
        writing.delete(["a"])
        assert [one.id for one in read(other)] == ["a"]
        with pytest.raises(BundleBusyError, match=r"other processes .* to .*journal.sqlite for 0 seconds"):
            add(other, "b")
    other.close()


def test_a_generation_sees_what_came_after_it_began(journal):
    journal.start("000001")
    assert not journal.exists()
    add(journal, "a", "b")
    journal.start("000002")
    add(journal, "c")
    journal.start("000003", 1)
    assert [journal.start_of(f"00000{i}") for i in range(1, 5)] == [0, 2, 1, 0]
    journal.start("000003")
    assert journal.start_of("000003") == 3


def test_what_is_pruned_is_gone_and_asked_for_in_vain(journal, monkeypatch):
    monkeypatch.setattr("indexer.storage.journal.PAGE", 64)
    for generation in ("000001", "000002"):
        journal.start(generation)
        add(journal, *(f"{generation} {i}" for i in range(500)))
    size = journal.size_bytes
    journal.prune(500, ["000002"])
    assert journal.size_bytes < size
    assert [one.id for one in read(journal, 500)] == [f"000002 {i}" for i in range(500)]
    for after in (0, 499):
        with pytest.raises(PrunedError, match=f"holds operations from 501 on, those after {after} are needed"):
            read(journal, after)
    assert (journal.start_of("000001"), journal.start_of("000002")) == (0, 500)
    journal.prune(1000, ["000002"])
    add(journal, "later")
    assert read(journal, 1000) == [(1001, "later", "{}", b"v", "m")]


def test_a_damaged_journal_is_told(journal, tmp_path):
    add(journal, "a")
    journal.close()
    path = tmp_path / "journal" / "journal.sqlite"
    whole = path.read_bytes()
    path.write_bytes(b"x" * 4096)
    with pytest.raises(BundleCorruptError, match=r"journal.sqlite is damaged: file is not a database"):
        read(journal)
    path.write_bytes(whole)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=9")
    connection.close()
    with pytest.raises(BundleFormatError, match="format version 9, this program reads 1"):
        read(journal)


def test_a_full_disk_is_told_and_nothing_acknowledged_is_lost(journal):
    add(journal, "a")
    journal._reading().execute("PRAGMA max_page_count = 8")
    with pytest.raises(BundleError, match=r"cannot read or write .*journal.sqlite: database or disk is full"):
        add(journal, *map(str, range(1000)))
    assert [one.id for one in read(journal)] == ["a"]
    assert journal.signal == 1


def test_a_copy_on_a_read_only_disk_can_be_read(journal, tmp_path, monkeypatch):
    add(journal, "a")
    journal.close()
    for path in (tmp_path / "journal").iterdir():
        path.chmod(0o444)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert [one.id for one in read(journal)] == ["a"]
    assert {path.name for path in (tmp_path / "journal").iterdir()} == {"journal.sqlite", "latest", ".lock"}


def test_a_killed_creation_does_no_harm(journal, tmp_path):
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "journal.sqlite.partial").write_bytes(b"half")
    (tmp_path / "journal" / "latest").write_bytes(b"")
    assert journal.signal == 0
    add(journal, "a")
    assert [one.id for one in read(journal)] == ["a"]
    assert journal.signal == 1
