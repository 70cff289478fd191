"""Retriever for LangChain (extra ``langchain``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field, PrivateAttr, SecretStr

from service.integrations.source import Found, Searcher, importing, metadata_of, text_of

with importing("langchain_core", package="langchain-core", extra="langchain"):
    from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever


class AdaptiveRetriever(BaseRetriever):  # type: ignore[misc]  # the library is optional, its types unknown
    """Retrieves documents from a service or an opened index.

    Usage::

        retriever = AdaptiveRetriever(source="http://localhost:8000", api_key=KEY, k=2)
        for document in retriever.invoke("why does the ocean rise and fall", filter={"year": {"$lt": 2005}}):
            print(document.id, document.metadata["score"], document.page_content)

    A document's ``metadata`` holds its fields except the text, and its ``id`` and ``score``. Keyword arguments of
    ``invoke`` are options of that search; they take precedence over ``options``.
    """

    source: Any = Field(description="A URL, a Client, an AsyncClient or an opened Index.")
    api_key: SecretStr | None = Field(default=None, description="API key, if the source is a URL.")
    k: int = Field(default=10, description="Number of documents.")
    text_field: str = Field(default="text", description="Field that becomes the page content.")
    options: dict[str, Any] = Field(
        default_factory=dict, description="Options of every search, such as filter or recall."
    )

    _searcher: Searcher = PrivateAttr()

    def model_post_init(self, context: Any) -> None:
        """Create the searcher; the first search opens a connection."""
        self._searcher = Searcher(self.source, self.api_key.get_secret_value() if self.api_key else None)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **options: Any
    ) -> list[Document]:
        return self._documents(self._searcher.search(query, {"k": self.k, **self.options, **options}))

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **options: Any
    ) -> list[Document]:
        return self._documents(await self._searcher.search_async(query, {"k": self.k, **self.options, **options}))

    def _documents(self, hits: Sequence[Found]) -> list[Document]:
        return [
            Document(
                id=hit.id,
                page_content=text_of(hit, self.text_field),
                metadata={**metadata_of(hit, self.text_field), "id": hit.id, "score": hit.score},
            )
            for hit in hits
        ]
