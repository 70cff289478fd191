"""What a retriever searches: a service, by its URL or a client of it, or an opened index."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias, cast

import numpy as np

from indexer import Index
from service.client import AsyncClient, Client
from service.schemas.search import HitOut, SearchAnswer, SearchRequest

Source: TypeAlias = str | Client | AsyncClient | Index


class Found(Protocol):
    """A document found, wherever it comes from."""

    @property
    def id(self) -> str:
        """The document's id."""
        ...

    @property
    def score(self) -> float:
        """How near it is."""
        ...

    @property
    def payload(self) -> dict[str, Any]:
        """Its fields."""
        ...


class Searcher:
    """Searches a source. Options have the same names and checks whether it is a service or an index.

    An :class:`AsyncClient` can be awaited only. All else can do both: what is awaited runs on a thread.
    """

    def __init__(self, source: Source, api_key: str | None = None) -> None:
        if not isinstance(source, Source):
            raise TypeError(f"source {source!r:.80}: give a URL, a Client, an AsyncClient or an opened Index")
        self.source = Client(source, api_key=api_key) if isinstance(source, str) else source

    def search(self, query: str | Sequence[float], options: Mapping[str, Any]) -> Sequence[Found]:
        """Find the documents nearest to a text or a vector, best first.

        Raises:
            ClientError: the service cannot be asked, or refuses.
            InvalidOptionError, ValueError: the index refuses.
        """
        if isinstance(self.source, AsyncClient):
            raise TypeError("an AsyncClient can only be awaited: use the retriever's asynchronous method, or a Client")
        request = {**_what(query), **options}
        if isinstance(self.source, Client):
            return self.source.search(**request).results
        return _search_index(self.source, SearchRequest(**request))

    async def search_async(self, query: str | Sequence[float], options: Mapping[str, Any]) -> Sequence[Found]:
        """Do as :meth:`search`, awaited."""
        if isinstance(self.source, AsyncClient):
            return (await self.source.search(**{**_what(query), **options})).results
        return await asyncio.to_thread(self.search, query, options)


def text_of(hit: Found, text_field: str) -> str:
    """Return the field that is the document's text; empty where it has none, as images have not."""
    return str(hit.payload.get(text_field, ""))


def metadata_of(hit: Found, text_field: str) -> dict[str, Any]:
    """Return the other fields."""
    return {name: value for name, value in hit.payload.items() if name != text_field}


def _what(query: str | Sequence[float]) -> dict[str, Any]:
    return {"query": query} if isinstance(query, str) else {"vector": query}


def _search_index(index: Index, request: SearchRequest) -> Sequence[Found]:
    if request.vector is not None:
        found = index.search_vectors(np.array([request.vector]), request.options)
    else:
        found = index.search([request.query or ""], request.options)
    return cast("list[HitOut]", SearchAnswer.of(found, request).results)  # one list, for one query
