"""Cache of the rows that filters match, in a generation and in its updates."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import NamedTuple

import numpy as np

from indexer.filters import Filter
from indexer.kernels.rows import Rows
from indexer.kernels.rowset import RowSet
from indexer.search.delta import DeltaView
from indexer.storage.documents import Documents

_MOST_FILTERS = 1024
_ROWS_KEPT = 4
"""Filters stay cached while their rows total at most this many times the rows of the generation."""
_LEAST_ROWS_KEPT = 1 << 20


class Selection(NamedTuple):
    """The rows a filter matches.

    Attributes:
        base: rows of the generation; None if all match, in which case rows hidden by updates are still to be excluded.
        added: rows that updates added.
    """

    base: RowSet | None
    added: Rows


class FilterCache:
    """Finds the rows that match a filter. Thread-safe."""

    def __init__(self, documents: Documents, rows: int) -> None:
        self._documents, self._rows = documents, rows
        self._lock = threading.Lock()
        self._found: OrderedDict[Filter, _Found] = OrderedDict()

    def select(self, condition: Filter, delta: DeltaView) -> Selection:
        """Return the rows that match a filter in a given state of the index."""
        with self._lock:
            found = self._found.get(condition)
            if found is not None:
                self._found.move_to_end(condition)
        if found is None:
            # Without the lock, so that searches with other filters need not wait.
            found = _Found(condition, self._documents.matching(condition), self._rows)
            with self._lock:
                self._found[condition] = found
                self._drop()
        return found.in_state(delta)

    def _drop(self) -> None:
        most = max(_LEAST_ROWS_KEPT, _ROWS_KEPT * self._rows)
        size = sum(found.size for found in self._found.values())
        while len(self._found) > 1 and (size > most or len(self._found) > _MOST_FILTERS):
            size -= self._found.popitem(last=False)[1].size


class _Found:
    """Matches of one filter: computed once for the generation, and incrementally for the updates."""

    def __init__(self, condition: Filter, rows: Rows, universe: int) -> None:
        self._condition = condition
        self._base = None if len(rows) == universe else RowSet(rows, universe)
        self.size = 0 if self._base is None else len(rows)
        self._lock = threading.Lock()
        self._added: list[int] = []
        self._examined = 0
        self._latest: tuple[int, Selection] | None = None

    def in_state(self, delta: DeltaView) -> Selection:
        latest = self._latest
        if latest is not None and latest[0] == delta.version:
            return latest[1]
        with self._lock:
            for row in range(self._examined, len(delta.vectors)):
                document = delta.fetch(delta.first + row)
                if self._condition.matches(document.id, document.payload):
                    self._added.append(delta.first + row)
            self._examined = max(self._examined, len(delta.vectors))
            added = np.array(self._added, dtype=np.int64)
        base = None if self._base is None else delta.visible(self._base)
        selection = Selection(base, np.intersect1d(added, delta.rows, assume_unique=True))
        self._latest = delta.version, selection
        return selection
