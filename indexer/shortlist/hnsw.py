"""A navigable small-world graph over the prefixes (Malkov and Yashunin, arXiv 1603.09320)."""

from __future__ import annotations

from typing import Any, Literal, Self

import faiss
import numpy as np
from pydantic import Field

from indexer.shortlist.base import PrefixSource, ShortlistOptions
from indexer.shortlist.effort import beam_efforts, beam_width
from indexer.shortlist.faiss_file import FaissShortlist
from models.nesting import Vectors

_TRAINING_ROWS = 1 << 16
"""The 8-bit code only needs each dimension's range."""
_CODES = {"fp16": faiss.ScalarQuantizer.QT_fp16, "sq8": faiss.ScalarQuantizer.QT_8bit}


class HnswOptions(ShortlistOptions):
    """How the graph is built.

    Attributes:
        links: neighbours kept a row on the upper levels (M); twice as many on the lowest.
        build_effort: candidates looked at for each row's neighbours (efConstruction).
        storage: what a dimension of a prefix takes: 4 bytes, 2 or 1. With the last two FAISS is several times slower
            where Ds is not a multiple of 8.
    """

    links: int = Field(default=32, ge=4, le=128)
    build_effort: int = Field(default=128, ge=8, le=2000)
    storage: Literal["fp32", "fp16", "sq8"] = "fp32"


class HnswShortlist(FaissShortlist):
    """FAISS ``IndexHNSWFlat`` or ``IndexHNSWSQ`` by inner product.

    Effort is efSearch, by default the number of candidates.
    """

    kind = "hnsw"
    options_type = HnswOptions
    index_type = faiss.IndexHNSW

    @classmethod
    def build(cls, prefixes: PrefixSource, options: ShortlistOptions) -> Self:
        """Build from all rows' prefixes."""
        assert isinstance(options, HnswOptions)
        index = _empty_index(prefixes, options)
        index.hnsw.efConstruction = options.build_effort
        for _, block in prefixes.blocks():
            index.add(block)
        return cls(index)

    @property
    def exact_scores(self) -> bool:
        """Where the prefixes are held as float32."""
        return isinstance(self._index, faiss.IndexHNSWFlat)

    @property
    def close_scores(self) -> bool:
        """Of every storage: the least has 8 bits."""
        return True

    def efforts(self, candidates: int) -> list[int | None]:
        """From as many as candidates are wanted."""
        return beam_efforts(candidates)

    def _make_parameters(self, candidates: int, effort: int | None, selector: Any = None) -> Any:
        return faiss.SearchParametersHNSW(efSearch=beam_width(effort, candidates), sel=selector)

    def work(self, prefixes: Vectors, candidates: int, effort: int | None = None) -> float:
        """Distances computed a query, by FAISS's own counter; not meaningful while other threads search."""
        faiss.cvar.hnsw_stats.reset()
        self.search(prefixes, candidates, effort)
        return float(faiss.cvar.hnsw_stats.ndis) / max(1, len(prefixes))

    @property
    def memory_bytes(self) -> int:
        """Prefixes and links."""
        return graph_bytes(self._index)


def graph_bytes(index: Any) -> int:
    """Return the bytes of a FAISS HNSW index: codes and links."""
    graph = index.hnsw
    codes = index.ntotal * faiss.downcast_index(index.storage).code_size
    return int(codes + 4 * graph.neighbors.size() + 8 * graph.offsets.size() + 4 * graph.levels.size())


def _empty_index(prefixes: PrefixSource, options: HnswOptions) -> Any:
    if options.storage == "fp32":
        return faiss.IndexHNSWFlat(prefixes.dims, options.links, faiss.METRIC_INNER_PRODUCT)
    index = faiss.IndexHNSWSQ(prefixes.dims, _CODES[options.storage], options.links, faiss.METRIC_INNER_PRODUCT)
    # Of no rows at all FAISS can learn nothing; one of zeros leaves an empty index ready.
    index.train(prefixes.sample(_TRAINING_ROWS) if prefixes.rows else np.zeros((1, prefixes.dims), np.float32))
    return index
