import logging
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from indexer import Document, Index, SearchOptions
from indexer.filters import parse_filter
from indexer.kernels.rowset import RowSet
from indexer.plan import SCAN, FunnelStage, Plan, Promise
from indexer.search.filter_cache import Selection
from indexer.watch import RecallWatch, WatchFacts, WatchOptions, watch_facts, watcher
from models import InvalidOptionError
from tests.conftest import DIMENSION, make_encoder, make_index, make_texts
from tests.indexer.watch.views import PROMISED, SHORTLIST, D, K, NaiveView

ALL = WatchOptions(share=1.0, budget=1.0, save_seconds=0.0)


@pytest.fixture
def exact():
    opened = NaiveView(np.random.default_rng(0).normal(size=(200, D)).astype(np.float32))
    yield opened
    opened.hold.set()


@pytest.fixture
def watch(tmp_path):
    """Make watches of ``tmp_path`` that are closed after the test."""
    made = []

    def make(options=ALL, generation="000001", seed=0):
        made.append(RecallWatch(options, tmp_path, generation, seed=seed))
        return made[-1]

    yield make
    for opened in made:
        opened.close()


def queries_of(count, seed=1):
    return np.random.default_rng(seed).normal(size=(count, D)).astype(np.float32)


def live(exact, queries, wrong=()):
    """Return the exact answers, of which the last ``wrong[i]`` of K are wrong."""
    answers = [exact.rank(query[None], replace(SHORTLIST, structure=SCAN, dims=D), None, None, 1) for query in queries]
    scores, rows = (np.concatenate(part) for part in zip(*answers, strict=True))
    for i, count in enumerate(wrong):
        scores[i, K - count :], rows[i, K - count :] = -1, 199
    return scores, rows


def offer(watch, exact, queries, wrong=(), plan=SHORTLIST):
    """Offer queries one at a time, so that they all fit into the queue."""
    scores, rows = live(exact, queries, wrong)
    for i in range(len(queries)):
        watch.offer(queries[i : i + 1], plan, scores[i : i + 1], rows[i : i + 1], None, exact)
        assert watch.wait(10)


class TestSampling:
    def test_an_exact_search_is_not_repeated(self, watch, exact):
        single = Plan(K, D, K, None, (FunnelStage(D, K),), SCAN)
        watched = watch()
        offer(watched, exact, queries_of(3), plan=single)
        assert watched.facts().sampled == 0
        shorter = Plan(K, 4, K, None, (FunnelStage(4, K),), SCAN)
        offer(watched, exact, queries_of(3), plan=shorter)
        assert watched.facts().sampled == 3

    def test_a_share_of_zero_starts_no_thread_and_samples_nothing(self, tmp_path, exact):
        before = threading.active_count()
        watched = RecallWatch(WatchOptions(), tmp_path, "000001")
        offer(watched, exact, queries_of(20))
        assert threading.active_count() == before
        watched.close()
        assert watched.facts().sampled == 0
        assert not (tmp_path / "watch").exists()

    @pytest.mark.parametrize("together", [1, 7, 5000], ids=["one-a-call", "seven-a-call", "all-in-a-call"])
    def test_every_query_is_sampled_with_the_same_probability(self, watch, monkeypatch, together):
        drawn = []
        watched = watch(replace(ALL, share=0.1))
        monkeypatch.setattr(watched, "_take", lambda answered: drawn.append(int(answered.query[0, 0])))
        numbers = np.repeat(np.arange(5000, dtype=np.float32)[:, None], D, axis=1)
        scores, rows = np.zeros((5000, K), np.float32), np.zeros((5000, K), np.int64)
        for start in range(0, 5000, together):
            part = slice(start, start + together)
            watched.offer(numbers[part], SHORTLIST, scores[part], rows[part], None, None)
        assert drawn == sorted(set(drawn))
        # Binomial with mean 500 and deviation 21; and as many of every tenth place, mean 50, deviation 6.7.
        assert 420 < len(drawn) < 580
        assert all(20 < count < 80 for count in Counter(place % 10 for place in drawn).values())

    def test_the_estimate_is_unbiased_and_its_interval_covers(self, watch, exact):
        rng = np.random.default_rng(3)
        queries, wrong = queries_of(300), rng.binomial(K, 0.1, 300)
        watched = watch(replace(ALL, share=0.5))
        for _ in range(3):
            offer(watched, exact, queries, wrong)
        (level,) = watched.facts().levels
        truth = 1 - wrong.mean() / K
        assert 380 < level.overall.queries < 520
        assert level.overall.low < truth < level.overall.high
        assert level.overall.recall == pytest.approx(truth, abs=4 * wrong.std() / K / 450**0.5)
        assert level.promised is None
        assert not level.alarm
        assert level.message.startswith("plans without calibration, live 0.")

    def test_sampled_queries_are_copies(self, watch, exact):
        watched = watch()
        queries = queries_of(4)
        scores, rows = live(exact, queries)
        exact.hold.clear()
        watched.offer(queries, SHORTLIST, scores, rows, None, exact)
        queries[:], scores[:], rows[:] = -queries, -1, 0
        exact.hold.set()
        assert watched.wait(10)
        assert watched.facts().levels[0].overall.recall == 1


class TestQueue:
    def test_a_full_queue_drops_and_never_blocks(self, watch, exact):
        watched = watch(replace(ALL, capacity=3))
        queries = queries_of(20)
        scores, rows = live(exact, queries)
        exact.hold.clear()
        # The thread is blocked with at most one query, so that these calls would never return if they waited.
        watched.offer(queries, SHORTLIST, scores, rows, None, exact)
        watched.offer(queries[:1], SHORTLIST, scores, rows, None, exact)
        facts = watched.facts()
        assert facts.sampled == 21
        assert 17 <= facts.dropped <= 18
        exact.hold.set()
        assert watched.wait(10)
        assert watched.facts().levels[0].overall.queries == 21 - facts.dropped

    def test_the_filters_of_waiting_queries_take_bounded_memory(self, watch, exact, monkeypatch):
        monkeypatch.setattr(watcher, "_MOST_SELECTED", 250)
        watched = watch()
        query = queries_of(1)
        scores, rows = live(exact, query)
        exact.hold.clear()
        first, second = (Selection(RowSet(np.arange(200), 200), np.arange(200, 300)) for _ in range(2))
        # A single filter may be of any size, and the same filter again adds nothing. The thread may have the first one.
        for selection in (first, first, first, None, second, first):
            watched.offer(query, SHORTLIST, scores, rows, selection, exact)
        assert (watched.facts().sampled, watched.facts().dropped) == (6, 1)
        exact.hold.set()
        assert watched.wait(10)

    def test_many_threads_may_offer_at_once(self, watch, exact):
        watched = watch(replace(ALL, capacity=10_000))
        queries = queries_of(40)
        scores, rows = live(exact, queries, [1] * 20)

        def some(_):
            for i in range(40):
                watched.offer(queries[i : i + 1], SHORTLIST, scores[i : i + 1], rows[i : i + 1], None, exact)

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(some, range(8)))
        assert watched.wait(20)
        facts = watched.facts()
        assert (facts.sampled, facts.dropped) == (320, 0)
        assert facts.levels[0].overall.queries == 320
        assert facts.levels[0].overall.recall == pytest.approx(0.9)

    def test_the_thread_rests_between_queries(self, watch):
        class Slow(NaiveView):
            def rank(self, *arguments, **options):
                time.sleep(0.02)
                return super().rank(*arguments, **options)

        slow = Slow(queries_of(10))
        watched = watch(replace(ALL, budget=0.5))
        queries = queries_of(5)
        scores, rows = live(NaiveView(slow.rows), queries)
        started = time.perf_counter()
        watched.offer(queries, SHORTLIST, scores, rows, None, slow)
        assert watched.wait(10)
        assert time.perf_counter() - started >= (5 + 4) * 0.02

    def test_a_failed_repetition_is_logged_once_and_others_go_on(self, watch, exact, caplog):
        class Broken(NaiveView):
            def rank(self, *_, **__):
                raise OSError("the disk is gone")

        watched = watch()
        for searched in (Broken(exact.rows), Broken(exact.rows), exact):
            scores, rows = live(exact, queries_of(1))
            watched.offer(queries_of(1), SHORTLIST, scores, rows, None, searched)
            assert watched.wait(10)
        facts = watched.facts()
        assert (facts.sampled, facts.dropped, facts.levels[0].overall.queries) == (3, 2, 1)
        assert [record.exc_info[1].args for record in caplog.records] == [("the disk is gone",)]
        assert "a live query cannot be repeated" in caplog.text


class TestClosing:
    def test_the_thread_ends_and_waiting_queries_are_dropped(self, watch, exact, monkeypatch):
        monkeypatch.setattr(watcher, "_JOIN_SECONDS", 0.01)
        watched = watch()
        queries = queries_of(10)
        scores, rows = live(exact, queries)
        exact.hold.clear()
        watched.offer(queries, SHORTLIST, scores, rows, None, exact)
        watched.close()  # while the scan of one query, or none, goes on
        watched.close()
        facts = watched.facts()
        assert facts.sampled == 10
        assert facts.dropped >= 9
        exact.hold.set()
        watched._thread.join(10)
        assert not watched._thread.is_alive()
        watched.offer(queries, SHORTLIST, scores, rows, None, exact)
        assert watched.facts().sampled == 10
        assert watched.wait(0)

    @pytest.mark.parametrize("budget", [1.0, 1e-9], ids=["waiting", "resting"])
    def test_an_idle_thread_is_woken(self, watch, exact, budget):
        watched = watch(replace(ALL, budget=budget))
        offer(watched, exact, queries_of(1))
        started = time.perf_counter()
        watched.close()
        assert time.perf_counter() - started < 0.9
        assert not watched._thread.is_alive()


class TestAlarm:
    def test_a_broken_promise_is_logged_once_and_so_is_a_kept_one(self, watch, exact, caplog):
        caplog.set_level(logging.INFO, "indexer.watch")
        watched = watch(replace(ALL, window=100))
        offer(watched, exact, queries_of(100), [1, 0, 0, 1, 0, 0, 1, 0, 0, 0] * 10, PROMISED)
        assert not watched.facts().alarm, "recall 0.94 over 100 queries is compatible with 0.95"
        offer(watched, exact, queries_of(100), [1] * 100, PROMISED)
        facts = watched.facts()
        (level,) = facts.levels
        assert facts.alarm
        assert level.alarm
        assert (level.promised, level.recent.recall, level.recent.queries) == (0.95, pytest.approx(0.8), 100)
        assert (level.overall.recall, level.overall.queries) == (pytest.approx(0.87), 200)
        assert level.message.startswith("promised 0.950, live 0.800 [0.")
        assert "over 100 queries: below the promise; queries or documents have changed" in level.message
        offer(watched, exact, queries_of(70), (), PROMISED)
        assert not watched.facts().alarm
        assert [record.levelname for record in caplog.records] == ["WARNING"], "recall 0.94 is not yet as promised"
        offer(watched, exact, queries_of(10), (), PROMISED)
        assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
        assert "generation 000001: promised 0.950, live 0." in caplog.text

    def test_each_promise_is_watched_alone(self, watch, exact):
        watched = watch()
        low = replace(SHORTLIST, promise=Promise(0.8, 0.7, 0.05))
        for plan in (low, SHORTLIST, PROMISED):
            offer(watched, exact, queries_of(40), [1] * 40, plan)
        assert [(level.promised, level.alarm) for level in watched.facts().levels] == [
            (0.95, True),
            (0.7, False),
            (None, False),
        ]


class TestFile:
    def test_another_process_reads_the_estimates(self, watch, exact, tmp_path):
        watched = watch()
        offer(watched, exact, queries_of(30), [1] * 10, PROMISED)
        watched.close()
        facts = watch_facts(tmp_path, "000001")
        assert facts == watched.facts()
        assert facts.levels[0].overall.queries == 30
        assert WatchFacts.model_validate_json(facts.model_dump_json()) == facts
        assert watch_facts(tmp_path, "000002") is None

    def test_another_generation_is_counted_from_zero(self, watch, exact, tmp_path):
        watched = watch()
        offer(watched, exact, queries_of(3))
        offer(watched, NaiveView(exact.rows, "000002"), queries_of(5))
        offer(watched, exact, queries_of(1))  # a search that began before the swap
        assert (watched.facts().generation, watched.facts().sampled) == ("000002", 5)
        watched.close()
        assert [watch_facts(tmp_path, name).levels[0].overall.queries for name in ("000001", "000002")] == [4, 5]

    def test_it_is_written_while_the_index_serves(self, watch, exact, tmp_path):
        watched = watch(replace(ALL, save_seconds=0.05))
        offer(watched, exact, queries_of(2))
        deadline = time.monotonic() + 10
        while (facts := watch_facts(tmp_path, "000001")) is None or facts.levels[0].overall.queries != 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def test_a_folder_that_is_not_writable_is_logged_once_and_the_watch_goes_on(self, watch, exact, tmp_path, caplog):
        (tmp_path / "watch").write_text("a file where the folder should be")
        watched = watch()
        offer(watched, exact, queries_of(3))
        watched.close()
        assert watched.facts().levels[0].overall.queries == 3
        assert caplog.text.count("cannot save the estimates of live recall, which are kept in memory only") == 1


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("share", 1.5, "share 1.5 of the queries: give 0 to 1"),
        ("share", float("nan"), "share nan of the queries: give 0 to 1"),
        ("budget", 0.0, "budget 0.0 of a core: give more than 0 and at most 1"),
        ("capacity", 0, "capacity 0: give at least 1"),
        ("window", 0, "window 0: give at least 1"),
        ("save_seconds", -1.0, "save_seconds -1.0: give at least 0"),
    ],
)
def test_impossible_options_are_refused(name, value, message):
    with pytest.raises(InvalidOptionError, match=message) as caught:
        WatchOptions(**{name: value})
    assert caught.value.param == name


class TestIndex:
    """The watch of an opened index."""

    def test_live_recall_of_an_index_is_estimated_without_bias(self, tmp_path):
        make_index(tmp_path, make_texts(400)).close()
        weak = SearchOptions(k=10, dims=8, candidates=15)
        queries = make_texts(60, seed=4)
        with Index.open(tmp_path / "index", encoder=make_encoder(), watch=ALL) as index:
            exact = index.search(queries, SearchOptions(k=10, dims=DIMENSION)).hits
            found = []
            for query in queries:
                found += index.search([query], weak).hits
                assert index.watch.wait(10)
            kept = [
                sum(hit.score >= best[-1].score - 1e-6 for hit in hits) / 10
                for best, hits in zip(exact, found, strict=True)
            ]
            (level,) = index.watch.facts().levels
            assert level.overall.queries == 60
            assert 0.2 < level.overall.recall < 0.9
            assert level.overall.recall == pytest.approx(np.mean(kept))
            thread = index.watch._thread
        assert not thread.is_alive()
        assert watch_facts(tmp_path / "index", "000001").levels == [level]

    def test_updates_and_filters_are_repeated_as_they_were_searched(self, tmp_path):
        make_index(tmp_path, make_texts(400)).close()
        with Index.open(tmp_path / "index", encoder=make_encoder(), watch=ALL) as index:
            index.delete([str(i) for i in range(0, 400, 3)])
            index.upsert([Document(f"new {i}", text, {"text": text}) for i, text in enumerate(make_texts(30, seed=9))])
            everything = SearchOptions(k=10, candidates=400)
            for options in (everything, replace(everything, filter=parse_filter({"_id": {"$gte": "5"}}))):
                index.search(make_texts(20, seed=4), options)
                assert index.watch.wait(10)
            (level,) = index.watch.facts().levels
            assert (level.overall.queries, level.overall.recall) == (40, 1)

    def test_it_is_off_unless_asked_for(self, tmp_path):
        with make_index(tmp_path, make_texts(50)) as index:
            index.search(make_texts(10, seed=4), SearchOptions(k=3, candidates=5))
            assert not index.watch._thread.is_alive()
            assert index.watch.facts().sampled == 0
        assert not (tmp_path / "index" / "watch").exists()
