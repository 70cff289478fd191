"""Every prefix looked at, but most of them not to the end (Panorama, arXiv 2510.00566).

Dimensions are read level by level, for many rows at once. After each level Cauchy and Schwarz bound what the rest can
add, and rows that can no longer be among the best are dropped. That pays where the first dimensions tell much, as they
do after Matryoshka training, prefixes are long (512 dimensions or more) and candidates few; else ``flat`` is as fast.
"""

from __future__ import annotations

from typing import Self

import faiss
import numpy as np
from pydantic import Field

from indexer.shortlist.base import Bitmap, Candidates, PrefixSource, ShortlistOptions
from indexer.shortlist.faiss_file import FaissShortlist
from models.nesting import Vectors

_BATCH = 4096
"""Rows that go through the levels together."""


class PanoramaOptions(ShortlistOptions):
    """How the dimensions are cut.

    Attributes:
        levels: steps in which a prefix is read; at most one a dimension.
    """

    levels: int = Field(default=8, ge=1, le=64)


class PanoramaShortlist(FaissShortlist):
    """FAISS ``IndexFlatIPPanorama`` over the prefixes."""

    kind = "panorama"
    options_type = PanoramaOptions
    index_type = faiss.IndexFlatPanorama
    exact = True

    @classmethod
    def build(cls, prefixes: PrefixSource, options: ShortlistOptions) -> Self:
        """Build from all rows' prefixes."""
        assert isinstance(options, PanoramaOptions)
        # As FAISS cuts them: all of one width but the last.
        width = -(-prefixes.dims // options.levels)
        index = faiss.IndexFlatIPPanorama(prefixes.dims, -(-prefixes.dims // width), _BATCH)
        for _, block in prefixes.blocks():
            index.add(block)
        return cls(index)

    def search(
        self,
        prefixes: Vectors,
        candidates: int,
        effort: int | None = None,
        allowed: Bitmap | None = None,
        threads: int = 1,
    ) -> Candidates:
        """Find candidate rows; see :meth:`Shortlist.search`."""
        if candidates <= _BATCH:
            return super().search(prefixes, candidates, effort, allowed, threads)
        # FAISS finds no more candidates than it reads rows together.
        rows = np.arange(self._index.ntotal)
        if allowed is not None:
            rows = rows[np.unpackbits(allowed, count=len(rows), bitorder="little").astype(bool)]
        best = faiss.ResultHeap(len(prefixes), candidates, keep_max=True)
        for start in range(0, len(rows), _BATCH):
            part = rows[start : start + _BATCH]
            scores = prefixes @ self._index.reconstruct_batch(part).T
            best.add_result(scores, np.tile(part, (len(prefixes), 1)))
        best.finalize()
        best.D[best.I < 0] = -np.inf
        return Candidates(best.D, best.I)

    def efforts(self, candidates: int) -> list[int | None]:
        """There is none to choose."""
        return [None]

    def work(self, prefixes: Vectors, candidates: int, effort: int | None = None) -> float:
        """Every row is looked at, if not to its end."""
        return float(self._index.ntotal)

    @property
    def memory_bytes(self) -> int:
        """The prefixes, and a norm for each level of each."""
        return int(self._index.codes.size() + 4 * self._index.cum_sums.size())
