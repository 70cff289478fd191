"""Cells of similar rows, of which a query looks into the nearest few; rows are short codes, compared many at a time.

The cells are found on a shorter prefix than the codes are made of (AdANNS, arXiv 2305.19435): a few dimensions are
enough to tell which cells are near.
"""

from __future__ import annotations

import math
from typing import Any, Literal, Self

import faiss
import numpy as np
from pydantic import Field

from indexer.shortlist.base import PrefixSource, ShortlistOptions
from indexer.shortlist.effort import require_effort
from indexer.shortlist.faiss_file import FaissShortlist
from models.errors import InvalidOptionError
from models.nesting import Vectors, truncate

_CELL_DIMS = 64
_MOST_CELLS = 8192
_TRAINING_ROWS_A_CELL = 64
_MOST_TRAINING_ROWS = 1 << 18
_LEAST_TRAINING_ROWS = 16
"""As many as a 4-bit code has values."""


class IvfOptions(ShortlistOptions):
    """How cells and codes are made.

    Attributes:
        cells: how many; about 4 √N where None.
        cell_dims: dimensions that cells are found by; 64, or Ds where that is less, where None.
        codes: ``pq``, product quantisation to 4 bits for two dimensions, or ``rabitq``, the signs and two factors.
    """

    cells: int | None = Field(default=None, ge=1, le=65536)
    cell_dims: int | None = Field(default=None, ge=1)
    codes: Literal["pq", "rabitq"] = "pq"


class IvfShortlist(FaissShortlist):
    """FAISS ``IndexIVFPQFastScan`` or ``IndexIVFRaBitQFastScan`` by inner product; effort is the cells looked into."""

    kind = "ivf"
    options_type = IvfOptions
    index_type = faiss.IndexIVFFastScan

    @classmethod
    def build(cls, prefixes: PrefixSource, options: ShortlistOptions) -> Self:
        """Build from all rows' prefixes."""
        assert isinstance(options, IvfOptions)
        cells = options.cells or min(_MOST_CELLS, round(4 * math.sqrt(prefixes.rows)), prefixes.rows // 32) or 1
        cell_dims = options.cell_dims or min(_CELL_DIMS, prefixes.dims)
        for name, value, most, unit in (
            ("cells", cells, max(1, prefixes.rows), "rows"),
            ("cell_dims", cell_dims, prefixes.dims, "dimensions"),
        ):
            if value > most:
                raise InvalidOptionError(
                    "shortlist", f"option {name} of shortlist 'ivf': {value} for {most} {unit}; give at most as many"
                )
        sample = prefixes.sample(max(_LEAST_TRAINING_ROWS, min(_TRAINING_ROWS_A_CELL * cells, _MOST_TRAINING_ROWS)))
        if len(sample) < _LEAST_TRAINING_ROWS:
            # Not the same rows again: the code of a row that is lowest in every part is never found by FastScan.
            others = np.random.default_rng(0).normal(size=(_LEAST_TRAINING_ROWS - len(sample), prefixes.dims))
            sample = np.concatenate([sample, truncate(others, prefixes.dims)])
        index = _empty_index(_find_cells(sample, cells, cell_dims), cells, prefixes.dims, options)
        index.train(sample)
        for _, block in prefixes.blocks():
            index.add(block)
        return cls(index)

    def efforts(self, candidates: int) -> list[int | None]:
        """From a 128th of the cells to a quarter of them, by doubling."""
        cells = self._index.nlist
        first = max(1, cells // 128)
        return list(dict.fromkeys(min(cells, first << step) for step in range(6)))

    def _make_parameters(self, candidates: int, effort: int | None, selector: Any = None) -> Any:
        require_effort(effort)
        cells = self._index.nlist
        return faiss.SearchParametersIVF(nprobe=min(cells, effort or max(16, cells // 16)), sel=selector)

    def work(self, prefixes: Vectors, candidates: int, effort: int | None = None) -> float:
        """Codes and cells looked at for a query, by FAISS's own counter; not meaningful while other threads search."""
        faiss.cvar.indexIVF_stats.reset()
        self.search(prefixes, candidates, effort)
        return float(self._index.nlist + faiss.cvar.indexIVF_stats.ndis / max(1, len(prefixes)))

    @property
    def memory_bytes(self) -> int:
        """Codes and row numbers, in blocks filled up, and the cells."""
        lists = faiss.downcast_InvertedLists(self._index.invlists)
        blocks = sum(-(-lists.list_size(cell) // lists.n_per_block) for cell in range(self._index.nlist))
        centres = faiss.downcast_index(faiss.downcast_index(self._index.quantizer).index)
        return int(blocks * lists.block_size + 8 * self._index.ntotal + 4 * centres.ntotal * centres.d)


def _find_cells(sample: Vectors, cells: int, cell_dims: int) -> Any:
    """Return a FAISS index that gives the cells of a vector by its first dimensions."""
    clustering = faiss.Clustering(cell_dims, cells)
    clustering.niter, clustering.seed, clustering.spherical = 10, 1, True
    clustering.min_points_per_centroid = 1
    centres = faiss.IndexFlatIP(cell_dims)
    clustering.train(truncate(sample, cell_dims), centres)
    return faiss.IndexPreTransform(faiss.RemapDimensionsTransform(sample.shape[1], cell_dims, False), centres)


def _empty_index(quantizer: Any, cells: int, dims: int, options: IvfOptions) -> Any:
    if options.codes == "rabitq":
        return faiss.IndexIVFRaBitQFastScan(quantizer, dims, cells, faiss.METRIC_INNER_PRODUCT)
    # FastScan reads 4-bit codes; two dimensions each, or one where their number is odd.
    parts = dims // 2 if dims % 2 == 0 else dims
    index = faiss.IndexIVFPQFastScan(quantizer, dims, cells, parts, 4, faiss.METRIC_INNER_PRODUCT)
    index.pq.cp.min_points_per_centroid = 1
    return index
