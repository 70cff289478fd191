"""A retriever for Haystack (extra ``haystack``)."""

# No `from __future__ import annotations`: Haystack reads the types of run() to connect components.

import os
from collections.abc import Sequence
from typing import Any

# Set before Haystack is imported, which by default tells its makers of the pipelines that run.
os.environ.setdefault("HAYSTACK_TELEMETRY_ENABLED", "False")

from haystack import Document, component, default_from_dict, default_to_dict
from haystack.utils import Secret

from indexer import Index
from service.client import AsyncClient, Client
from service.integrations.haystack_filters import translate
from service.integrations.source import Found, Searcher, Source, metadata_of, text_of


@component
class AdaptiveRetriever:
    """Retrieves documents from a service or an opened index.

    A document's id and score are the service's, its ``meta`` are the fields except the text. Filters may be Haystack's
    or the service's own. Haystack loads a pipeline with components of others only where it is told to trust them:
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
        """Connect to nothing yet.

        Args:
            source: a URL, a client or an opened index.
            api_key: for a URL.
            top_k: how many documents.
            text_field: the field that becomes the content.
            filters: of every search that brings none.
            options: of every search, such as ``recall``.
        """
        self.source, self.api_key, self.top_k, self.text_field = source, api_key, top_k, text_field
        self.filters, self.options = filters, dict(options or {})
        self._searcher = Searcher(source, api_key.resolve_value() if api_key else None)

    def to_dict(self) -> dict[str, Any]:
        """Write the component down; the API key only by where it is found.

        Raises:
            TypeError: the source is no URL: a client may hold a key, and an index is open in this process only.
        """
        if not isinstance(self.source, str):
            kind = next(kind.__name__ for kind in (Client, AsyncClient, Index) if isinstance(self.source, kind))
            raise TypeError(f"a retriever over a {kind} cannot be written down: give it the service's URL")
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
        """Make the component that was written down."""
        return default_from_dict(cls, data)  # type: ignore[no-any-return]

    @component.output_types(documents=list[Document])  # type: ignore[untyped-decorator]
    def run(
        self, query: str, filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """Retrieve.

        Args:
            query: a text.
            filters: in place of the component's own.
            top_k: in place of the component's own.
        """
        return self._answer(self._searcher.search(query, self._request(filters, top_k)))

    @component.output_types(documents=list[Document])  # type: ignore[untyped-decorator]
    async def run_async(
        self, query: str, filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """Retrieve, awaited."""
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
