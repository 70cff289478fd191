"""Sampling live queries and repeating them.

A live query is delayed by nothing but the draw of a random number; one that is drawn is copied into a short queue. One
thread of low priority takes it from there, finds the exact answer by looking at every row, and counts how much of it
the live answer held. The thread rests after each query, so that it never takes more than a small share of one core.
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
from indexer.watch.repeat import Answered
from models.errors import InvalidOptionError
from models.nesting import Vectors

logger = logging.getLogger(__name__)

_MOST_SELECTED = 4 << 20
"""Row numbers that the filters of waiting queries may hold together, 32 MB; a lone filter may hold more."""
_NICE = 10
"""Low, but not the lowest: whoever holds the interpreter's lock must get to release it on a busy machine too."""
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
    """Estimates the recall of live queries of an index. Any number of threads may offer queries at once.

    The estimates are of one generation; when another is published and searched, they begin anew.
    """

    def __init__(self, options: WatchOptions, root: Path, generation: str, seed: int | None = None) -> None:
        """Start watching, where ``options`` say so.

        Args:
            options: what share of the queries, and at what cost.
            root: the index directory, whose folder ``watch`` takes a file where it can be written to.
            generation: the one searched first.
            seed: of the draw; chosen by chance where None.
        """
        self.options, self._root = options, root
        # Distances between queries drawn are geometrically distributed: floor(log U / log(1 - share)).
        self._scale = 1 / math.log1p(-options.share) if 0 < options.share < 1 else 0.0
        self._random = random.Random(seed).random  # noqa: S311 - which queries are drawn is no secret
        self._changed = threading.Condition()  # guards what follows; held for microseconds
        self._waiting: deque[Answered] = deque()
        self._unfinished = 0
        self._records = {generation: self._new_record(generation)}
        self._latest = self._records[generation]
        self._told = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="recall-watch", daemon=True)
        if options.share:
            self._thread.start()

    def offer(
        self, queries: Vectors, plan: Plan, scores: Vectors, rows: Rows, selection: Selection | None, view: View
    ) -> None:
        """Draw from the queries of a live search; returns at once whatever is drawn.

        Args:
            queries: shape (n, D).
            plan: how they were answered.
            scores, rows: the answers, shape (n, k).
            selection: what a filter left to be found; all where None.
            view: what was searched.
        """
        if not self.options.share:
            return
        place = self._distance()
        while place < len(queries):
            line = slice(place, place + 1)
            self._take(Answered(queries[line].copy(), plan, scores[line].copy(), rows[line].copy(), selection, view))
            place += 1 + self._distance()

    def facts(self) -> WatchFacts:
        """Return what this watch has found; :func:`indexer.watch.watch_facts` adds what other processes have."""
        return WatchFacts.of([self._latest.watched()])

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until every query drawn so far has been repeated or dropped, and return whether it has."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._unfinished, timeout)

    def close(self) -> None:
        """Stop watching and write the file. Queries that still wait are dropped."""
        with self._changed:
            if self._closed.is_set():
                return
            self._closed.set()
            for answered in self._waiting:
                self._record(answered).dropped += 1
            self._unfinished -= len(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(_JOIN_SECONDS)  # the scan of a huge index is not waited for: it ends by itself
        for record in self._records.values():
            if record.due is not None:
                record.save()

    def _distance(self) -> int:
        """Return how many queries are passed over before the next one drawn."""
        return int(math.log(1 - self._random()) * self._scale)

    def _take(self, answered: Answered) -> None:
        if answered.exact:
            return
        with self._changed:
            if self._closed.is_set():
                return
            record = self._record(answered)
            record.sampled += 1
            if len(self._waiting) >= self.options.capacity or self._holds_too_much(answered):
                record.dropped += 1
                return
            self._waiting.append(answered)
            self._unfinished += 1
            self._changed.notify_all()

    def _holds_too_much(self, answered: Answered) -> bool:
        if not answered.selected:
            return False
        # Queries with the same filter share its rows.
        held = {id(waiting.selection): waiting.selected for waiting in self._waiting if waiting.selected}
        if not held or id(answered.selection) in held:
            return False
        return sum(held.values()) + answered.selected > _MOST_SELECTED

    def _new_record(self, generation: str) -> Record:
        return Record(self._root, generation, self.options.window, self.options.save_seconds)

    def _record(self, answered: Answered) -> Record:
        record = self._records.get(answered.generation)
        if record is None:
            record = self._latest = self._records[answered.generation] = self._new_record(answered.generation)
        return record

    def _work(self) -> None:
        _lower_priority()
        while not self._closed.is_set():
            answered = self._next()
            started = time.perf_counter()
            if answered is not None:
                self._repeat(answered)
            for record in tuple(self._records.values()):
                if record.due == 0:
                    record.save()
            self._closed.wait((time.perf_counter() - started) * (1 / self.options.budget - 1))

    def _next(self) -> Answered | None:
        """Wait for a query, or until it is time to write a file."""
        with self._changed:
            due = min((record.due for record in self._records.values() if record.due is not None), default=None)
            self._changed.wait_for(lambda: self._waiting or self._closed.is_set(), timeout=due)
            return self._waiting.popleft() if self._waiting else None

    def _repeat(self, answered: Answered) -> None:
        failed = False
        try:
            recall = answered.recall()
            if recall is not None:
                promise = answered.plan.promise
                self._records[answered.generation].count(None if promise is None else promise.recall_low, recall)
        except Exception:
            # Whatever it is, live queries go on, and so does watching them.
            failed = True
            if not self._told:
                logger.exception("a live query cannot be repeated; it counts as dropped, and so do others like it")
            self._told = True
        with self._changed:
            self._record(answered).dropped += failed
            self._unfinished -= 1
            self._changed.notify_all()


def _lower_priority() -> None:
    if sys.platform == "linux":  # elsewhere it would be the whole process's
        os.nice(_NICE)
