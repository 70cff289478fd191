"""What a search returns: the hits, and a record of each stage."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from indexer.plan import Plan

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a search.

    Attributes:
        name: ``encode``, ``filter``, ``shortlist``, ``rerank``, ``updates``, ``lexical``, ``fuse`` or ``documents``.
        milliseconds: wall time for all queries of the call together.
        dims: prefix size compared; None if it does not apply.
        candidates_in, candidates_out: rows per query before and after.
        structure: what found the candidates.
        read: mean candidates read per query under a stop rule.
        certified: share of the queries whose result provably equals that of reading every candidate.
        margin: k-th score minus the highest possible score of an unread candidate, the minimum over the queries; a
            positive margin is the proof. None if every candidate was read, or nothing bounds the unread.
        again: share of the queries that took the second look, if one was requested.
    """

    name: str
    milliseconds: float
    dims: int | None = None
    candidates_in: int | None = None
    candidates_out: int | None = None
    structure: str | None = None
    read: float | None = None
    certified: float | None = None
    margin: float | None = None
    again: float | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A document found, with its score: the cosine at Dr, or the fused score in hybrid search."""

    id: str
    score: float
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The result of a search.

    Attributes:
        hits: one list per query, by descending score; equal scores in corpus order.
        stages: the stages that ran, in order.
        plan: the plan followed; in hybrid search, that of the vectors' part.
        generation: name of the generation searched.
    """

    hits: list[list[Hit]]
    stages: list[Stage]
    plan: Plan
    generation: str


class StageClock:
    """Runs the stages of a search and records the time of each."""

    __slots__ = ("_recorded",)

    def __init__(self) -> None:
        self._recorded: list[tuple[str, float, dict[str, Any]]] = []

    @property
    def stages(self) -> list[Stage]:
        """The stages recorded so far. Built on access, which costs more than recording them."""
        return [Stage(name, milliseconds, **facts) for name, milliseconds, facts in self._recorded]

    def run(self, name: str, step: Callable[[], _T], **facts: Any) -> _T:
        """Run and time a stage; ``facts`` are the remaining attributes of its :class:`Stage`."""
        started = time.perf_counter()
        value = step()
        self._recorded.append((name, (time.perf_counter() - started) * 1e3, facts))
        return value

    def add(self, name: str, started: float, **facts: Any) -> None:
        """Record a stage that ends now and began at ``started``, by ``time.perf_counter()``."""
        self._recorded.append((name, (time.perf_counter() - started) * 1e3, facts))
