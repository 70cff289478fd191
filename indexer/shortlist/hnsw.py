"""A navigable small-world graph over the prefixes (Malkov and Yashunin, arXiv 1603.09320)."""

from __future__ import annotations

from typing import Any, Self

import faiss
from pydantic import Field

from indexer.shortlist.base import Blocks, ShortlistOptions
from indexer.shortlist.faiss_file import FaissShortlist
from models.errors import InvalidOptionError
from models.nesting import Vectors


class HnswOptions(ShortlistOptions):
    """How the graph is built.

    Attributes:
        links: neighbours kept a row on the upper levels (M); twice as many on the lowest.
        build_effort: candidates looked at for each row's neighbours (efConstruction).
    """

    links: int = Field(default=32, ge=4, le=128)
    build_effort: int = Field(default=128, ge=8, le=2000)


class HnswShortlist(FaissShortlist):
    """FAISS ``IndexHNSWFlat`` by inner product; effort is efSearch, by default the number of candidates."""

    kind = "hnsw"
    options_type = HnswOptions

    @classmethod
    def build(cls, blocks: Blocks, dims: int, options: ShortlistOptions) -> Self:
        """Build from all rows' prefixes."""
        assert isinstance(options, HnswOptions)
        index = faiss.IndexHNSWFlat(dims, options.links, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = options.build_effort
        cls._fill(index, blocks)
        return cls(index)

    def _parameters(self, candidates: int, effort: int | None) -> Any:
        if effort is not None and effort < 1:
            raise InvalidOptionError("effort", f"effort {effort}: give at least 1")
        return faiss.SearchParametersHNSW(efSearch=max(effort or candidates, candidates))

    def work(self, prefixes: Vectors, candidates: int, effort: int | None = None) -> float:
        """Distances computed a query, by FAISS's own counter; not meaningful while other threads search."""
        faiss.cvar.hnsw_stats.reset()
        self.search(prefixes, candidates, effort)
        return float(faiss.cvar.hnsw_stats.ndis) / max(1, len(prefixes))

    @property
    def memory_bytes(self) -> int:
        """Prefixes and links."""
        graph = self._index.hnsw
        return int(
            self._index.ntotal * self._index.d * 4
            + 4 * graph.neighbors.size()
            + 8 * graph.offsets.size()
            + 4 * graph.levels.size()
        )
