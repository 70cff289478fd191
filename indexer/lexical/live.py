"""Lexical search in a generation and the updates since."""

from __future__ import annotations

import threading
from array import array
from collections import Counter

import numpy as np

from indexer.lexical.base import LexicalIndex
from indexer.search.delta import DeltaView
from indexer.search.filter_cache import Selection
from models.nesting import Vectors


class LiveLexical:
    """Scores documents by words. Any number of threads may ask.

    Added documents are scored by the generation's statistics: how rare a word is and how long a document is on the
    average are taken from there until a compaction counts anew, so that scores of old and new documents compare.
    """

    def __init__(self, base: LexicalIndex) -> None:
        self._base = base
        self._added = _Added(base)

    def scores(self, query: str, delta: DeltaView, selection: Selection | None) -> Vectors:
        """Score all documents for a query.

        Args:
            query: any text; what is in it besides words plays no part.
            delta: the updates.
            selection: what a filter leaves to be found; every document where None.

        Returns:
            BM25 by row, the generation's and then the added ones, float32; 0 where a document has none of the words,
            or cannot be found.
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
    """The words of added documents, taken down when they are first searched."""

    def __init__(self, base: LexicalIndex) -> None:
        self._base = base
        self._lock = threading.Lock()
        self._lengths = array("f")
        self._rows: dict[str, array[int]] = {}
        self._counts: dict[str, array[float]] = {}

    def scores(self, query: Counter[str], delta: DeltaView) -> Vectors:
        """Score all added rows of a state of the index, those that are gone among them."""
        scores = np.zeros(len(delta.vectors), np.float32)
        with self._lock:
            self._take(delta)
            lengths = np.array(self._lengths, np.float32)
            found = [
                (word, times, np.array(self._rows[word], np.int64), np.array(self._counts[word], np.float32))
                for word, times in query.items()
                if word in self._rows
            ]
        for word, times, rows, counts in found:
            end = np.searchsorted(rows, len(scores))  # a later state may have brought more
            rows, weights = rows[:end], self._base.weigh(counts[:end], lengths[rows[:end]])
            scores[rows] += times * self._base.inverse_frequency(word) * weights
        return scores

    def _take(self, delta: DeltaView) -> None:
        for row in range(len(self._lengths), len(delta.vectors)):
            words = self._base.words.of_payload(delta.fetch(delta.first + row).payload)
            for word, count in Counter(words).items():
                self._rows.setdefault(word, array("q")).append(row)
                self._counts.setdefault(word, array("f")).append(count)
            self._lengths.append(len(words))
