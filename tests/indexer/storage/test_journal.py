import multiprocessing
import os
import sqlite3
import threading

import pytest

from indexer.errors import (
    BundleBusyError,
    BundleCorruptError,
    BundleError,
    BundleFormatError,
    BundleStorageError,
    PrunedError,
)
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
    assert [(operation.sequence, operation.id) for operation in read(journal)] == [
        (1, "a"),
        (2, "b"),
        (3, "c"),
        (4, "b"),
        (5, "d"),
    ]
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
    assert [operation.id for operation in read(journal)] == ["a"]
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
    found = [operation.id for operation in read(journal)]
    assert len(found) == len(set(found)) == 60
    for name in names:
        assert [identifier for identifier in found if identifier.startswith(name)] == [f"{name} {i}" for i in range(20)]


def test_a_write_lock_held_too_long_is_reported(journal, tmp_path, monkeypatch):
    add(journal, "a")
    monkeypatch.setattr("indexer.storage.journal_file._WAIT_SECONDS", 0.05)
    other = Journal(tmp_path)
    with journal.writing() as writing:
        writing.delete(["a"])
        assert [operation.id for operation in read(other)] == ["a"]
        with pytest.raises(BundleBusyError, match=r"other processes .* to .*journal.sqlite for 0 seconds"):
            add(other, "b")
    other.close()


def test_operations_after_its_start_apply_to_a_generation(journal):
    journal.start("000001")
    assert not journal.exists()
    add(journal, "a", "b")
    journal.start("000002")
    add(journal, "c")
    journal.start("000003", 1)
    assert [journal.start_of(f"00000{i}") for i in range(1, 5)] == [0, 2, 1, 0]
    journal.start("000003")
    assert journal.start_of("000003") == 3


def test_pruned_operations_are_deleted_and_refused(journal, monkeypatch):
    monkeypatch.setattr("indexer.storage.journal.PAGE", 64)
    for generation in ("000001", "000002"):
        journal.start(generation)
        add(journal, *(f"{generation} {i}" for i in range(500)))
    size = journal.size_bytes
    journal.prune(500, ["000002"])
    assert journal.size_bytes < size
    assert [operation.id for operation in read(journal, 500)] == [f"000002 {i}" for i in range(500)]
    for after in (0, 499):
        with pytest.raises(PrunedError, match=f"holds operations from 501 on, those after {after} are needed"):
            read(journal, after)
    assert (journal.start_of("000001"), journal.start_of("000002")) == (0, 500)
    journal.prune(1000, ["000002"])
    add(journal, "later")
    assert read(journal, 1000) == [(1001, "later", "{}", b"v", "m")]


def test_a_damaged_journal_is_reported(journal, tmp_path):
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


def test_a_full_disk_is_reported_and_nothing_acknowledged_is_lost(journal):
    add(journal, "a")
    journal._reading().execute("PRAGMA max_page_count = 8")
    with pytest.raises(BundleError, match=r"cannot read or write .*journal.sqlite: database or disk is full"):
        add(journal, *map(str, range(1000)))
    assert [operation.id for operation in read(journal)] == ["a"]
    assert journal.signal == 1


def test_a_copy_on_a_read_only_disk_can_be_read(journal, tmp_path, monkeypatch):
    add(journal, "a")
    journal.close()
    for path in (tmp_path / "journal").iterdir():
        path.chmod(0o444)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert [operation.id for operation in read(journal)] == ["a"]
    assert {path.name for path in (tmp_path / "journal").iterdir()} == {"journal.sqlite", "latest", ".lock"}


def test_a_killed_creation_does_no_harm(journal, tmp_path):
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "journal.sqlite.partial").write_bytes(b"half")
    (tmp_path / "journal" / "latest").write_bytes(b"")
    assert journal.signal == 0
    add(journal, "a")
    assert [operation.id for operation in read(journal)] == ["a"]
    assert journal.signal == 1


def test_the_last_operation_of_an_id_decides_whether_its_document_exists(journal):
    add(journal, "a", "b", "c")
    delete(journal, "b")
    add(journal, "c", "d", model="other")
    delete(journal, "d")
    assert journal.latest(0, "m") == {"a": True, "b": False, "c": True, "d": False}
    assert journal.latest(3, "m") == {"b": False, "d": False}
    assert journal.latest(3, "other") == {"b": False, "c": True, "d": False}
    with journal.writing() as writing:
        assert writing.latest(["a", "b", "x", *map(str, range(1200))], 0, "m") == {"a": True, "b": False}
        assert writing.latest(["a", "b"], 1, "m") == {"b": False}
    assert journal.counts(0, "m") == (3, 2, 2)
    assert journal.counts(4, "other") == (2, 1, 0)


def test_without_a_journal_there_is_nothing_to_read(journal, tmp_path):
    assert (journal.latest(0, "m"), journal.counts(0, "m"), journal.verify()) == ({}, (0, 0, 0), 0)
    journal.prune(5, [])
    journal.copy_to(tmp_path / "copy")
    assert not (tmp_path / "copy" / "journal" / "journal.sqlite").exists()


def test_a_copy_holds_the_journal_as_it_was_and_goes_its_own_way(journal, tmp_path):
    add(journal, "a", "b")
    journal.start("000002", 1)
    journal.copy_to(tmp_path / "copy")
    add(journal, "c")
    copy = Journal(str(tmp_path / "copy"))
    assert [operation.id for operation in read(copy)] == ["a", "b"]
    assert (copy.signal, copy.start_of("000002"), copy.verify()) == (2, 1, 2)
    add(copy, "own")
    assert [operation.id for operation in read(journal)] == ["a", "b", "c"]
    copy.close()


def change(journal, statement):
    journal._reading().execute(statement)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE operations SET payload = '[]' WHERE sequence = 2", "operation 2 is missing or does not match"),
        ("DELETE FROM operations WHERE sequence = 1", "operation 1 is missing"),
        ("DELETE FROM operations WHERE sequence = 3", "operation 3 is missing"),
        ("UPDATE starts SET sequence = 3", "the start of generation 000002 does not match its checksum"),
    ],
)
def test_what_was_changed_or_lost_is_found(journal, statement, message):
    add(journal, "a", "b", "c")
    journal.start("000002", 1)
    assert journal.verify() == 3
    change(journal, statement)
    with pytest.raises(BundleCorruptError, match=rf"journal.sqlite is damaged: {message}.*Restore the index"):
        journal.verify()


def test_a_journal_that_has_disappeared_is_not_replaced(journal, tmp_path):
    add(journal, "a", "b")
    journal.close()
    for path in (tmp_path / "journal").glob("journal.sqlite*"):
        path.unlink()
    for use in (read, lambda journal: add(journal, "c")):
        with pytest.raises(BundleCorruptError, match="it is missing, and held 2 operations"):
            use(journal)


def test_a_signal_that_cannot_be_written_is_a_storage_error(journal, monkeypatch):
    add(journal, "a")

    def fail(latest):
        raise OSError(28, "no space left on device")

    monkeypatch.setattr("indexer.storage.journal_file.Latest.make", fail)
    with pytest.raises(BundleStorageError, match=r"cannot write .*journal.sqlite: .*no space left"):
        add(journal, "b")
