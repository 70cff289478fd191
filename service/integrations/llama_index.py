"""A retriever for LlamaIndex (extra ``llama-index``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from service.integrations.source import Found, Searcher, Source, metadata_of, text_of


class AdaptiveRetriever(BaseRetriever):  # type: ignore[misc]  # the library is optional, its types unknown
    """Retrieves nodes from a service or an opened index.

    A node's id is the document's, its ``metadata`` are the fields except the text. A query bundle that brings an
    embedding is searched for by it, which has to be of the index's model.
    """

    def __init__(
        self,
        source: Source,
        *,
        api_key: str | None = None,
        k: int = 10,
        text_field: str = "text",
        options: Mapping[str, Any] | None = None,
        **base: Any,
    ) -> None:
        """Connect to nothing yet.

        Args:
            source: a URL, a client or an opened index.
            api_key: for a URL.
            k: how many nodes.
            text_field: the field that becomes the node's text.
            options: of every search, such as ``filter`` and ``recall``.
            base: what the library's own retriever takes, such as ``callback_manager``.
        """
        super().__init__(**base)
        self._searcher = Searcher(source, api_key)
        self._options = {"k": k, **(options or {})}
        self._text_field = text_field

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self._nodes(self._searcher.search(_query(query_bundle), self._options))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self._nodes(await self._searcher.search_async(_query(query_bundle), self._options))

    def _nodes(self, hits: Sequence[Found]) -> list[NodeWithScore]:
        return [
            NodeWithScore(
                node=TextNode(
                    id_=hit.id, text=text_of(hit, self._text_field), metadata=metadata_of(hit, self._text_field)
                ),
                score=hit.score,
            )
            for hit in hits
        ]


def _query(bundle: QueryBundle) -> str | list[float]:
    query: str | list[float] = bundle.embedding or bundle.query_str
    return query
