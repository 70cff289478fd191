"""The interface of every structure in the comparison, and the structures of libraries other than FAISS."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from models.nesting import Vectors

Search = Callable[[Vectors], npt.NDArray[Any]]
"""From queries of shape (n, D) to rows of shape (n, k)."""

EF_CONSTRUCTION = 200


class Peer(ABC):
    """A structure over unit vectors: built once, saved, and loaded for measurement."""

    calibrated: ClassVar[bool] = False
    """Whether ``build`` is given ``queries``: of the kind that is asked, and none of those."""

    @classmethod
    @abstractmethod
    def build(cls, vectors: Vectors, threads: int, **options: Any) -> Self:
        """Build from memory-mapped float32 unit rows with the given number of threads."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write into an empty folder."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, vectors: Vectors) -> Self:
        """Read what :meth:`save` wrote; ``vectors`` are the memory-mapped rows it was built from."""

    @abstractmethod
    def searcher(self, k: int, threads: int, **knob: Any) -> Search:
        """Return a search function with everything prepared in advance."""

    def mapped_bytes(self) -> int:
        """Bytes of memory-mapped files that searches read in addition to the process's memory."""
        return 0


class HnswLib(Peer):
    """hnswlib's HNSW over float32."""

    def __init__(self, index: Any) -> None:
        self.index = index

    @classmethod
    def build(cls, vectors: Vectors, threads: int, *, degree: int) -> Self:
        import hnswlib

        index = hnswlib.Index("ip", vectors.shape[1])
        index.init_index(len(vectors), M=degree, ef_construction=EF_CONSTRUCTION)
        index.add_items(vectors, num_threads=threads)
        return cls(index)

    def save(self, folder: Path) -> None:
        self.index.save_index(str(folder / "index"))

    @classmethod
    def load(cls, folder: Path, vectors: Vectors) -> Self:
        import hnswlib

        index = hnswlib.Index("ip", vectors.shape[1])
        index.load_index(str(folder / "index"))
        return cls(index)

    def searcher(self, k: int, threads: int, *, effort: int) -> Search:
        self.index.set_ef(effort)
        query = self.index.knn_query
        return lambda queries: query(queries, k, num_threads=threads)[0].astype(np.int64)


class USearch(Peer):
    """usearch's HNSW over float32."""

    def __init__(self, index: Any) -> None:
        self.index = index

    @classmethod
    def build(cls, vectors: Vectors, threads: int, *, degree: int) -> Self:
        from usearch.index import Index

        index = Index(
            ndim=vectors.shape[1], metric="ip", dtype="f32", connectivity=degree, expansion_add=EF_CONSTRUCTION
        )
        index.add(np.arange(len(vectors)), vectors, threads=threads)
        return cls(index)

    def save(self, folder: Path) -> None:
        self.index.save(str(folder / "index"))

    @classmethod
    def load(cls, folder: Path, vectors: Vectors) -> Self:
        from usearch.index import Index

        return cls(Index.restore(str(folder / "index")))

    def searcher(self, k: int, threads: int, *, effort: int) -> Search:
        self.index.expansion_search = effort
        search = self.index.search
        # One query gives Matches of shape (k,), many BatchMatches of shape (n, k).
        return lambda queries: search(queries, k, threads=threads).keys.reshape(len(queries), -1).astype(np.int64)


class Vamana(Peer):
    """SVS's Vamana over float32. Unit vectors rank equally by L2 and by inner product."""

    def __init__(self, index: Any) -> None:
        self.index = index

    @classmethod
    def build(cls, vectors: Vectors, threads: int, *, degree: int) -> Self:
        import svs

        parameters = svs.VamanaBuildParameters(alpha=1.2, graph_max_degree=degree, window_size=EF_CONSTRUCTION)
        return cls(svs.Vamana.build(parameters, np.ascontiguousarray(vectors), svs.DistanceType.L2, threads))

    def save(self, folder: Path) -> None:
        self.index.save(*(str(folder / part) for part in ("config", "graph", "data")))

    @classmethod
    def load(cls, folder: Path, vectors: Vectors) -> Self:
        import svs

        config, graph, data = (str(folder / part) for part in ("config", "graph", "data"))
        loader = svs.VectorDataLoader(data, svs.DataType.float32, dims=vectors.shape[1])
        return cls(svs.Vamana(config, svs.GraphLoader(graph), loader, svs.DistanceType.L2))

    def searcher(self, k: int, threads: int, *, effort: int) -> Search:
        self.index.num_threads = threads
        self.index.search_window_size = effort
        search = self.index.search
        return lambda queries: search(queries, k)[0].astype(np.int64)


class SymphonyQG(Peer):
    """rabitqlib's SymphonyQG over the raw vectors: a graph that estimates the distances of 32 neighbours at a time."""

    def __init__(self, index: Any) -> None:
        self.index = index

    @classmethod
    def build(cls, vectors: Vectors, threads: int, *, degree: int, build_effort: int = EF_CONSTRUCTION) -> Self:
        from rabitqlib import SymqgIndex

        index = SymqgIndex(vectors.shape[1], degree, metric="ip")
        index.build(np.ascontiguousarray(vectors), ef_construction=build_effort, num_threads=threads)
        return cls(index)

    def save(self, folder: Path) -> None:
        self.index.save(str(folder / "index"))

    @classmethod
    def load(cls, folder: Path, vectors: Vectors) -> Self:
        from rabitqlib import SymqgIndex

        return cls(SymqgIndex.load(str(folder / "index")))

    def searcher(self, k: int, threads: int, *, effort: int) -> Search:
        search = self.index.search
        return lambda queries: search(queries, k, effort, threads)[0].astype(np.int64)
