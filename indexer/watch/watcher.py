"""Sampling live queries and repeating them exactly.

A live query costs no more than a random number; a sampled query is copied into a short queue. A thread of low priority
takes it from there, finds the exact answer by a scan, and counts how much of it the live answer contained. The thread
sleeps after each query, so that it uses at most a small share of one core.
"""

from __future__ import annotations

import logging
import math
import os
import random
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from indexer.kernels.rows import Rows
from indexer.plan import Plan
from indexer.search.filter_cache import Selection
from indexer.search.view import View
from indexer.watch.facts import WatchFacts
from indexer.watch.record import Record
from indexer.watch.repeat import SampledQuery
from models.errors import InvalidOptionError
from models.nesting import Vectors

logger = logging.getLogger(__name__)

_MOST_SELECTED = 4 << 20
"""Limit on the row numbers held by the filters of waiting queries, 32 MB; a single filter may exceed it."""
_NICE = 10
"""Low, but not the lowest priority: on a busy machine the thread must still get to release the interpreter lock."""
_JOIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """How the recall of live queries is watched.

    Repeat one query in a hundred exactly, with at most 5 % of one core::

        Index.open("my-index", watch=WatchOptions(share=0.01, budget=0.05))

    Attributes:
        share: probability that a query is sampled; 0 disables the watch and starts no thread.
        budget: share of one core that repetitions may use. Queries sampled faster than that are dropped.
        capacity: sampled queries that may wait; further ones are dropped.
        window: number of recent queries per promise that the alarm considers.
        save_seconds: minimum time between two writes of the file.

    Raises:
        InvalidOptionError: a value is out of range.
    """

    share: float = 0.0
    budget: float = 0.05
    capacity: int = 64
    window: int = 1000
    save_seconds: float = 5.0

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise InvalidOptionError("share", f"share {self.share} of the queries: give 0 to 1")
        if not 0 < self.budget <= 1:
            raise InvalidOptionError("budget", f"budget {self.budget} of a core: give more than 0 and at most 1")
        for name in ("capacity", "window"):
            if getattr(self, name) < 1:
                raise InvalidOptionError(name, f"{name} {getattr(self, name)}: give at least 1")
        if not self.save_seconds >= 0:
            raise InvalidOptionError("save_seconds", f"save_seconds {self.save_seconds}: give at least 0")


class RecallWatch:
    """Estimates the recall of an index's live queries. Any number of threads may offer queries.

    Estimates are per generation, and restart when a new generation is published and searched.
    """

    def __init__(self, options: WatchOptions, root: str | Path, generation: str, *, seed: int | None = None) -> None:
        """Start the watch, unless its share is 0.

        Args:
            options: the share of queries and the budget.
            root: the index directory; its folder ``watch`` gets a file, if writable.
            generation: name of the generation searched first.
            seed: of the sampling; random if None.
        """
        self.options, self._root = options, Path(root)
        # Distances between sampled queries are geometrically distributed: floor(log U / log(1 - share)).
        self._scale = 1 / math.log1p(-options.share) if 0 < options.share < 1 else 0.0
        self._random = random.Random(seed).random  # noqa: S311 - the choice of queries is no secret
        self._changed = threading.Condition()  # guards what follows; held for microseconds
        self._waiting: deque[SampledQuery] = deque()
        self._unfinished = 0
        self._records = {generation: self._new_record(generation)}
        self._latest = self._records[generation]
        self._logged = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="recall-watch", daemon=True)
        if options.share:
            self._thread.start()

    def offer(
        self, queries: Vectors, plan: Plan, scores: Vectors, rows: Rows, selection: Selection | None, view: View
    ) -> None:
        """Sample from the queries of a live search, without waiting.

        Args:
            queries: query vectors, shape (n, D).
            plan: the plan of the search.
            scores, rows: the answers, shape (n, k).
            selection: the rows that match the filter; None without one.
            view: the state of the index that was searched.
        """
        if not self.options.share:
            return
        place = self._distance()
        while place < len(queries):
            own = slice(place, place + 1)
            self._take(SampledQuery(queries[own].copy(), plan, scores[own].copy(), rows[own].copy(), selection, view))
            place += 1 + self._distance()

    def facts(self) -> WatchFacts:
        """Return the estimates of this process; :func:`indexer.watch.watch_facts` adds those of other processes."""
        return WatchFacts.of([self._latest.watched()])

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until every sampled query has been repeated or dropped; return whether that happened in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._unfinished, timeout)

    def close(self) -> None:
        """Stop the watch and write the file. Queries that are still waiting are dropped."""
        with self._changed:
            if self._closed.is_set():
                return
            self._closed.set()
            for sampled in self._waiting:
                self._record(sampled).dropped += 1
            self._unfinished -= len(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(_JOIN_SECONDS)  # a scan of a huge index is not waited for; it ends by itself
        for record in self._records.values():
            if record.due is not None:
                record.save()

    def _distance(self) -> int:
        """Return the number of queries to skip before the next sampled one."""
        return int(math.log(1 - self._random()) * self._scale)

    def _take(self, sampled: SampledQuery) -> None:
        if sampled.exact:
            return
        with self._changed:
            if self._closed.is_set():
                return
            record = self._record(sampled)
            record.sampled += 1
            if len(self._waiting) >= self.options.capacity or self._holds_too_much(sampled):
                record.dropped += 1
                return
            self._waiting.append(sampled)
            self._unfinished += 1
            self._changed.notify_all()

    def _holds_too_much(self, sampled: SampledQuery) -> bool:
        if not sampled.selected:
            return False
        # Queries with the same filter share its row numbers.
        held = {id(waiting.selection): waiting.selected for waiting in self._waiting if waiting.selected}
        if not held or id(sampled.selection) in held:
            return False
        return sum(held.values()) + sampled.selected > _MOST_SELECTED

    def _new_record(self, generation: str) -> Record:
        return Record(self._root, generation, self.options.window, self.options.save_seconds)

    def _record(self, sampled: SampledQuery) -> Record:
        record = self._records.get(sampled.generation)
        if record is None:
            record = self._latest = self._records[sampled.generation] = self._new_record(sampled.generation)
        return record

    def _work(self) -> None:
        _lower_priority()
        while not self._closed.is_set():
            sampled = self._next()
            started = time.perf_counter()
            if sampled is not None:
                self._repeat(sampled)
            for record in tuple(self._records.values()):
                if record.due == 0:
                    record.save()
            self._closed.wait((time.perf_counter() - started) * (1 / self.options.budget - 1))

    def _next(self) -> SampledQuery | None:
        """Wait for a query, or until a file is due."""
        with self._changed:
            due = min((record.due for record in self._records.values() if record.due is not None), default=None)
            self._changed.wait_for(lambda: self._waiting or self._closed.is_set(), timeout=due)
            return self._waiting.popleft() if self._waiting else None

    def _repeat(self, sampled: SampledQuery) -> None:
        failed = False
        try:
            recall = sampled.recall()
            if recall is not None:
                promise = sampled.plan.promise
                self._records[sampled.generation].count(None if promise is None else promise.recall_low, recall)
        except Exception:
            # Whatever went wrong, live queries and their watch go on.
            failed = True
            if not self._logged:
                logger.exception("a live query cannot be repeated; it and further failures are counted as dropped")
            self._logged = True
        with self._changed:
            self._record(sampled).dropped += failed
            self._unfinished -= 1
            self._changed.notify_all()


def _lower_priority() -> None:
    if sys.platform == "linux":  # elsewhere it would affect the whole process
        os.nice(_NICE)
