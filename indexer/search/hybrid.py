"""Hybrid search: rank by vectors and by words, and fuse both lists."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from indexer.kernels.rows import Rows
from indexer.kernels.threads import split
from indexer.plan import HybridOptions, Plan
from indexer.search.filter_cache import Selection
from indexer.search.fusion import best_rows, fuse_ranks, fuse_scores
from indexer.search.results import StageClock
from indexer.search.view import View
from models.errors import InvalidOptionError
from models.nesting import Vectors


def check_lexical(view: View) -> None:
    """Require a lexical index.

    Raises:
        InvalidOptionError: the generation has none.
    """
    if view.lexical is None:
        raise InvalidOptionError(
            "hybrid",
            f"generation {view.opened.path.name} has no lexical index, which hybrid search needs: build it with "
            "mrl index build --lexical, or BuildOptions(lexical=LexicalOptions())",
        )


def rank_hybrid(
    view: View,
    texts: Sequence[str],
    queries: Vectors,
    plan: Plan,
    options: HybridOptions,
    selection: Selection | None,
    clock: StageClock,
    threads: int,
) -> tuple[Vectors, Rows]:
    """Find rows by vectors and by words.

    Args:
        view: what to search.
        texts, queries: the same queries as texts and as vectors of shape (n, D).
        plan: how to search by vectors; widened to the candidates of ``options``.
        options: how to fuse the two lists.
        selection: rows a filter allows; all if None.
        clock: records the time of each stage.
        threads: threads to use for more than one query.

    Returns:
        fused scores, float32, and rows, int64, as :meth:`View.rank`.

    Raises:
        InvalidOptionError: the index was built without a lexical index.
    """
    check_lexical(view)
    depth = min(len(view), max(plan.k, options.candidates))
    _, dense = view.rank(queries, plan.widened(depth, plan.candidates), selection, clock, threads)

    near = [line[line >= 0] for line in dense]

    started = time.perf_counter()
    found: list[_Words] = [_NO_WORDS] * len(texts)

    def step(start: int, stop: int) -> None:
        assert view.lexical is not None
        for i in range(start, stop):
            scores = view.lexical.scores(texts[i], view.delta, selection)
            rows = best_rows(scores, depth)
            candidates = np.union1d(near[i], rows)
            # The scores of all rows are not kept: for many queries they would not fit into memory.
            found[i] = _Words(rows, candidates, scores[candidates])

    split(len(texts), threads, step)
    allowed = len(view) if selection is None else view.count(selection)
    clock.add("lexical", started, candidates_in=allowed, candidates_out=depth, structure="bm25")

    started = time.perf_counter()
    best = np.full((len(texts), plan.k), -np.inf, np.float32)
    ranked = np.full((len(texts), plan.k), -1)
    for i, words in enumerate(found):
        if options.fusion == "rrf":
            fused = fuse_ranks(words.candidates, near[i], words.rows, options.weight)
        else:
            cosines = view.cosines(queries[i], words.candidates, plan.rerank_dims)
            fused = fuse_scores(cosines, words.scores, options.weight)
        order = np.argsort(-fused, kind="stable")[: plan.k]  # candidates ascend, so equal scores are ordered by row
        best[i, : len(order)], ranked[i, : len(order)] = fused[order], words.candidates[order]
    mean = round(sum(len(words.candidates) for words in found) / max(1, len(texts)))
    clock.add("fuse", started, candidates_in=mean, candidates_out=plan.k)
    return best, ranked


class _Words(NamedTuple):
    """Candidates of one query.

    Attributes:
        rows: those found by words, best first.
        candidates: the union with those found by vectors, ascending.
        scores: BM25 scores of ``candidates``.
    """

    rows: Rows
    candidates: Rows
    scores: Vectors


_NO_WORDS = _Words(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))
