"""Following the journal and the published generation."""

import threading

import pytest

from indexer import BundleError, BundleNotFoundError, Document, Updates, calibrate_index, compact_index
from indexer.search.live import LiveIndex
from indexer.storage.generations import Generations
from indexer.storage.journal import Journal
from indexer.storage.recorded_model import RecordedModel
from tests.conftest import make_encoder, make_index, make_texts

ENCODER = make_encoder()


class Followed:
    """An index, a writer to it, and what follows it."""

    def __init__(self, root):
        self.warmed = []
        make_index(root, make_texts(20), ENCODER, calibration=None).close()
        self.root = root / "index"
        self.writer = Updates.open(self.root, encoder=ENCODER)
        self.live = self.open()

    def open(self, verify="loaded"):
        model = RecordedModel
        return LiveIndex(
            self.root, lambda facts: model(self.root, facts, ENCODER, None, "cpu"), verify, self.warmed.append
        )

    def close(self):
        self.live.close()
        self.writer.close()


@pytest.fixture
def followed(tmp_path):
    followed = Followed(tmp_path)
    yield followed
    followed.close()


def document(identifier):
    return Document(identifier, "w1 w2", {})


def test_updates_of_others_are_applied_when_the_index_is_asked_for(followed):
    before = followed.live.current().view
    followed.writer.upsert([document("new")])
    assert followed.live.generation.view is before
    assert len(followed.live.current().view) == 21
    assert len(before) == 20


def test_without_updates_the_view_stays_the_same(followed):
    view = followed.live.current().view
    followed.live.refresh()
    assert followed.live.current().view is view


def test_documents_added_come_with_the_view_of_that_moment(followed):
    followed.writer.upsert([document("new"), document("3")])
    added, view = followed.live.added(["new", "3", "4", "no such"])
    assert sorted(added) == ["3", "new"]
    assert sorted(view.from_base(["3", "4"])) == ["4"]


def test_reload_warms_up_a_new_generation_and_switches_to_it(followed):
    assert not followed.live.reload()
    followed.writer.upsert([document("new")])
    compact_index(followed.root)
    assert followed.live.reload()
    assert followed.live.generation.name == "000002"
    assert followed.warmed == [followed.live.current().view]
    assert not followed.live.reload()


def test_reload_takes_a_new_calibration_of_the_same_generation(followed):
    calibrate_index(followed.root, encoder=ENCODER)
    assert followed.live.reload()
    assert followed.live.generation.opened.manifest.plans


def test_reload_keeps_the_model_that_is_loaded(followed):
    model = followed.live.generation.model
    followed.writer.upsert([document("new")])
    compact_index(followed.root)
    assert followed.live.reload()
    assert followed.live.generation.model is model


def test_a_generation_whose_updates_were_compacted_away_is_replaced(followed):
    followed.writer.upsert([document("unseen")])
    compact_index(followed.root, keep=1)
    assert len(followed.live.current().view) == 21
    assert followed.live.generation.name == "000002"


def test_reload_starts_over_if_another_generation_is_published_meanwhile(followed, monkeypatch):
    followed.writer.upsert([document("first")])
    compact_index(followed.root)
    opened = []

    def publish_another(view):
        opened.append(view.opened)
        if len(opened) == 1:
            followed.writer.upsert([document("second")])
            compact_index(followed.root, keep=1)
            # The old generation's updates are gone, so that searches replace it themselves.
            followed.live.current()

    monkeypatch.setattr(followed.live, "_warm_up", publish_another)
    followed.live.reload()
    assert followed.live.generation.name == "000003"
    assert len(followed.live.current().view) == 22


def test_the_generation_replaced_is_closed_after_its_last_reader(followed, monkeypatch):
    documents, view = followed.live.generation.opened.documents, followed.live.current().view
    closed = []
    close = type(documents).close
    monkeypatch.setattr(type(documents), "close", lambda closing: closed.append(closing) or close(closing))
    followed.writer.upsert([document("new")])
    compact_index(followed.root)
    closed.clear()
    assert followed.live.reload()
    assert documents not in closed
    assert view.fetch([3])[0].id == "3"
    del view
    assert documents in closed


def test_a_generation_deleted_while_it_is_opened_is_not_an_error(followed, monkeypatch):
    names = ["000009", "000001"]
    require, published = Generations.require_published, Generations.published
    monkeypatch.setattr(Generations, "require_published", lambda self: names.pop(0) if names else require(self))
    monkeypatch.setattr(Generations, "published", lambda self: names[0] if names else published(self))
    live = followed.open()
    assert live.generation.name == "000001"
    live.close()


def test_a_published_generation_that_cannot_be_read_is_an_error(followed):
    (followed.root / "generations" / "000001" / "manifest.json").unlink()
    with pytest.raises(BundleError):
        followed.open()


def test_the_journal_is_closed_if_opening_fails(tmp_path, monkeypatch):
    closed = []
    monkeypatch.setattr(Journal, "close", lambda self: closed.append(self))
    with pytest.raises(BundleNotFoundError):
        LiveIndex(tmp_path, lambda facts: pytest.fail("no manifest"), "loaded", lambda view: None)
    assert len(closed) == 1


def test_all_verifies_the_journal_too(followed, monkeypatch):
    verified = []
    monkeypatch.setattr(Journal, "verify", lambda self: verified.append(self))
    followed.open("loaded").close()
    assert verified == []
    followed.open("all").close()
    assert len(verified) == 1


def test_an_error_while_catching_up_closes_what_was_opened(followed, monkeypatch):
    followed.writer.upsert([document("new")])
    closed = []

    def broken(*_):
        raise BundleError("broken page")

    monkeypatch.setattr(Journal, "pages", broken)
    monkeypatch.setattr("indexer.search.generation.OpenedGeneration.close", lambda self: closed.append(self))
    with pytest.raises(BundleError, match="broken page"):
        followed.open()
    assert len(closed) == 1


def test_searches_do_not_wait_for_a_reload(followed, monkeypatch):
    followed.writer.upsert([document("new")])
    compact_index(followed.root)
    warming, proceed = threading.Event(), threading.Event()
    monkeypatch.setattr(followed.live, "_warm_up", lambda view: warming.set() or proceed.wait(10))
    reloading = threading.Thread(target=followed.live.reload)
    reloading.start()
    try:
        assert warming.wait(30)
        followed.writer.upsert([document("meanwhile")])
        assert len(followed.live.current().view) == 22
        assert followed.live.generation.name == "000001"
    finally:
        proceed.set()
        reloading.join()
    assert (followed.live.generation.name, len(followed.live.current().view)) == ("000002", 22)
