"""Every prefix looked at: exact at Ds, and the right choice for small corpora."""

from __future__ import annotations

from typing import Self

import faiss

from indexer.shortlist.base import PrefixSource, ShortlistOptions
from indexer.shortlist.faiss_file import FaissShortlist
from models.nesting import Vectors


class FlatOptions(ShortlistOptions):
    """Nothing to choose."""


class FlatShortlist(FaissShortlist):
    """FAISS ``IndexFlatIP`` over the prefixes."""

    kind = "flat"
    options_type = FlatOptions
    index_type = faiss.IndexFlat
    exact = True

    @classmethod
    def build(cls, prefixes: PrefixSource, options: ShortlistOptions) -> Self:
        """Build from all rows' prefixes."""
        index = faiss.IndexFlatIP(prefixes.dims)
        for _, block in prefixes.blocks():
            index.add(block)
        return cls(index)

    def efforts(self, candidates: int) -> list[int | None]:
        """There is none to choose."""
        return [None]

    def work(self, prefixes: Vectors, candidates: int, effort: int | None = None) -> float:
        """Every row is looked at."""
        return float(self._index.ntotal)

    @property
    def memory_bytes(self) -> int:
        """4 bytes for each dimension of each prefix."""
        return int(self._index.ntotal * self._index.d * 4)
