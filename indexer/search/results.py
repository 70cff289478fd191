"""What a search gives back: the documents found, and what was done to find them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from indexer.plan import Plan

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a search.

    Attributes:
        name: ``encode``, ``filter``, ``shortlist``, ``rerank``, ``updates``, ``lexical``, ``fuse`` or ``documents``.
        milliseconds: for all queries of the call together.
        dims: size looked at; None where it does not apply.
        candidates_in, candidates_out: rows a query before and after.
        structure: what found them.
        read: candidates read a query, the mean, where a stop rule left some out.
        certified: share of the queries whose answer is proved to be that of reading all of them.
        margin: the k-th score less the highest that a candidate left unread could have, the least over the queries; a
            positive one is the proof. None where all were read, or where there is no bound.
        again: share of the queries that the structure was searched for a second time, where a second look is asked for.
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
    """A result: the document and its score, the cosine at Dr; in hybrid search the fused score."""

    id: str
    score: float
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search found.

    Attributes:
        hits: one list a query, by falling score, equal scores in the order of the corpus.
        stages: what was done, in order.
        plan: the options with every default filled in; in hybrid search those of the vectors' part.
        generation: name of the generation searched.
    """

    hits: list[list[Hit]]
    stages: list[Stage]
    plan: Plan
    generation: str


class StageClock:
    """Runs the steps of a search and takes down how long each took."""

    __slots__ = ("_taken",)

    def __init__(self) -> None:
        self._taken: list[tuple[str, float, dict[str, Any]]] = []

    @property
    def stages(self) -> list[Stage]:
        """What was taken down, in order. Made when asked for, which takes longer than the taking down."""
        return [Stage(name, milliseconds, **facts) for name, milliseconds, facts in self._taken]

    def run(self, name: str, step: Callable[[], _T], **facts: Any) -> _T:
        """Run a step; ``facts`` are the other attributes of its :class:`Stage`."""
        started = time.perf_counter()
        value = step()
        self._taken.append((name, (time.perf_counter() - started) * 1e3, facts))
        return value

    def add(self, name: str, started: float, **facts: Any) -> None:
        """Take down a step that began at ``started``, by ``time.perf_counter()``, and has ended now."""
        self._taken.append((name, (time.perf_counter() - started) * 1e3, facts))
