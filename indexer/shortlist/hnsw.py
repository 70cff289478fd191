"""A hierarchical navigable small-world graph over the prefixes (Malkov and Yashunin, arXiv 1603.09320)."""

from __future__ import annotations

from typing import Literal, Self

import faiss
import numpy as np
from pydantic import Field

from indexer.shortlist.base import PrefixSource, ShortlistOptions
from indexer.shortlist.faiss_file import FaissGraph, filled

_TRAINING_ROWS = 1 << 16
"""The 8-bit code only needs the range of each dimension."""
_CODES = {"fp16": faiss.ScalarQuantizer.QT_fp16, "sq8": faiss.ScalarQuantizer.QT_8bit}


class HnswOptions(ShortlistOptions):
    """Options of ``hnsw``.

    Attributes:
        links: neighbours per row on the upper levels (M); twice as many on the lowest level.
        build_effort: candidates examined for each row's neighbours (efConstruction).
        storage: precision of a prefix: 4, 2 or 1 bytes per dimension. With the last two FAISS is several times slower
            if Ds is not a multiple of 8.
    """

    links: int = Field(default=32, ge=4, le=128)
    build_effort: int = Field(default=128, ge=8, le=2000)
    storage: Literal["fp32", "fp16", "sq8"] = "fp32"


class HnswShortlist(FaissGraph[HnswOptions]):
    """FAISS ``IndexHNSWFlat`` or ``IndexHNSWSQ`` by inner product."""

    kind = "hnsw"
    options_type = HnswOptions
    index_type = faiss.IndexHNSW

    @classmethod
    def build(cls, prefixes: PrefixSource, options: HnswOptions) -> Self:
        """See :meth:`Shortlist.build`."""
        if options.storage == "fp32":
            index = faiss.IndexHNSWFlat(prefixes.dims, options.links, faiss.METRIC_INNER_PRODUCT)
        else:
            code = _CODES[options.storage]
            index = faiss.IndexHNSWSQ(prefixes.dims, code, options.links, faiss.METRIC_INNER_PRODUCT)
            # FAISS cannot train on no rows; a row of zeros leaves a usable empty index.
            index.train(prefixes.sample(_TRAINING_ROWS) if prefixes.rows else np.zeros((1, prefixes.dims), np.float32))
        index.hnsw.efConstruction = options.build_effort
        return cls(filled(index, prefixes))

    @property
    def exact_scores(self) -> bool:
        """Whether the prefixes are stored as float32."""
        return isinstance(self._index, faiss.IndexHNSWFlat)

    @property
    def close_scores(self) -> bool:
        """True: every storage has at least 8 bits per dimension."""
        return True
