"""Lexical search over a generation and the updates since."""

from __future__ import annotations

import threading
from array import array
from collections import Counter

import numpy as np

from indexer.lexical import LexicalIndex
from indexer.search.delta import DeltaView
from indexer.search.filter_cache import Selection
from models.nesting import Vectors


class LiveLexical:
    """Scores documents by words. Any number of threads may search.

    Added documents are scored with the generation's document frequencies and mean length, until a compaction updates
    them, so that scores of old and new documents are comparable.
    """

    def __init__(self, base: LexicalIndex) -> None:
        self._base = base
        self._added = _Added(base)

    def scores(self, query: str, delta: DeltaView, selection: Selection | None) -> Vectors:
        """Score all documents for a query.

        Args:
            query: any text; everything except its words is ignored.
            delta: the updates.
            selection: the rows that match a filter; all documents if None.

        Returns:
            BM25 scores, float32, shape (N + A,): the generation's N rows, then the A added rows, including rows removed
            since; 0 for documents that have none of the words, are not selected or no longer exist.
        """
        words = Counter(self._base.words.of_text(query))
        scores = np.zeros(delta.first + len(delta.vectors), np.float32)
        self._base.add_scores(words, scores)
        if selection is not None and selection.base is not None:
            allowed = selection.base.rows
            kept = scores[allowed]
            scores[: delta.first] = 0
            scores[allowed] = kept
        elif delta.hidden_count:
            scores[: delta.first][delta.hidden] = 0
        rows = delta.rows if selection is None else selection.added
        if len(rows):
            scores[rows] = self._added.scores(words, delta)[rows - delta.first]
        return scores


class _Added:
    """The words of added documents, counted at the first search after the addition."""

    def __init__(self, base: LexicalIndex) -> None:
        self._base = base
        self._lock = threading.Lock()
        self._lengths = array("f")
        self._rows: dict[str, array[int]] = {}
        self._counts: dict[str, array[float]] = {}

    def scores(self, query: Counter[str], delta: DeltaView) -> Vectors:
        """Score all added rows of a state of the index, including deleted ones."""
        scores = np.zeros(len(delta.vectors), np.float32)
        with self._lock:
            self._count(delta)
            lengths = np.array(self._lengths, np.float32)
            found = [
                (word, times, np.array(self._rows[word], np.int64), np.array(self._counts[word], np.float32))
                for word, times in query.items()
                if word in self._rows
            ]
        for word, times, rows, counts in found:
            end = np.searchsorted(rows, len(scores))  # a later state may have added more
            rows, weights = rows[:end], self._base.weigh(counts[:end], lengths[rows[:end]])
            scores[rows] += times * self._base.inverse_frequency(word) * weights
        return scores

    def _count(self, delta: DeltaView) -> None:
        for row in range(len(self._lengths), len(delta.vectors)):
            words = self._base.words.of_payload(delta.fetch(delta.first + row).payload)
            for word, count in Counter(words).items():
                self._rows.setdefault(word, array("q")).append(row)
                self._counts.setdefault(word, array("f")).append(count)
            self._lengths.append(len(words))
