"""Runs a batch of search requests as one search, and writes the response of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from indexer import Index, SearchOptions, SearchResult
from models import InvalidOptionError, Vectors
from service.engine.parsed_search import ParsedSearch
from service.schemas.images import decode_images
from service.schemas.search import SearchAnswer
from service.schemas.vectors import Vector
from service.settings import Settings
from service.telemetry.metrics import Metrics
from service.telemetry.traces import Traces

_T = TypeVar("_T")


class Searcher:
    """Answers requests of one :attr:`~service.engine.parsed_search.ParsedSearch.group` with a single search."""

    def __init__(self, index: Index, settings: Settings, metrics: Metrics, traces: Traces | None = None) -> None:
        self._index, self._settings, self._metrics, self._traces = index, settings, metrics, traces

    def __call__(self, searches: Sequence[ParsedSearch], cores: int) -> list[bytes]:
        """Return the response to each request, as JSON.

        Raises:
            InvalidOptionError: the index refuses one of the requests.
        """
        queries = [self._queries(search) for search in searches]
        result = self._search(searches[0].kind, queries, searches[0].options, cores)
        self._metrics.search(result.stages)
        if self._traces is not None:
            plan = result.plan
            attributes = {"structure": plan.structure, "dims": plan.dims, "candidates": plan.candidates, "k": plan.k}
            self._traces.search([search.context for search in searches], result.stages, attributes)
        answers, start = [], 0
        for search, own in zip(searches, queries, strict=True):
            part = replace(result, hits=result.hits[start : start + len(own)])
            start += len(own)
            # Serialised on this thread: a large answer would block the event loop.
            answers.append(SearchAnswer.from_result(part, search.request).model_dump_json().encode())
        return answers

    def _queries(self, search: ParsedSearch) -> Any:
        request = search.request
        if (images := one_or_many(request.image, request.images)) is not None:
            return decode_images(images, search.field, self._settings.max_image_pixels)
        if (vectors := one_or_many(request.vector, request.vectors)) is not None:
            return stack_vectors(vectors, self._index.dimension)
        texts = one_or_many(request.query, request.queries)
        assert texts is not None
        return texts

    def _search(self, kind: str, queries: Sequence[Any], options: SearchOptions, cores: int) -> SearchResult:
        if kind == "vectors":
            return self._index.search_vectors(np.concatenate(queries), options, threads=cores)
        together = [query for own in queries for query in own]
        search = self._index.search if kind == "texts" else self._index.search_images
        return search(together, options, threads=cores)


def one_or_many(item: _T | None, items: Sequence[_T] | None) -> Sequence[_T] | None:
    """Return ``[item]`` if there is an item, else ``items``."""
    return items if item is None else [item]


def stack_vectors(vectors: Sequence[Vector], dimension: int) -> Vectors:
    """Return query vectors as an array of shape (n, dimension).

    Raises:
        InvalidOptionError: a vector does not have the index's dimension.
    """
    wrong = next((len(vector) for vector in vectors if len(vector) != dimension), None)
    if wrong is not None:
        raise InvalidOptionError("vector", f"a vector of {wrong} numbers: the index has {dimension} dimensions")
    return np.stack(vectors)
