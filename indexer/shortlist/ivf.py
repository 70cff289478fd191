"""An inverted file: cells of similar rows, of which a query visits the nearest few; rows are compared as short codes.

The cells are assigned by a shorter prefix than the one that is encoded (AdANNS, arXiv 2305.19435): a few dimensions
suffice to find the near cells.
"""

from __future__ import annotations

import math
from typing import Any, Literal, Self

import faiss
import numpy as np
from pydantic import Field

from indexer.shortlist.base import PrefixSource, ShortlistOptions
from indexer.shortlist.faiss_file import FaissShortlist, filled
from models.errors import InvalidOptionError
from models.nesting import Vectors, truncate

_CELL_DIMS = 64
_MOST_CELLS = 8192
_TRAINING_ROWS_PER_CELL = 64
_MOST_TRAINING_ROWS = 1 << 18
_LEAST_TRAINING_ROWS = 16
"""The number of values of a 4-bit code."""


class IvfOptions(ShortlistOptions):
    """Options of ``ivf``.

    Attributes:
        cells: number of cells; about 4 √N if None.
        cell_dims: prefix size that cells are assigned by; the smaller of 64 and Ds if None.
        codes: ``pq``, product quantisation with 4 bits for two dimensions, or ``rabitq``, one bit per dimension and two
            factors per row.
    """

    cells: int | None = Field(default=None, ge=1, le=65536)
    cell_dims: int | None = Field(default=None, ge=1)
    codes: Literal["pq", "rabitq"] = "pq"


class IvfShortlist(FaissShortlist[IvfOptions]):
    """FAISS ``IndexIVFPQFastScan`` or ``IndexIVFRaBitQFastScan`` by inner product.

    Effort is the number of cells visited (nprobe), by default a sixteenth of them and at least 16.
    """

    kind = "ivf"
    options_type = IvfOptions
    index_type = faiss.IndexIVFFastScan

    @classmethod
    def build(cls, prefixes: PrefixSource, options: IvfOptions) -> Self:
        """See :meth:`Shortlist.build`."""
        cells = options.cells or min(_MOST_CELLS, round(4 * math.sqrt(prefixes.rows)), prefixes.rows // 32) or 1
        cell_dims = options.cell_dims or min(_CELL_DIMS, prefixes.dims)
        for name, value, most, unit in (
            ("cells", cells, max(1, prefixes.rows), "rows"),
            ("cell_dims", cell_dims, prefixes.dims, "dimensions"),
        ):
            if value > most:
                raise InvalidOptionError(
                    "shortlist", f"option {name} of shortlist 'ivf': {value} for {most} {unit}; give at most {most}"
                )
        sample = prefixes.sample(max(_LEAST_TRAINING_ROWS, min(_TRAINING_ROWS_PER_CELL * cells, _MOST_TRAINING_ROWS)))
        if len(sample) < _LEAST_TRAINING_ROWS:
            # Random rows rather than repeated ones: FastScan never finds a code that is the lowest in every part.
            noise = np.random.default_rng(0).normal(size=(_LEAST_TRAINING_ROWS - len(sample), prefixes.dims))
            sample = np.concatenate([sample, truncate(noise, prefixes.dims)])
        index = _untrained_index(_cell_finder(sample, cells, cell_dims), cells, prefixes.dims, options)
        index.train(sample)
        return cls(filled(index, prefixes))

    def efforts(self, candidates: int) -> list[int | None]:
        """Return numbers of cells from a 128th of them to a quarter, doubling."""
        cells = self._index.nlist
        first = max(1, cells // 128)
        return list(dict.fromkeys(min(cells, first << step) for step in range(6)))

    def _make_parameters(self, candidates: int, effort: int | None, selector: Any = None) -> Any:
        cells = self._index.nlist
        return faiss.SearchParametersIVF(nprobe=min(cells, effort or max(16, cells // 16)), sel=selector)

    def comparisons(self, prefixes: Vectors, candidates: int, effort: int | None = None) -> float:
        """Return FAISS's count of codes and cells per query, meaningless while other threads search."""
        faiss.cvar.indexIVF_stats.reset()
        self.search(prefixes, candidates, effort)
        return float(self._index.nlist + faiss.cvar.indexIVF_stats.ndis / max(1, len(prefixes)))

    @property
    def memory_bytes(self) -> int:
        """Bytes of the codes and row numbers, in padded blocks, and of the cell centroids."""
        lists = faiss.downcast_InvertedLists(self._index.invlists)
        blocks = sum(-(-lists.list_size(cell) // lists.n_per_block) for cell in range(self._index.nlist))
        centroids = faiss.downcast_index(faiss.downcast_index(self._index.quantizer).index)
        return int(blocks * lists.block_size + 8 * self._index.ntotal + 4 * centroids.ntotal * centroids.d)


def _cell_finder(sample: Vectors, cells: int, cell_dims: int) -> Any:
    """Return a FAISS index that assigns a vector to cells by its first ``cell_dims`` dimensions."""
    clustering = faiss.Clustering(cell_dims, cells)
    clustering.niter, clustering.seed, clustering.spherical = 10, 1, True
    clustering.min_points_per_centroid = 1
    centroids = faiss.IndexFlatIP(cell_dims)
    clustering.train(truncate(sample, cell_dims), centroids)
    return faiss.IndexPreTransform(faiss.RemapDimensionsTransform(sample.shape[1], cell_dims, False), centroids)


def _untrained_index(quantizer: Any, cells: int, dims: int, options: IvfOptions) -> Any:
    if options.codes == "rabitq":
        return faiss.IndexIVFRaBitQFastScan(quantizer, dims, cells, faiss.METRIC_INNER_PRODUCT)
    # FastScan reads 4-bit codes of two dimensions each, or of one if the number of dimensions is odd.
    parts = dims // 2 if dims % 2 == 0 else dims
    index = faiss.IndexIVFPQFastScan(quantizer, dims, cells, parts, 4, faiss.METRIC_INNER_PRODUCT)
    index.pq.cp.min_points_per_centroid = 1
    return index
