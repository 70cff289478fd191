"""Every prefix looked at: exact at Ds, and the right choice for small corpora."""

from __future__ import annotations

from typing import Self

import faiss

from indexer.shortlist.base import Blocks, ShortlistOptions
from indexer.shortlist.faiss_file import FaissShortlist
from models.nesting import Vectors


class FlatOptions(ShortlistOptions):
    """Nothing to choose."""


class FlatShortlist(FaissShortlist):
    """FAISS ``IndexFlatIP`` over the prefixes."""

    kind = "flat"
    options_type = FlatOptions

    @classmethod
    def build(cls, blocks: Blocks, dims: int, options: ShortlistOptions) -> Self:
        """Build from all rows' prefixes."""
        index = faiss.IndexFlatIP(dims)
        cls._fill(index, blocks)
        return cls(index)

    def work(self, prefixes: Vectors, candidates: int, effort: int | None = None) -> float:
        """Every row is looked at."""
        return float(self._index.ntotal)

    @property
    def memory_bytes(self) -> int:
        """4 bytes for each dimension of each prefix."""
        return int(self._index.ntotal * self._index.d * 4)
