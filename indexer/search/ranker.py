"""From query vectors to rows: shortlist, funnel of reranks, and the choice of structure or scan under a filter."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from functools import partial
from typing import Any

from indexer.kernels.rows import Rows
from indexer.kernels.rowset import RowSet
from indexer.plan import SCAN, Plan
from indexer.search.distinct import DistinctRows
from indexer.search.results import StageClock
from indexer.search.second_look import look_again
from indexer.search.stopping import PrefixNorms, Stopped, rank_stopping
from indexer.shortlist.base import Candidates, Shortlist
from indexer.storage.vectors import StoredVectors
from models.errors import InvalidOptionError
from models.nesting import Vectors, truncate

_VISITS_PER_SCORE = 16
"""Measured: one step of a structure's effort, with all the neighbours it visits, costs as much as scoring 16 rows."""


class Ranker:
    """Searches the rows of one generation."""

    def __init__(
        self,
        vectors: StoredVectors,
        shortlist: Shortlist[Any],
        distinct: DistinctRows,
        norms: PrefixNorms | None = None,
    ) -> None:
        """Use a generation's parts.

        Args:
            vectors: the N full vectors.
            shortlist: the structure over the distinct vectors.
            distinct: maps those to rows.
            norms: needed by certified stop rules only.
        """
        self.vectors, self.shortlist, self.distinct, self._norms = vectors, shortlist, distinct, norms

    def rank(
        self, queries: Vectors, plan: Plan, allowed: RowSet | None, clock: StageClock, threads: int = 1
    ) -> tuple[Vectors, Rows]:
        """Find rows.

        Args:
            queries: shape (n, D).
            plan: how to search.
            allowed: rows that may be found; all if None.
            clock: records the time of each stage.
            threads: threads to use for more than one query.

        Returns:
            scores, float32, and rows, int64, both of shape (n, k), best first, equal scores by row; padded with -inf
            and -1 only if fewer than k rows are allowed.

        Raises:
            InvalidOptionError: the plan has a certified stop rule, and the structure estimates its scores, there are no
                prefix norms, or the first rerank does not use all D dimensions; or a prefix size or the effort is out
                of range.
        """
        if allowed is not None:
            plan = self._under_filter(plan, len(allowed))
        if plan.stop and plan.stop.gap is None and plan.structure != SCAN and not self.shortlist.exact_scores:
            raise InvalidOptionError(
                "stop",
                f"a certified stop needs exact shortlist scores, and {plan.structure!r} estimates them: use a gap, or "
                "build flat, hnsw with storage=fp32 or symqg with bits=0",
            )
        if plan.structure == SCAN:
            return self._scan(queries, plan, allowed, clock, threads)
        scores, rows = self._by_structure(queries, plan, allowed, clock, threads)
        # A graph may not reach every row, or only rows a filter excludes; k results are promised if k exist.
        last = rows[:, min(plan.k, len(self.vectors) if allowed is None else len(allowed)) - 1]
        if min(last.tolist(), default=0) < 0:
            starved = last < 0
            exact = _single(plan)
            scores[starved], rows[starved] = self._scan(queries[starved], exact, allowed, clock, threads)
        return scores, rows

    def _by_structure(
        self, queries: Vectors, plan: Plan, allowed: RowSet | None, clock: StageClock, threads: int
    ) -> tuple[Vectors, Rows]:
        started = time.perf_counter()
        coarse = truncate(queries, plan.dims)
        found, again = self._looks(coarse, plan, allowed, threads)
        facts: dict[str, Any] = {} if plan.second_look is None else {"again": again / max(1, len(queries))}
        clock.add(
            "shortlist",
            started,
            dims=plan.dims,
            candidates_in=len(self.vectors) if allowed is None else len(allowed),
            candidates_out=plan.candidates,
            structure=plan.structure,
            **facts,
        )
        scores, rows = self.rerank(queries, found, plan, clock, threads, coarse)
        return self.distinct.expand(scores, rows, allowed)

    def candidates(self, queries: Vectors, plan: Plan, allowed: RowSet | None, threads: int = 1) -> Candidates:
        """Return the structure's shortlist; arguments as :meth:`rank`.

        Returns:
            scores and rows of shape (n, K), nearest first, padded with -inf and -1; each row is the first allowed row
            of a distinct vector. If the structure cannot filter, K is raised to make up for the excluded rows, whose
            places hold -1.
        """
        return self._looks(truncate(queries, plan.dims), plan, allowed, threads)[0]

    def _looks(self, coarse: Vectors, plan: Plan, allowed: RowSet | None, threads: int) -> tuple[Candidates, int]:
        """Return the candidates of unit prefixes, and the number of queries that took a second look."""
        count, look = plan.candidates, plan.second_look
        found = self._look(coarse, count, plan.effort, allowed, threads)
        if look is None:
            return found, 0
        found, again = look_again(
            found, found.scores[:, 0], look, lambda hard: self._look(coarse[hard], count, look.effort, allowed, threads)
        )
        return found, len(again)

    def _look(
        self, coarse: Vectors, count: int, effort: int | None, allowed: RowSet | None, threads: int
    ) -> Candidates:
        numbers = None if allowed is None else self.distinct.numbers_of(allowed)
        if numbers is not None and not self.shortlist.filters:
            # The structure cannot filter: oversample, and drop excluded rows afterwards.
            share = len(numbers) / len(self.distinct)
            count = min(len(self.distinct), math.ceil(count / share))
            effort = math.ceil(effort / share) if effort else None
            numbers = None
        bitmap = None if numbers is None else numbers.bitmap
        found = self.shortlist.search(coarse, count, effort, bitmap, threads)
        return Candidates(found.scores, self.distinct.rows_of(found.rows, allowed))

    def _scan(
        self, queries: Vectors, plan: Plan, allowed: RowSet | None, clock: StageClock, threads: int
    ) -> tuple[Vectors, Rows]:
        keep = plan.k if plan.single else plan.candidates

        def search() -> tuple[Vectors, Rows]:
            coarse = truncate(queries, plan.dims)
            if allowed is None:
                return self.vectors.nearest(coarse, plan.dims, keep, threads)
            return self.vectors.rank(coarse, allowed.rows[None], plan.dims, keep, threads)

        scores, rows = clock.run(
            "shortlist",
            search,
            dims=plan.dims,
            candidates_in=len(self.vectors) if allowed is None else len(allowed),
            candidates_out=keep,
            structure=SCAN,
        )
        return (scores, rows) if plan.single else self.rerank(queries, Candidates(scores, rows), plan, clock, threads)

    def rerank(
        self,
        queries: Vectors,
        found: Candidates,
        plan: Plan,
        clock: StageClock,
        threads: int = 1,
        coarse: Vectors | None = None,
    ) -> tuple[Vectors, Rows]:
        """Rerank a shortlist by the stages of a plan, without expanding duplicates; see :meth:`rank`.

        ``coarse`` are the queries truncated to the plan's Ds, if the caller has them.
        """
        scores, rows = found
        for number, stage in enumerate(plan.stages):
            facts: dict[str, Any] = {"dims": stage.dims, "candidates_in": rows.shape[1], "candidates_out": stage.keep}
            prefixes = coarse if coarse is not None and stage.dims == plan.dims else truncate(queries, stage.dims)
            if plan.stop is None or number:
                rerank = partial(self.vectors.rank, prefixes, rows, stage.dims, stage.keep, threads)
                scores, rows = clock.run("rerank", rerank, **facts)
                continue
            norms = self._norms if plan.stop.gap is None else None
            started = time.perf_counter()
            stopped = rank_stopping(
                self.vectors, prefixes, rows, scores, stage.dims, stage.keep, plan.stop, norms, threads
            )
            clock.add("rerank", started, **facts, **_read(stopped))
            scores, rows = stopped.scores, stopped.rows
        return scores, rows

    def _under_filter(self, plan: Plan, count: int) -> Plan:
        """Scan if few rows are allowed: a structure would visit many excluded rows to find them."""
        if plan.structure == SCAN:
            return plan
        # Under a filter the nearest rows are farther away, so that most queries take the second look.
        effort = max(plan.effort or 0, plan.candidates, plan.second_look.effort if plan.second_look else 0)
        if count <= plan.candidates or count * count <= _VISITS_PER_SCORE * effort * len(self.vectors):
            return _single(plan)
        return plan


def _read(stopped: Stopped) -> dict[str, float | None]:
    # A single query avoids NumPy's reductions, which take longer than the rerank.
    if len(stopped.read) == 1:
        read, certified, margin = float(stopped.read[0]), float(stopped.margin[0] > 0), float(stopped.margin[0])
    else:
        read, certified = float(stopped.read.mean()), float(stopped.certified.mean())
        margin = float(stopped.margin.min(initial=math.inf))
    return {"read": read, "certified": certified, "margin": margin if math.isfinite(margin) else None}


def _single(plan: Plan) -> Plan:
    stages = plan.stages[-1:]
    return replace(plan, structure=SCAN, dims=plan.rerank_dims, stages=stages, stop=None, second_look=None)
