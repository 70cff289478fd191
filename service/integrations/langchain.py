"""A retriever for LangChain (extra ``langchain``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import Field, PrivateAttr, SecretStr

from service.integrations.source import Found, Searcher, metadata_of, text_of


class AdaptiveRetriever(BaseRetriever):  # type: ignore[misc]  # the library is optional, its types unknown
    """Retrieves documents from a service or an opened index.

    A document's ``metadata`` are its fields except the text, with ``id`` and ``score`` among them. What is given to
    ``invoke`` beside the query, as in ``invoke("tides", k=3, filter={"year": {"$gte": 1990}})``, goes with the search
    and wins over ``options``.
    """

    source: Any = Field(description="A URL, a Client, an AsyncClient or an opened Index.")
    api_key: SecretStr | None = Field(default=None, description="For a URL.")
    k: int = Field(default=10, description="How many documents.")
    text_field: str = Field(default="text", description="The field that becomes the page's content.")
    options: dict[str, Any] = Field(
        default_factory=dict, description="Options of every search, such as filter, recall."
    )

    _searcher: Searcher = PrivateAttr()

    def model_post_init(self, context: Any) -> None:
        """Connect to nothing yet."""
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
