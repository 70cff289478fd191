"""CAGRA: a graph that a GPU builds in a fraction of the time (arXiv 2308.15136), searched on the GPU or a CPU."""

from __future__ import annotations

import threading
from typing import Any, Literal, Self

import faiss
import numpy as np
from pydantic import Field

from indexer.kernels.rows import Rows
from indexer.shortlist.base import Bitmap, Candidates, PrefixSource, ShortlistOptions
from indexer.shortlist.beam import beam_width
from indexer.shortlist.faiss_file import FaissGraph
from indexer.shortlist.gathered import gather, inner_products
from models.errors import OptionalDependencyError
from models.nesting import Vectors

_LEAST_ROWS = 4096
"""Fewer rows are linked on the CPU in no time, and the GPU's clustering needs more."""
_WIDEST_ON_GPU = 512
"""The widest beam that one block of GPU threads holds (cuVS, ``itopk_size``)."""
_ENTRIES = 64
_STARTS = 8


class CagraOptions(ShortlistOptions):
    """Options of ``cagra``.

    Attributes:
        degree: neighbours per row.
        first_degree: neighbours per row before the least useful are pruned.
        algorithm: how the first neighbours are found: with an IVF-PQ index, or by nearest-neighbour descent.
    """

    degree: int = Field(default=64, ge=8, le=256, multiple_of=2)
    first_degree: int = Field(default=128, ge=8, le=512)
    algorithm: Literal["ivf_pq", "nn_descent"] = "ivf_pq"


class CagraShortlist(FaissGraph[CagraOptions]):
    """FAISS ``GpuIndexCagra`` over float16 prefixes, stored and searched without a GPU as ``IndexHNSWCagra``.

    Compares by Euclidean distance, because the search by inner product over float16 hangs (FAISS,
    ``gpu/test/test_cagra.py``). Building needs all prefixes in memory.
    """

    kind = "cagra"
    options_type = CagraOptions
    index_type = faiss.IndexHNSWCagra

    def __init__(self, index: Any) -> None:
        super().__init__(index)
        # FAISS draws new entry points for every search; reproducible results need fixed ones.
        self._entries = np.unique(np.linspace(0, max(0, index.ntotal - 1), _ENTRIES).astype(np.int32))[: index.ntotal]
        self._entry_rows = index.storage.reconstruct_batch(self._entries.astype(np.int64))
        self._gpu = _GpuCopy.of(index) if index.ntotal and _why_no_gpu() is None else None

    @classmethod
    def unavailable(cls, build: bool = True) -> str | None:
        """Return why the structure cannot be built here; it can be searched anywhere."""
        if build and (reason := _why_no_gpu()):
            return f"{reason}; use 'hnsw', or build on a machine with a GPU: the index is searched without one"
        return None

    @classmethod
    def build(cls, prefixes: PrefixSource, options: CagraOptions) -> Self:
        """See :meth:`Shortlist.build`."""
        rows = gather(prefixes, prefixes.dims, np.float16)
        return cls(_linked_by_gpu(rows, options) if len(rows) >= _LEAST_ROWS else _linked_by_cpu(rows, options))

    def _search(
        self, prefixes: Vectors, candidates: int, effort: int | None, allowed: Bitmap | None, threads: int
    ) -> Candidates:
        """Search on the GPU, except for filtered and very wide searches."""
        width = beam_width(effort, candidates)
        if self._gpu is None or allowed is not None or width > _WIDEST_ON_GPU or not len(prefixes):
            return super()._search(prefixes, candidates, effort, allowed, threads)
        return self._gpu.search(prefixes, candidates, width)

    def _fill(self, prefixes: Vectors, parameters: Any, scores: Vectors, rows: Rows) -> None:
        if not len(self._entries):
            rows.fill(-1)
            return
        # Not a matrix product, whose rounding depends on the number of queries in the batch.
        similarities = np.vecdot(prefixes[:, None], self._entry_rows)
        count = min(_STARTS, len(self._entries))
        nearest = np.argpartition(-similarities, count - 1, axis=1)[:, :count]
        starts, distances = self._entries[nearest], 2 - 2 * np.take_along_axis(similarities, nearest, axis=1)
        all_together = 2
        self._index.search_level_0(
            len(prefixes),
            faiss.swig_ptr(prefixes),
            scores.shape[1],
            faiss.swig_ptr(starts),
            faiss.swig_ptr(distances),
            faiss.swig_ptr(scores),
            faiss.swig_ptr(rows),
            count,
            all_together,
            parameters,
        )
        scores[:] = inner_products(scores)

    def comparisons(self, prefixes: Vectors, candidates: int, effort: int | None = None) -> float:
        """Return the distances per query on the CPU; see :meth:`FaissGraph.comparisons`."""
        return len(self._entries) + super().comparisons(prefixes, candidates, effort)

    @property
    def memory_bytes(self) -> int:
        """Bytes of the prefixes and links; a GPU holds the same again."""
        return super().memory_bytes + int(self._entry_rows.nbytes)

    def describe(self) -> dict[str, Any]:
        """Return facts for ``mrl index inspect``."""
        return {**super().describe(), "device": "cpu" if self._gpu is None else "cuda"}


class _GpuCopy:
    """The graph on the first GPU; FAISS allows one search at a time there."""

    def __init__(self, index: Any) -> None:
        self._original = index  # FAISS reads the rows from there
        self._resources = faiss.StandardGpuResources()
        self._index = faiss.index_cpu_to_gpu(self._resources, 0, index)
        self._lock = threading.Lock()

    @classmethod
    def of(cls, index: Any) -> Self | None:
        """Copy the graph; None if it does not fit into the GPU's memory, so that the CPU searches."""
        try:
            return cls(index)
        except RuntimeError:
            return None

    def search(self, prefixes: Vectors, candidates: int, width: int) -> Candidates:
        parameters = faiss.SearchParametersCagra(itopk_size=-(-width // 32) * 32)
        with self._lock:
            distances, rows = self._index.search(
                prefixes.astype(np.float16), candidates, params=parameters, numeric_type=faiss.Float16
            )
        return Candidates(np.where(rows < 0, -np.inf, inner_products(distances)), rows)


def _gpu_faiss() -> Any:
    """Return FAISS if it is built with cuVS.

    Raises:
        OptionalDependencyError: it is not.
    """
    if not hasattr(faiss, "GpuIndexCagra"):
        raise OptionalDependencyError(
            "faiss-gpu-cuvs", "a build on the GPU", "pip uninstall faiss-cpu && pip install faiss-gpu-cuvs"
        )
    return faiss


def _why_no_gpu() -> str | None:
    try:
        _gpu_faiss()
    except OptionalDependencyError as error:
        return str(error)
    return None if faiss.get_num_gpus() else "no CUDA GPU is visible to FAISS"


def _linked_by_gpu(rows: Any, options: CagraOptions) -> Any:
    gpu_faiss = _gpu_faiss()
    config = gpu_faiss.GpuIndexCagraConfig()
    config.graph_degree = options.degree
    config.intermediate_graph_degree = max(options.first_degree, options.degree)
    config.build_algo = getattr(gpu_faiss, f"graph_build_algo_{options.algorithm.upper()}")
    config.guarantee_connectivity = True
    index = gpu_faiss.GpuIndexCagra(gpu_faiss.StandardGpuResources(), rows.shape[1], faiss.METRIC_L2, config)
    index.train(rows, numeric_type=faiss.Float16)
    copy = faiss.IndexHNSWCagra()
    copy.base_level_only = True  # the only way FAISS copies float16
    index.copyTo(copy)
    return copy


def _linked_by_cpu(rows: Any, options: CagraOptions) -> Any:
    index = faiss.IndexHNSWCagra(rows.shape[1], options.degree // 2, faiss.METRIC_L2, faiss.Float16)
    index.hnsw.efConstruction = max(options.first_degree, options.degree)
    index.add(rows.astype(np.float32))
    index.base_level_only = True
    return index
