import sqlite3
import threading
from contextlib import closing

import pytest

from indexer.corpus import Place
from indexer.errors import BundleCorruptError
from indexer.filters import parse_filter
from indexer.storage.documents import Documents, DocumentWriter, Rejected, StoredDocument


@pytest.fixture
def path(tmp_path):
    with DocumentWriter(tmp_path / "d.sqlite") as writer:
        writer.commit([StoredDocument(str(i), {"n": i, "ü": ["\u2028"]}) for i in range(1500)], [], Place(0, 1500))
        writer.finish()
    return tmp_path / "d.sqlite"


def test_fetch_keeps_order_and_repeats(path):
    documents = Documents(path)
    rows = [7, 1499, 0, 7]
    assert documents.fetch(rows) == [StoredDocument(str(n), {"n": n, "ü": ["\u2028"]}) for n in rows]
    assert documents.fetch([]) == []
    assert len(documents.fetch(range(1500))) == 1500
    documents.close()


def test_ids_go_by_row(path):
    documents = Documents(path)
    assert documents.ids() == [str(i) for i in range(1500)]
    documents.close()


def test_rows_are_found_by_id_and_unknown_ids_left_out(path):
    with closing(Documents(path)) as documents:
        assert documents.row_of(["7", "1500", "0", "7", "", "\ud800"]) == {"7": 7, "0": 0}
        assert documents.row_of([]) == {}
        assert documents.row_of([str(i) for i in range(3000)]) == {str(i): i for i in range(1500)}


def test_without_filterable_fields_the_file_has_no_field_tables(path):
    with closing(sqlite3.connect(path)) as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == {"documents", "rejected", "progress"}
    with closing(Documents(path)) as documents:
        assert documents.filterable == []
        assert documents.matching(parse_filter({"n": {"$lt": 3}})).tolist() == [0, 1, 2]


def test_unknown_rows_and_unreadable_files_are_refused(path, tmp_path):
    with closing(Documents(path)) as documents, pytest.raises(BundleCorruptError, match="cannot read documents"):
        documents.fetch([1500])
    with pytest.raises(BundleCorruptError, match="is missing"):
        Documents(tmp_path / "none.sqlite")
    (tmp_path / "junk.sqlite").write_bytes(b"junk" * 1000)
    junk = Documents(tmp_path / "junk.sqlite")
    with closing(junk), pytest.raises(BundleCorruptError, match="cannot read documents"):
        junk.fetch([0])


def test_threads_read_concurrently_and_close_closes_all_connections(path):
    documents = Documents(path)
    found = []
    threads = [threading.Thread(target=lambda: found.append(documents.fetch([1, 2]))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [documents.fetch([1, 2])] * 8
    documents.close()


def test_the_writer_resumes(tmp_path):
    row = Rejected("f", 3, "why")
    with DocumentWriter(tmp_path / "d.sqlite") as writer:
        assert (writer.count, writer.place, writer.complete) == (0, Place(), False)
        writer.commit([StoredDocument("a", {}), StoredDocument("b", {})], [row], Place(0, 3))
    with DocumentWriter(tmp_path / "d.sqlite") as writer:
        assert (writer.count, writer.place, writer.complete, writer.rejected_count) == (2, Place(0, 3), False, 1)
        assert writer.known(["a", "c", "b"]) == {"a", "b"}
        assert [tuple(rejected) for rejected in writer.rejected()] == [("f", 3, "why")]


def test_a_batch_is_written_completely_or_not_at_all(tmp_path):
    with DocumentWriter(tmp_path / "d.sqlite") as writer:
        writer.commit([StoredDocument("a", {})], [], Place(0, 1))
        with pytest.raises(Exception, match="UNIQUE"):
            writer.commit([StoredDocument("b", {}), StoredDocument("a", {})], [], Place(0, 3))
        assert (writer.count, writer.place) == (1, Place(0, 1))
