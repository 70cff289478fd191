"""Retriever for LlamaIndex (extra ``llama-index``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.integrations.source import Found, Searcher, Source, importing, metadata_of, text_of

with importing("llama_index", package="llama-index-core", extra="llama-index"):
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode


class AdaptiveRetriever(BaseRetriever):  # type: ignore[misc]  # the library is optional, its types unknown
    """Retrieves nodes from a service or an opened index.

    Usage::

        with Index.open("my-index") as index:
            for node in AdaptiveRetriever(index, k=2, options={"recall": 0.95}).retrieve("when is low tide"):
                print(node.node.node_id, node.score, node.node.get_content())

    A node has the id of its document, and ``metadata`` holds the fields except the text. If a query bundle has an
    embedding, it is the query vector; it must come from the index's model.
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
        """Create a retriever; the first search opens a connection.

        Args:
            source: a URL, a client or an opened index.
            api_key: API key, if the source is a URL.
            k: number of nodes.
            text_field: field that becomes the node's text.
            options: options of every search, such as ``filter`` or ``recall``.
            base: arguments of LlamaIndex's own base class, such as ``callback_manager``.
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
