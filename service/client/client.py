"""Synchronous client."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx

from service.client import answers, calls
from service.client.bulk import Bulk
from service.client.calls import Call
from service.client.exchange import NOT_READY, Exchange, Retries, Target
from service.client.lists import check_list
from service.client.signatures import with_signature

_T = TypeVar("_T")
_P = ParamSpec("_P")


def _method(make: Callable[_P, Call[_T]]) -> Callable[Concatenate[Client, _P], _T]:
    """Make a method that sends the call which ``make`` returns; its arguments and docstring are those of ``make``."""

    @functools.wraps(make)
    def send(self: Client, /, *arguments: _P.args, **options: _P.kwargs) -> _T:
        return self._send(make(*arguments, **options))

    return with_signature(send, make)


class Client:
    """Synchronous client of a service. Threads may share it; close it, or use it as a context manager.

    Usage::

        with Client("http://localhost:8000", api_key=KEY) as client:
            answer = client.search("why does the ocean rise and fall", k=2, recall=0.95)
            for hit in answer.results:
                print(hit.id, hit.score, hit.payload["title"])
            client.upsert("4", {"title": "Tides", "text": "The tide rises twice a day."})

    Every method takes ``timeout``: seconds for the call with all its attempts. The service receives what is left of it
    and stops then too. Every method raises :class:`service.client.ClientError`.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout: float = 30.0,
        retries: Retries | None = None,
        http: httpx.Client | None = None,
    ) -> None:
        """Create a client; the first call opens a connection.

        Args:
            url: address of the service, such as ``http://localhost:8000``.
            api_key: sent as bearer token, if the service needs one.
            timeout: seconds for a call that gives no timeout of its own.
            retries: when a call is retried; four attempts if None.
            http: transport, for certificates, proxies and pools of your own. It stays open when the client is closed.

        Raises:
            ValueError: the URL is not an HTTP URL, or the timeout is not positive.
        """
        self._target = Target(url, api_key, timeout, retries or Retries())
        self._http = http or httpx.Client()
        self._owns_http = http is None

    @property
    def url(self) -> str:
        """Address of the service."""
        return self._target.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        if self._owns_http:
            self._http.close()

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

    def upsert_many(self, rows: Iterable[Mapping[str, Any]], *, timeout: float | None = None) -> answers.BulkAnswer:
        """Add or replace many documents. Rows are sent as the iterable yields them and never all held in memory.

        Args:
            rows: as in :meth:`upsert`, each with its id as ``_id``.
            timeout: of each request.

        Returns:
            The outcome of each row. A row that the service rejects does not stop the rest.

        Raises:
            ClientError: a request failed; a note on the error says how many rows were answered.
        """
        check_list(rows, "rows")
        bulk = Bulk()
        with bulk.noting_progress():
            for row in rows:
                if lines := bulk.add(row):
                    bulk.answered(lines, self._send(calls.upsert_lines(lines, timeout=timeout)))
            if lines := bulk.rest():
                bulk.answered(lines, self._send(calls.upsert_lines(lines, timeout=timeout)))
        return bulk.report

    def ready(self, *, timeout: float = 1.0) -> bool:
        """Return whether searches can be answered now."""
        try:
            self._send(calls.ready(timeout=timeout))
        except NOT_READY:
            return False
        return True

    def _send(self, call: Call[_T]) -> _T:
        exchange = Exchange(self._target, call)
        while True:
            try:
                response = self._http.send(exchange.request(self._http))
            except httpx.RequestError as failure:
                exchange.failed(failure)
            else:
                if exchange.answered(response):
                    return exchange.result(response)
            time.sleep(exchange.pause)
