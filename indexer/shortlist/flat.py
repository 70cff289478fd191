"""A scan of every prefix: exact at Ds, and the right choice for small corpora."""

from __future__ import annotations

from typing import Self

import faiss

from indexer.shortlist.base import PrefixSource, ShortlistOptions
from indexer.shortlist.faiss_file import FaissScan, filled


class FlatOptions(ShortlistOptions):
    """The scan has no options."""


class FlatShortlist(FaissScan[FlatOptions]):
    """FAISS ``IndexFlatIP`` over the prefixes."""

    kind = "flat"
    options_type = FlatOptions
    index_type = faiss.IndexFlat

    @classmethod
    def build(cls, prefixes: PrefixSource, options: FlatOptions) -> Self:
        """See :meth:`Shortlist.build`."""
        return cls(filled(faiss.IndexFlatIP(prefixes.dims), prefixes))

    @property
    def memory_bytes(self) -> int:
        """4 bytes per dimension of each prefix."""
        return int(self._index.ntotal * self._index.d * 4)
