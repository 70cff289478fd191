"""From a search request to its answer: checked, searched together with others like it, written as JSON."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from indexer import Index, SearchOptions, SearchResult
from models.errors import InvalidOptionError
from models.nesting import Vectors
from service.schemas.images import decode_images
from service.schemas.search import SearchAnswer, SearchRequest
from service.schemas.vectors import Vector
from service.settings import Settings
from service.telemetry.metrics import Metrics
from service.telemetry.traces import Traces

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that has been checked, and its options for the index."""

    request: SearchRequest
    options: SearchOptions
    kind: str
    context: Any = None
    """Where spans of the request belong, where they are written."""

    @classmethod
    def of(cls, request: SearchRequest, settings: Settings, context: Any = None) -> Asked:
        """Check a request.

        Raises:
            InvalidOptionError: it goes beyond a limit of the settings, or cannot be followed.
        """
        check_limits(request, settings)
        options, _ = request.options, request.included
        kind = next(name for name in _KINDS if getattr(request, name) is not None)
        return cls(request, options, kind, context)

    @property
    def group(self) -> Hashable | None:
        """Equal for requests that can be searched together; None where this one is to be searched alone."""
        if self.request.explain:
            return None  # its stages are to tell its own times
        group = (_KINDS[self.kind], self.options)
        try:
            hash(group)
        except TypeError:
            return None
        return group


_KINDS = {
    "query": "texts",
    "queries": "texts",
    "vector": "vectors",
    "vectors": "vectors",
    "image": "images",
    "images": "images",
}


class Searcher:
    """Answers requests of one group by one search."""

    def __init__(self, index: Index, settings: Settings, metrics: Metrics, traces: Traces | None = None) -> None:
        self._index, self._settings, self._metrics, self._traces = index, settings, metrics, traces

    def __call__(self, asked: Sequence[Asked], cores: int) -> list[bytes]:
        """Return the answer to each request, as JSON.

        Raises:
            InvalidOptionError: one of them cannot be followed.
        """
        queries = [self._queries(one) for one in asked]
        found = self._search(_KINDS[asked[0].kind], queries, asked[0].options, cores)
        self._metrics.search(found.stages)
        if self._traces is not None:
            plan = found.plan
            facts = {"structure": plan.structure, "dims": plan.dims, "candidates": plan.candidates, "k": plan.k}
            self._traces.search([one.context for one in asked], found.stages, facts)
        answers, start = [], 0
        for one, own in zip(asked, queries, strict=True):
            part = replace(found, hits=found.hits[start : start + len(own)])
            start += len(own)
            # Written as JSON on this thread: a large answer would hold up the event loop.
            answers.append(SearchAnswer.of(part, one.request).model_dump_json().encode())
        return answers

    def _queries(self, asked: Asked) -> Any:
        request = asked.request
        if (images := one_or_many(request.image, request.images)) is not None:
            return decode_images(images, asked.kind, self._settings.max_image_pixels)
        if (vectors := one_or_many(request.vector, request.vectors)) is not None:
            return stacked(vectors, self._index.dimension)
        texts = one_or_many(request.query, request.queries)
        assert texts is not None
        return texts

    def _search(self, kind: str, queries: Sequence[Any], options: SearchOptions, cores: int) -> SearchResult:
        if kind == "vectors":
            return self._index.search_vectors(np.concatenate(queries), options, threads=cores)
        together = [one for own in queries for one in own]
        search = self._index.search if kind == "texts" else self._index.search_images
        return search(together, options, threads=cores)


def one_or_many(one: _T | None, many: Sequence[_T] | None) -> Sequence[_T] | None:
    """Return a list of one, or the list that was given in its place."""
    return many if one is None else [one]


def check_limits(request: SearchRequest, settings: Settings) -> None:
    """Refuse what would take too long.

    Raises:
        InvalidOptionError: a limit of the settings is passed; the message names it.
    """
    hybrid, look = request.hybrid, request.second_look
    for name, what, value, most in (
        ("k", "k", request.k, settings.max_k),
        ("offset", "k + offset", request.k + request.offset, settings.max_k),
        ("candidates", "candidates", request.candidates, settings.max_candidates),
        ("effort", "effort", request.effort, settings.max_effort),
        ("second_look", "effort of the second look", None if look is None else look.effort, settings.max_effort),
        ("hybrid", "hybrid candidates", None if hybrid is None else hybrid.candidates, settings.max_candidates),
    ):
        if value is not None and value > most:
            raise InvalidOptionError(name, f"{what} {value}: this service allows at most {most}")
    for name, many, most in (
        ("queries", request.queries, settings.max_queries),
        ("vectors", request.vectors, settings.max_queries),
        ("images", request.images, settings.max_images),
    ):
        if many is not None and not 1 <= len(many) <= most:
            raise InvalidOptionError(name, f"{len(many)} {name}: this service allows 1 to {most}")
    for name, texts in (("query", [request.query or ""]), ("queries", request.queries or [])):
        longest = max(map(len, texts), default=0)
        if longest > settings.max_query_characters:
            raise InvalidOptionError(
                name, f"a {name} of {longest} characters: this service allows {settings.max_query_characters}"
            )


def stacked(vectors: Sequence[Vector], dimension: int) -> Vectors:
    """Return query vectors as rows.

    Raises:
        InvalidOptionError: one has another size than the index.
    """
    wrong = next((len(vector) for vector in vectors if len(vector) != dimension), None)
    if wrong is not None:
        raise InvalidOptionError("vector", f"a vector of {wrong} numbers: the index has {dimension} dimensions")
    return np.stack(vectors)
