import logging

import pytest

from indexer.watch.facts import watch_facts
from indexer.watch.record import Record


@pytest.fixture
def record(tmp_path):
    return Record(tmp_path, "000001", 100, 60)


def count(record, promised, *recalls):
    for recall in recalls:
        record.count(promised, recall)


def test_recalls_are_counted_by_promise_and_only_the_newest_are_recent(tmp_path):
    record = Record(tmp_path, "000001", 3, 60)
    count(record, 0.9, 0.5, 1.0, 1.0, 0.8)
    count(record, None, 0.2)
    record.sampled, record.dropped = 7, 2
    watched = record.watched()
    assert (watched.generation, watched.sampled, watched.dropped) == ("000001", 7, 2)
    assert [level.promised for level in watched.levels] == [0.9, None]
    assert watched.levels[0].overall == {0.5: 1, 1.0: 2, 0.8: 1}
    assert watched.levels[0].recent == {1.0: 2, 0.8: 1}
    assert watched.until >= watched.since


def test_a_broken_promise_is_logged_once_until_the_estimate_itself_is_as_promised(record, caplog):
    caplog.set_level(logging.INFO, "indexer.watch")
    count(record, 0.9, *[0.5] * 60)
    assert [entry.levelname for entry in caplog.records] == ["WARNING"]
    assert "recall of" in caplog.text
    assert "generation 000001: promised 0.900, live " in caplog.text
    count(record, 0.9, *[1.0] * 75)
    assert [entry.levelname for entry in caplog.records] == ["WARNING"], "recall 0.875 is still below the promise"
    count(record, 0.9, *[1.0] * 10)
    assert [entry.levelname for entry in caplog.records] == ["WARNING", "INFO"]


def test_recall_without_a_promise_is_never_judged(record, caplog):
    count(record, None, *[0.0] * 200)
    assert not caplog.records


def test_a_file_is_due_only_if_there_is_something_new(record, tmp_path):
    assert record.due is None
    count(record, 0.9, 1.0)
    assert record.due == 0
    record.save()
    assert record.due is None
    count(record, 0.9, 1.0)
    assert 50 < record.due <= 60
    assert watch_facts(tmp_path, "000001").levels[0].overall.queries == 1


def test_a_folder_that_is_not_writable_is_logged_once(record, tmp_path, caplog):
    (tmp_path / "watch").write_text("a file in place of the folder")
    for _ in range(2):
        count(record, 0.9, 1.0)
        record.save()
    assert caplog.text.count("cannot save the estimates of live recall") == 1
    assert record.watched().levels[0].overall == {1.0: 2}
