"""What the retrievers have in common: the source they search, and the parts of a result."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeAlias, cast

import numpy as np

from indexer import Index
from models.errors import OptionalDependencyError
from service.client import AsyncClient, Client
from service.schemas.search import HitOut, SearchAnswer, SearchRequest

Source: TypeAlias = str | Client | AsyncClient | Index
"""The URL of a service, a client of it, or an opened index."""


class Found(Protocol):
    """A document of the result list, of a service or of an index."""

    @property
    def id(self) -> str:
        """Id of the document."""
        ...

    @property
    def score(self) -> float:
        """Similarity to the query."""
        ...

    @property
    def payload(self) -> dict[str, Any]:
        """Fields of the document."""
        ...


class Searcher:
    """Searches a source. Options have the same names and checks for a service and for an index.

    An :class:`AsyncClient` supports :meth:`search_async` only. Any other source supports both methods:
    :meth:`search_async` runs on a thread.
    """

    def __init__(self, source: Source, api_key: str | None = None) -> None:
        """Use a source.

        Args:
            source: what to search.
            api_key: sent as bearer token if ``source`` is a URL; ignored otherwise.

        Raises:
            TypeError: ``source`` is not of a type in :data:`Source`.
            ValueError: ``source`` is a str, but not an HTTP URL.
        """
        if not isinstance(source, Source):
            raise TypeError(f"source {source!r:.80}: give a URL, a Client, an AsyncClient or an opened Index")
        self.source = Client(source, api_key=api_key) if isinstance(source, str) else source

    def search(self, query: str | Sequence[float], options: Mapping[str, Any]) -> Sequence[Found]:
        """Return the documents nearest to a text or a vector, best first.

        Raises:
            ClientError: the service cannot be reached, or rejects the request.
            InvalidOptionError, ValueError: the index rejects an option.
            TypeError: the source is an :class:`AsyncClient`.
        """
        if isinstance(self.source, AsyncClient):
            raise TypeError(
                "an AsyncClient cannot search synchronously: call the retriever's asynchronous method, or give a Client"
            )
        request = {**_query(query), **options}
        if isinstance(self.source, Client):
            return self.source.search(**request).results
        return _search_index(self.source, SearchRequest(**request))

    async def search_async(self, query: str | Sequence[float], options: Mapping[str, Any]) -> Sequence[Found]:
        """Search as :meth:`search` does, without blocking the event loop."""
        if isinstance(self.source, AsyncClient):
            return (await self.source.search(**{**_query(query), **options})).results
        return await asyncio.to_thread(self.search, query, options)


def text_of(hit: Found, text_field: str) -> str:
    """Return the field with the document's text; empty if it has none, like an image."""
    return str(hit.payload.get(text_field, ""))


def metadata_of(hit: Found, text_field: str) -> dict[str, Any]:
    """Return all fields but the text."""
    return {name: value for name, value in hit.payload.items() if name != text_field}


@contextmanager
def importing(module: str, *, package: str, extra: str) -> Iterator[None]:
    """Translate the failure to import an optional library into an error that says how to install it.

    Raises:
        OptionalDependencyError: ``module`` is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module:
            raise
        install = f"pip install 'adaptive-retrieval[{extra}]'"
        raise OptionalDependencyError(package, f"service.integrations.{extra.replace('-', '_')}", install) from None


def _query(query: str | Sequence[float]) -> dict[str, Any]:
    return {"query": query} if isinstance(query, str) else {"vector": query}


def _search_index(index: Index, request: SearchRequest) -> Sequence[Found]:
    if request.vector is not None:
        found = index.search_vectors(np.array([request.vector]), request.options)
    else:
        found = index.search([request.query or ""], request.options)
    return cast("list[HitOut]", SearchAnswer.from_result(found, request).results)  # a single list, for a single query
