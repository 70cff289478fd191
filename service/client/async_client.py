"""The client for code that awaits: each method is that of :class:`service.client.Client`, to be awaited."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, Unpack

import anyio
import httpx

from service.client import answers, calls
from service.client.bulk import Bulk
from service.client.calls import Call, SearchParameters, Vector
from service.client.errors import ClientError, NoConnectionError, OverloadedError
from service.client.exchange import Exchange, Retries, Target

if TYPE_CHECKING:
    import numpy.typing as npt

_T = TypeVar("_T")


class AsyncClient:
    """Calls a service, under asyncio or trio. Arguments and errors are those of :class:`service.client.Client`.

    Tasks of one event loop may share one.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout: float = 30.0,
        retries: Retries | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        """Connect to nothing yet."""
        self._target = Target(url, api_key, timeout, retries or Retries())
        self._http = http or httpx.AsyncClient()
        self._own = http is None

    @property
    def url(self) -> str:
        """Where the service is."""
        return self._target.url

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        if self._own:
            await self._http.aclose()

    async def search(
        self,
        query: str | None = None,
        *,
        vector: Vector | None = None,
        image: bytes | None = None,
        timeout: float | None = None,
        **parameters: Unpack[SearchParameters],
    ) -> answers.SearchAnswer:
        """Search by exactly one of a text, a vector and the bytes of an image file."""
        return await self._do(calls.search(query, vector, image, parameters), timeout)

    async def search_many(
        self,
        queries: Sequence[str] | None = None,
        *,
        vectors: Sequence[Vector] | npt.NDArray[Any] | None = None,
        images: Sequence[bytes] | None = None,
        timeout: float | None = None,
        **parameters: Unpack[SearchParameters],
    ) -> answers.BatchAnswer:
        """Search by several texts, vectors or images at once."""
        return await self._do(calls.search_many(queries, vectors, images, parameters), timeout)

    async def embeddings(
        self,
        texts: Sequence[str],
        *,
        dimensions: int | None = None,
        input_type: Literal["query", "document"] | None = None,
        timeout: float | None = None,
    ) -> answers.Embeddings:
        """Embed texts, as documents or as queries; ``dimensions`` cuts to a prefix and normalises it."""
        return await self._do(calls.embeddings(texts, dimensions, input_type), timeout)

    async def classify(
        self,
        texts: Sequence[str] | None = None,
        *,
        images: Sequence[bytes] | None = None,
        dims: int | None = None,
        accuracy: float | None = None,
        timeout: float | None = None,
    ) -> answers.Classification:
        """Label texts, or the bytes of image files: each by the shortest sure prefix, or all at one size."""
        return await self._do(calls.classify(texts, images, dims, accuracy), timeout)

    async def upsert(
        self, identifier: str, row: Mapping[str, Any], *, timeout: float | None = None
    ) -> answers.Upserted:
        """Add a document, or replace the one of this id."""
        return await self._do(calls.upsert(identifier, row), timeout)

    async def upsert_many(
        self,
        rows: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]],
        *,
        timeout: float | None = None,
    ) -> answers.BulkAnswer:
        """Add or replace many documents; the rows may come from an asynchronous iterable too."""
        bulk = Bulk()

        async def send(lines: bytes | None) -> None:
            if lines is not None:
                bulk.answered(lines, await self._do(calls.upsert_lines(lines), timeout))

        try:
            async for row in _each(rows):
                await send(bulk.add(row))
            await send(bulk.rest())
        except ClientError as error:
            bulk.interrupted(error)
            raise
        return bulk.report

    async def get(self, identifier: str, *, timeout: float | None = None) -> answers.Document:
        """Read a document."""
        return await self._do(calls.get(identifier), timeout)

    async def delete(self, identifier: str, *, timeout: float | None = None) -> None:
        """Delete a document."""
        await self._do(calls.delete(identifier), timeout)

    async def delete_many(self, identifiers: Sequence[str], *, timeout: float | None = None) -> answers.Deleted:
        """Delete several documents; ids that are not there are counted and passed over."""
        return await self._do(calls.delete_many(identifiers), timeout)

    async def index(self, *, timeout: float | None = None) -> answers.IndexFacts:
        """Ask what is served."""
        return await self._do(calls.index(), timeout)

    async def reload(self, *, timeout: float | None = None) -> answers.Reloaded:
        """Go over to the generation published now."""
        return await self._do(calls.reload(), timeout)

    async def rollback(self, to: str | None = None, *, timeout: float | None = None) -> answers.RolledBack:
        """Go back to the generation before, or to one by name."""
        return await self._do(calls.rollback(to), timeout)

    async def compact(self, *, timeout: float | None = None) -> answers.Compaction:
        """Have the updates folded into a new generation, in the background; :meth:`index` tells how it goes."""
        return await self._do(calls.compact(), timeout)

    async def ready(self, *, timeout: float = 1.0) -> bool:
        """Ask whether searches can be answered now."""
        try:
            await self._do(calls.ready(), timeout)
        except (NoConnectionError, OverloadedError, TimeoutError):
            return False
        return True

    async def _do(self, call: Call[_T], timeout: float | None) -> _T:
        exchange = Exchange(self._target, call, timeout)
        while True:
            try:
                response = await self._http.send(exchange.request(self._http))
            except httpx.RequestError as failure:
                exchange.failed(failure)
            else:
                if exchange.answered(response):
                    return exchange.result(response)
            await anyio.sleep(exchange.pause)


async def _each(
    rows: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]],
) -> AsyncIterator[Mapping[str, Any]]:
    if isinstance(rows, AsyncIterable):
        async for row in rows:
            yield row
    else:
        for row in rows:
            yield row
