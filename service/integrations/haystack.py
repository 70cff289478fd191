"""Retriever for Haystack (extra ``haystack``)."""

# No `from __future__ import annotations`: Haystack reads the types of run() to connect components.

import os
from collections.abc import Sequence
from typing import Any

from indexer import Index
from service.client import AsyncClient, Client
from service.integrations.haystack_filters import translate
from service.integrations.source import Found, Searcher, Source, importing, metadata_of, text_of

# Haystack reads this when it is imported; by default it reports to its makers which pipelines run.
os.environ.setdefault("HAYSTACK_TELEMETRY_ENABLED", "False")
with importing("haystack", package="haystack-ai", extra="haystack"):
    from haystack import Document, component, default_from_dict, default_to_dict
    from haystack.utils import Secret


@component
class AdaptiveRetriever:
    """Retrieves documents from a service or an opened index.

    Usage::

        retriever = AdaptiveRetriever("http://localhost:8000", api_key=Secret.from_env_var("MRL_KEY"), top_k=2)
        years = {"field": "meta.year", "operator": "<", "value": 2005}
        for document in retriever.run("why does the ocean rise and fall", filters=years)["documents"]:
            print(document.id, document.score, document.content)

    A document keeps its id and score, and ``meta`` holds the fields except the text. Filters may be Haystack's or the
    service's own. To load a saved pipeline, Haystack must be allowed to import this module:
    ``Pipeline.loads(text, allowed_modules=["service.integrations.haystack"])``.
    """

    def __init__(
        self,
        source: Source,
        api_key: Secret | None = None,
        top_k: int = 10,
        text_field: str = "text",
        filters: dict[str, Any] | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        """Create a retriever; the first search opens a connection.

        Args:
            source: a URL, a client or an opened index.
            api_key: API key, if the source is a URL.
            top_k: number of documents.
            text_field: field that becomes the content.
            filters: filter of searches that give none.
            options: options of every search, such as ``recall``.
        """
        self.source, self.api_key, self.top_k, self.text_field = source, api_key, top_k, text_field
        self.filters, self.options = filters, dict(options or {})
        self._searcher = Searcher(source, api_key.resolve_value() if api_key else None)

    def to_dict(self) -> dict[str, Any]:
        """Serialise the component. Of the API key, only the name of its environment variable is written.

        Raises:
            TypeError: the source is not a URL; a client may hold a key, and an index is open in this process only.
        """
        if not isinstance(self.source, str):
            kind = next(kind.__name__ for kind in (Client, AsyncClient, Index) if isinstance(self.source, kind))
            raise TypeError(f"a retriever over a {kind} cannot be serialised: create it with the URL of the service")
        return default_to_dict(  # type: ignore[no-any-return]
            self,
            source=self.source,
            api_key=self.api_key.to_dict() if self.api_key else None,
            top_k=self.top_k,
            text_field=self.text_field,
            filters=self.filters,
            options=self.options,
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "AdaptiveRetriever":
        """Create the component from :meth:`to_dict`."""
        return default_from_dict(cls, data)  # type: ignore[no-any-return]

    @component.output_types(documents=list[Document])  # type: ignore[untyped-decorator]
    def run(
        self, query: str, filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """Retrieve documents.

        Args:
            query: text to search for.
            filters: filter of this search; the component's own if None.
            top_k: number of documents; the component's own if None.
        """
        return self._answer(self._searcher.search(query, self._request(filters, top_k)))

    @component.output_types(documents=list[Document])  # type: ignore[untyped-decorator]
    async def run_async(
        self, query: str, filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """Retrieve documents as :meth:`run` does, without blocking the event loop."""
        return self._answer(await self._searcher.search_async(query, self._request(filters, top_k)))

    def _request(self, filters: dict[str, Any] | None, top_k: int | None) -> dict[str, Any]:
        condition = filters or self.filters
        return {
            "k": self.top_k if top_k is None else top_k,
            **self.options,
            **({"filter": translate(condition)} if condition else {}),
        }

    def _answer(self, hits: Sequence[Found]) -> dict[str, list[Document]]:
        return {
            "documents": [
                Document(
                    id=hit.id,
                    content=text_of(hit, self.text_field),
                    meta=metadata_of(hit, self.text_field),
                    score=hit.score,
                )
                for hit in hits
            ]
        }
