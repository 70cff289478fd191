"""The client for code that waits."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, Unpack

import httpx

from service.client import answers, calls
from service.client.bulk import Bulk
from service.client.calls import Call, SearchParameters, Vector
from service.client.errors import ClientError, NoConnectionError, OverloadedError
from service.client.exchange import Exchange, Retries, Target

if TYPE_CHECKING:
    import numpy.typing as npt

_T = TypeVar("_T")


class Client:
    """Calls a service. Threads may share one; close it, or use it as a context.

    Every method takes ``timeout``: seconds for the call with all its attempts, which the service is told too, so that
    it does not go on with what nobody waits for. Every method raises :class:`service.client.ClientError`.
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
        """Connect to nothing yet.

        Args:
            url: of the service, such as ``http://localhost:8000``.
            api_key: where the service wants one.
            timeout: seconds for a call, where it is not given one of its own.
            retries: when a call is tried again.
            http: what to send with, for certificates, proxies and pools of your own; it is left open.

        Raises:
            ValueError: the URL is none of HTTP, or the timeout is not positive.
        """
        self._target = Target(url, api_key, timeout, retries or Retries())
        self._http = http or httpx.Client()
        self._own = http is None

    @property
    def url(self) -> str:
        """Where the service is."""
        return self._target.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        if self._own:
            self._http.close()

    def search(
        self,
        query: str | None = None,
        *,
        vector: Vector | None = None,
        image: bytes | None = None,
        timeout: float | None = None,
        **parameters: Unpack[SearchParameters],
    ) -> answers.SearchAnswer:
        """Search by exactly one of a text, a vector of the model (any scale), and the bytes of an image file.

        ``parameters`` are those of :class:`SearchParameters`. A NumPy vector is sent as base64 of float32, a tenth of
        the time that a list takes to read.
        """
        return self._do(calls.search(query, vector, image, parameters), timeout)

    def search_many(
        self,
        queries: Sequence[str] | None = None,
        *,
        vectors: Sequence[Vector] | npt.NDArray[Any] | None = None,
        images: Sequence[bytes] | None = None,
        timeout: float | None = None,
        **parameters: Unpack[SearchParameters],
    ) -> answers.BatchAnswer:
        """Search by several texts, vectors or images at once."""
        return self._do(calls.search_many(queries, vectors, images, parameters), timeout)

    def embeddings(
        self,
        texts: Sequence[str],
        *,
        dimensions: int | None = None,
        input_type: Literal["query", "document"] | None = None,
        timeout: float | None = None,
    ) -> answers.Embeddings:
        """Embed texts, as documents or as queries; ``dimensions`` cuts to a prefix and normalises it."""
        return self._do(calls.embeddings(texts, dimensions, input_type), timeout)

    def classify(
        self,
        texts: Sequence[str] | None = None,
        *,
        images: Sequence[bytes] | None = None,
        dims: int | None = None,
        accuracy: float | None = None,
        timeout: float | None = None,
    ) -> answers.Classification:
        """Label texts, or the bytes of image files: each by the shortest sure prefix, or all at one size."""
        return self._do(calls.classify(texts, images, dims, accuracy), timeout)

    def upsert(self, identifier: str, row: Mapping[str, Any], *, timeout: float | None = None) -> answers.Upserted:
        """Add a document, or replace the one of this id. When this returns, searches find it.

        Args:
            identifier: the document's id.
            row: ``text``, ``title`` and further fields; ``_vector`` is stored in place of an encoding where given.
            timeout: see the class.
        """
        return self._do(calls.upsert(identifier, row), timeout)

    def upsert_many(self, rows: Iterable[Mapping[str, Any]], *, timeout: float | None = None) -> answers.BulkAnswer:
        """Add or replace many documents, a request after the other as the rows come; never all in memory.

        Args:
            rows: as in :meth:`upsert`, each with its id as ``_id``.
            timeout: of each request.

        Returns:
            what became of each row. A row that cannot be taken is rejected there and stops nothing.

        Raises:
            ClientError: a request failed; a note on it says how far it went.
        """
        bulk = Bulk()

        def send(lines: bytes | None) -> None:
            if lines is not None:
                bulk.answered(lines, self._do(calls.upsert_lines(lines), timeout))

        try:
            for row in rows:
                send(bulk.add(row))
            send(bulk.rest())
        except ClientError as error:
            bulk.interrupted(error)
            raise
        return bulk.report

    def get(self, identifier: str, *, timeout: float | None = None) -> answers.Document:
        """Read a document.

        Raises:
            NotFoundError: there is none of this id.
        """
        return self._do(calls.get(identifier), timeout)

    def delete(self, identifier: str, *, timeout: float | None = None) -> None:
        """Delete a document.

        Raises:
            NotFoundError: there is none of this id; after a lost connection also where the first attempt deleted it.
        """
        self._do(calls.delete(identifier), timeout)

    def delete_many(self, identifiers: Sequence[str], *, timeout: float | None = None) -> answers.Deleted:
        """Delete several documents; ids that are not there are counted and passed over."""
        return self._do(calls.delete_many(identifiers), timeout)

    def index(self, *, timeout: float | None = None) -> answers.IndexFacts:
        """Ask what is served."""
        return self._do(calls.index(), timeout)

    def reload(self, *, timeout: float | None = None) -> answers.Reloaded:
        """Go over to the generation published now."""
        return self._do(calls.reload(), timeout)

    def rollback(self, to: str | None = None, *, timeout: float | None = None) -> answers.RolledBack:
        """Go back to the generation before, or to one by name."""
        return self._do(calls.rollback(to), timeout)

    def compact(self, *, timeout: float | None = None) -> answers.Compaction:
        """Have the updates folded into a new generation, in the background; :meth:`index` tells how it goes."""
        return self._do(calls.compact(), timeout)

    def ready(self, *, timeout: float = 1.0) -> bool:
        """Ask whether searches can be answered now."""
        try:
            self._do(calls.ready(), timeout)
        except (NoConnectionError, OverloadedError, TimeoutError):
            return False
        return True

    def _do(self, call: Call[_T], timeout: float | None) -> _T:
        exchange = Exchange(self._target, call, timeout)
        while True:
            try:
                response = self._http.send(exchange.request(self._http))
            except httpx.RequestError as failure:
                exchange.failed(failure)
            else:
                if exchange.answered(response):
                    return exchange.result(response)
            time.sleep(exchange.pause)
