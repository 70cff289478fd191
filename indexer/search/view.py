"""A consistent snapshot of a generation and its updates, searched as one."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from functools import cached_property, partial

import numpy as np

from indexer.filters import Filter
from indexer.kernels.merging import merged, without
from indexer.kernels.rows import Rows
from indexer.kernels.rowset import RowSet
from indexer.plan import SCAN, Plan
from indexer.search.delta import DeltaView
from indexer.search.filter_cache import FilterCache, Selection
from indexer.search.generation import OpenedGeneration
from indexer.search.live_lexical import LiveLexical
from indexer.search.results import StageClock
from indexer.storage.documents import StoredDocument
from models.nesting import Vectors, truncate

_MOST_HIDDEN = 0.25
"""Share of hidden rows up to which they are searched and then dropped. Measured to be no slower than excluding
them in the structure, which needs a new bitmap of all rows after every delete."""
_SPARE = 16
"""Rows to search for beyond 2k, in case a few of those found are hidden."""


class View:
    """What a search sees: the generation and its updates up to some operation. Immutable.

    Rows 0 to N-1 are the generation's and rows from N on were added; the numbers of added rows are valid in this view
    only.
    """

    def __init__(
        self, opened: OpenedGeneration, delta: DeltaView, filters: FilterCache, lexical: LiveLexical | None
    ) -> None:
        self.opened, self.delta, self.lexical = opened, delta, lexical
        self._filters = filters

    def __len__(self) -> int:
        """Number of current documents."""
        return len(self.delta)

    def rank(
        self, queries: Vectors, plan: Plan, selection: Selection | None, clock: StageClock, threads: int
    ) -> tuple[Vectors, Rows]:
        """Find rows.

        Args:
            queries: shape (n, D).
            plan: how to search.
            selection: rows a filter allows, from :meth:`select`; all if None.
            clock: records the time of each stage.
            threads: threads to use for more than one query.

        Returns:
            scores, float32, and rows, int64, both of shape (n, k), best first, equal scores by row; padded with -inf
            and -1 only if fewer than k documents are allowed.
        """
        if selection is None:
            if self.delta.untouched:
                return self.opened.ranker.rank(queries, plan, None, clock, threads)
            selection = Selection(None, self.delta.rows)
        results = []
        if plan.k and self._in_base(selection):
            results.append(self._rank_base(queries, plan, selection.base, clock, threads))
        if plan.k and len(selection.added):
            results.append(self._rank_added(queries, plan, selection.added, clock, threads))
        if not results:
            return np.full((len(queries), plan.k), -np.inf, np.float32), np.full((len(queries), plan.k), -1)
        return results[0] if len(results) == 1 else merged(*results)

    def select(self, condition: Filter, clock: StageClock) -> Selection:
        """Return the rows that match a filter."""
        started = time.perf_counter()
        selection = self._filters.select(condition, self.delta)
        clock.add("filter", started, candidates_in=len(self), candidates_out=self.count(selection))
        return selection

    def count(self, selection: Selection) -> int:
        """Return the number of documents in a selection."""
        return self._in_base(selection) + len(selection.added)

    def cosines(self, query: Vectors, rows: Rows, dims: int) -> Vectors:
        """Score rows against one query.

        Args:
            query: shape (D,).
            rows: ascending, shape (n,).
            dims: prefix size to compare.
        """
        prefix, first = truncate(query[None], dims), self.delta.first
        added = np.searchsorted(rows, first)
        return np.concatenate(
            [
                self.opened.vectors.scores(prefix, rows[None, :added], dims)[0],
                self.delta.vectors.scores(prefix, rows[None, added:] - first, dims)[0],
            ]
        )

    def fetch(self, rows: Sequence[int]) -> list[StoredDocument]:
        """Return the documents of rows, in the order given."""
        first = self.delta.first
        base = iter(self.opened.documents.fetch([row for row in rows if row < first]))
        return [next(base) if row < first else self.delta.fetch(row) for row in rows]

    def from_base(self, ids: Sequence[str]) -> dict[str, StoredDocument]:
        """Return the documents among ``ids`` that are in the generation and not hidden."""
        rows = [row for row in self.opened.documents.row_of(ids).values() if not self.delta.hidden[row]]
        return {document.id: document for document in self.opened.documents.fetch(rows)}

    def ids(self) -> list[str]:
        """Return the ids of all rows, including hidden rows, so that positions are row numbers."""
        return self.opened.documents.ids() + self.delta.ids()

    def _in_base(self, selection: Selection) -> int:
        if selection.base is None:
            return self.delta.first - self.delta.hidden_count
        return len(selection.base)

    def _rank_base(
        self, queries: Vectors, plan: Plan, allowed: RowSet | None, clock: StageClock, threads: int
    ) -> tuple[Vectors, Rows]:
        rank = partial(self.opened.ranker.rank, clock=clock, threads=threads)
        rows, hidden = self.delta.first, self.delta.hidden_count
        if allowed is not None or not hidden:
            return rank(queries, plan, allowed)
        if hidden > _MOST_HIDDEN * rows:
            return rank(queries, plan, self._visible)
        scores, found = rank(queries, _widened(plan, rows, hidden), None)
        scores, found, counts = without(scores, found, self.delta.hidden, plan.k)
        short = counts < min(plan.k, rows - hidden)
        if short.any():
            # Hidden rows cluster if many similar documents were replaced.
            scores[short], found[short] = rank(queries[short], plan, self._visible)
        return scores, found

    def _rank_added(
        self, queries: Vectors, plan: Plan, rows: Rows, clock: StageClock, threads: int
    ) -> tuple[Vectors, Rows]:
        return clock.run(
            "updates",
            lambda: self.delta.nearest(queries, rows, plan.rerank_dims, plan.k, threads),
            dims=plan.rerank_dims,
            candidates_in=len(rows),
            candidates_out=plan.k,
            structure=SCAN,
        )

    @cached_property
    def _visible(self) -> RowSet:
        return self.delta.visible(None)


def _widened(plan: Plan, rows: int, hidden: int) -> Plan:
    """Oversample, so that k results remain after hidden rows are dropped."""
    k = min(rows, plan.k + min(hidden, plan.k + _SPARE))
    return plan.widened(k, min(rows, math.ceil(plan.candidates * rows / (rows - hidden))))
