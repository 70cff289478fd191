"""Asynchronous client."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable, Mapping
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import anyio
import httpx

from service.client import answers, calls
from service.client.bulk import Bulk
from service.client.calls import Call
from service.client.exchange import NOT_READY, Exchange, Retries, Target
from service.client.lists import check_list
from service.client.signatures import with_signature

_T = TypeVar("_T")
_P = ParamSpec("_P")


def _method(make: Callable[_P, Call[_T]]) -> Callable[Concatenate[AsyncClient, _P], Coroutine[Any, Any, _T]]:
    """Make a method that sends the call which ``make`` returns; its arguments and docstring are those of ``make``."""

    @functools.wraps(make)
    async def send(self: AsyncClient, /, *arguments: _P.args, **options: _P.kwargs) -> _T:
        return await self._send(make(*arguments, **options))

    return with_signature(send, make)


class AsyncClient:
    """Asynchronous client of a service, under asyncio or trio. Tasks of one event loop may share it.

    Usage::

        async with AsyncClient("http://localhost:8000", api_key=KEY) as client:
            answers = await asyncio.gather(*(client.search(text, k=1) for text in ("moon", "bread", "sun")))

    Arguments, methods and errors are those of :class:`service.client.Client`.
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
        """Create a client; the first call opens a connection. For the arguments see :class:`service.client.Client`."""
        self._target = Target(url, api_key, timeout, retries or Retries())
        self._http = http or httpx.AsyncClient()
        self._owns_http = http is None

    @property
    def url(self) -> str:
        """Address of the service."""
        return self._target.url

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        if self._owns_http:
            await self._http.aclose()

    search = _method(calls.search)
    search_many = _method(calls.search_many)
    embeddings = _method(calls.embeddings)
    classify = _method(calls.classify)
    upsert = _method(calls.upsert)
    get = _method(calls.get)
    delete = _method(calls.delete)
    delete_many = _method(calls.delete_many)
    index = _method(calls.index)
    reload = _method(calls.reload)
    rollback = _method(calls.rollback)
    compact = _method(calls.compact)

    async def upsert_many(
        self,
        rows: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]],
        *,
        timeout: float | None = None,
    ) -> answers.BulkAnswer:
        """Add or replace many documents, as :meth:`service.client.Client.upsert_many`.

        ``rows`` may also be an asynchronous iterable.
        """
        check_list(rows, "rows")
        bulk = Bulk()
        with bulk.noting_progress():
            async for row in _each(rows):
                if lines := bulk.add(row):
                    bulk.answered(lines, await self._send(calls.upsert_lines(lines, timeout=timeout)))
            if lines := bulk.rest():
                bulk.answered(lines, await self._send(calls.upsert_lines(lines, timeout=timeout)))
        return bulk.report

    async def ready(self, *, timeout: float = 1.0) -> bool:
        """Return whether searches can be answered now."""
        try:
            await self._send(calls.ready(timeout=timeout))
        except NOT_READY:
            return False
        return True

    async def _send(self, call: Call[_T]) -> _T:
        exchange = Exchange(self._target, call)
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
