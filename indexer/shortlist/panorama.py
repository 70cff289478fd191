"""A scan that abandons most prefixes before their end (Panorama, arXiv 2510.00566).

Dimensions are read level by level, for many rows at once. After each level the Cauchy-Schwarz inequality bounds what
the remaining dimensions can add, and rows that can no longer be among the best are dropped. This pays if the first
dimensions hold most of the energy, as after Matryoshka training, prefixes are long (512 dimensions or more) and
candidates few; otherwise ``flat`` is as fast.
"""

from __future__ import annotations

from typing import Self

import faiss
import numpy as np
from pydantic import Field

from indexer.shortlist.base import Bitmap, Candidates, PrefixSource, ShortlistOptions
from indexer.shortlist.faiss_file import FaissScan, filled
from models.nesting import Vectors

_BATCH = 4096
"""Rows that pass through the levels together."""


class PanoramaOptions(ShortlistOptions):
    """Options of ``panorama``.

    Attributes:
        levels: number of steps in which a prefix is read; at most one per dimension.
    """

    levels: int = Field(default=8, ge=1, le=64)


class PanoramaShortlist(FaissScan[PanoramaOptions]):
    """FAISS ``IndexFlatIPPanorama`` over the prefixes."""

    kind = "panorama"
    options_type = PanoramaOptions
    index_type = faiss.IndexFlatPanorama

    @classmethod
    def build(cls, prefixes: PrefixSource, options: PanoramaOptions) -> Self:
        """See :meth:`Shortlist.build`."""
        # FAISS makes all levels of one width except the last; more levels than that would be empty.
        width = -(-prefixes.dims // options.levels)
        index = faiss.IndexFlatIPPanorama(prefixes.dims, -(-prefixes.dims // width), _BATCH)
        return cls(filled(index, prefixes))

    def _search(
        self, prefixes: Vectors, candidates: int, effort: int | None, allowed: Bitmap | None, threads: int
    ) -> Candidates:
        if candidates <= _BATCH:
            return super()._search(prefixes, candidates, effort, allowed, threads)
        # FAISS finds at most as many candidates as the rows it reads together.
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

    @property
    def memory_bytes(self) -> int:
        """Bytes of the prefixes and of one norm per level and row."""
        return int(self._index.codes.size() + 4 * self._index.cum_sums.size())
