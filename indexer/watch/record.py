"""The counts of one process for one generation, and their file."""

from __future__ import annotations

import logging
import math
import secrets
import threading
import time
from collections import Counter, deque
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean

from indexer.watch.facts import Level, LevelFacts, Watched, write_watched

logger = logging.getLogger(__name__)


class Record:
    """Counts recalls by promise, logs when a promise is broken or kept again, and saves the counts regularly.

    One thread counts; any number of threads may read.

    Attributes:
        sampled, dropped: as in :class:`indexer.watch.facts.Watched`; counted by the sampler.
    """

    def __init__(self, root: Path, generation: str, window: int, save_seconds: float) -> None:
        """See :class:`indexer.watch.WatchOptions` for ``window`` and ``save_seconds``."""
        self._root, self._generation, self._window, self._save_seconds = root, generation, window, save_seconds
        self.sampled = self.dropped = 0
        self._name = secrets.token_hex(6)
        self._since = self._until = datetime.now(UTC)
        self._tallies: dict[float | None, _Tally] = {}
        self._lock = threading.Lock()
        self._saved_at = -math.inf
        self._unsaved = self._logged = False

    def count(self, promised: float | None, recall: float) -> None:
        """Count a query, and log if its promise is broken from now on, or kept again."""
        with self._lock:
            tally = self._tallies.setdefault(promised, _Tally(self._window))
            tally.overall[recall] += 1
            tally.recent.append(recall)
            self._until, self._unsaved = datetime.now(UTC), True
        if promised is not None:
            self._judge(promised, tally)

    def watched(self) -> Watched:
        """Return the counts."""
        with self._lock:
            levels = [
                Level(promised=promised, overall=dict(tally.overall), recent=dict(Counter(tally.recent)))
                for promised, tally in self._tallies.items()
            ]
            return Watched(
                generation=self._generation,
                since=self._since,
                until=self._until,
                sampled=self.sampled,
                dropped=self.dropped,
                levels=levels,
            )

    @property
    def due(self) -> float | None:
        """Seconds until the file should be written; None if there is nothing new."""
        return max(0.0, self._saved_at + self._save_seconds - time.monotonic()) if self._unsaved else None

    def save(self) -> None:
        """Write the file; on failure, log it once and continue."""
        self._saved_at, self._unsaved = time.monotonic(), False
        try:
            write_watched(self.watched(), self._root, self._name)
        except OSError as error:
            if not self._logged:
                logger.warning("cannot save the estimates of live recall, which are kept in memory only: %s", error)
            self._logged = True

    def _judge(self, promised: float, tally: _Tally) -> None:
        held = fmean(tally.recent) >= promised
        if held and not tally.broken:
            return  # nearly always, without the cost of an interval
        facts = LevelFacts.of(promised, Counter(tally.recent), tally.overall)
        # Broken until the estimate itself is as promised; otherwise the state would flip with every query at the edge.
        broken = facts.alarm or (tally.broken and not held)
        if broken != tally.broken:
            tally.broken = broken
            level = logging.WARNING if broken else logging.INFO
            logger.log(level, "recall of %s, generation %s: %s", self._root, self._generation, facts.message)


class _Tally:
    """Recalls of the queries with the same promise."""

    def __init__(self, window: int) -> None:
        self.overall: Counter[float] = Counter()
        self.recent: deque[float] = deque(maxlen=window)
        self.broken = False
