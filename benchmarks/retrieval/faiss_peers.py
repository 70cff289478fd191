"""FAISS's structures at full dimension, and naive adaptive retrieval with HNSW."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, Self

import faiss
import numpy as np
import numpy.typing as npt

from benchmarks.retrieval.peers import EF_CONSTRUCTION, Peer, Search
from models.nesting import Vectors, truncate

_TRAINED = 65_536
_ADDED = 65_536


class FaissPeer(Peer):
    """A FAISS index in one file."""

    def __init__(self, index: Any) -> None:
        self.index = index

    @classmethod
    @abstractmethod
    def make(cls, rows: int, dimension: int, **options: Any) -> Any:
        """Create the empty index."""

    @classmethod
    def build(cls, vectors: Vectors, threads: int, **options: Any) -> Self:
        faiss.omp_set_num_threads(threads)
        index = cls.make(*vectors.shape, **options)
        if not index.is_trained:
            index.train(np.ascontiguousarray(vectors[: _trained(index, len(vectors))]))
        # In blocks, so that an index's temporary copy of the rows stays small.
        for start in range(0, len(vectors), _ADDED):
            index.add(np.ascontiguousarray(vectors[start : start + _ADDED]))
        return cls._over(index, vectors)

    def save(self, folder: Path) -> None:
        faiss.write_index(self.index, str(folder / "index.faiss"))

    @classmethod
    def load(cls, folder: Path, vectors: Vectors) -> Self:
        return cls._over(faiss.read_index(str(folder / "index.faiss")), vectors)

    @classmethod
    def _over(cls, index: Any, vectors: Vectors) -> Self:
        return cls(index)

    def searcher(self, k: int, threads: int, **knob: Any) -> Search:
        faiss.omp_set_num_threads(threads)
        parameters, search = self.parameters(k, **knob), self.index.search
        return lambda queries: search(queries, k, params=parameters)[1]

    def parameters(self, k: int, **knob: Any) -> Any:
        """Return FAISS's search parameters, None if the structure has none."""
        return None


class Flat(FaissPeer):
    """A scan of float32 rows."""

    @classmethod
    def make(cls, rows: int, dimension: int) -> Any:
        return faiss.IndexFlatIP(dimension)


class FlatPanorama(FaissPeer):
    """A scan that abandons rows whose bound can no longer reach the best k, level by level."""

    @classmethod
    def make(cls, rows: int, dimension: int, *, levels: int) -> Any:
        return faiss.IndexFlatIPPanorama(dimension, levels)


class Hnsw(FaissPeer):
    """HNSW over float32 rows."""

    @classmethod
    def make(cls, rows: int, dimension: int, *, degree: int) -> Any:
        return _for_building(faiss.IndexHNSWFlat(dimension, degree, faiss.METRIC_INNER_PRODUCT))

    def parameters(self, k: int, *, effort: int) -> Any:
        return faiss.SearchParametersHNSW(efSearch=effort)


class HnswPanorama(Hnsw):
    """HNSW whose distances are refined level by level. FAISS has it only for L2, which ranks unit rows equally."""

    @classmethod
    def make(cls, rows: int, dimension: int, *, degree: int, levels: int) -> Any:
        return _for_building(faiss.IndexHNSWFlatPanorama(dimension, degree, levels))


class RerankedHnsw(Hnsw):
    """HNSW over compressed or shortened rows; its best ``keep`` are reranked with the float32 file, in numpy."""

    def __init__(self, index: Any, vectors: Vectors) -> None:
        super().__init__(index)
        self.vectors = vectors

    @classmethod
    def _over(cls, index: Any, vectors: Vectors) -> Self:
        return cls(index, vectors)

    def searcher(self, k: int, threads: int, *, keep: int, **knob: Any) -> Search:
        shortlist, vectors = super().searcher(keep, threads, **knob), self.vectors

        def search(queries: Vectors) -> npt.NDArray[Any]:
            found = shortlist(self.shortened(queries))
            for number, query in enumerate(queries):
                rows = found[number]
                # Row -1 means no result; whatever is read for it is sorted to the end.
                scores = np.where(rows >= 0, vectors[rows] @ query, -np.inf)
                found[number] = rows[np.argsort(-scores)]
            return found[:, :k]

        return search

    def shortened(self, queries: Vectors) -> Vectors:
        """Return queries in the form the index expects."""
        return queries

    def mapped_bytes(self) -> int:
        return self.vectors.nbytes


class HnswSq8(RerankedHnsw):
    """HNSW over 8-bit rows."""

    @classmethod
    def make(cls, rows: int, dimension: int, *, degree: int) -> Any:
        quantizer = faiss.ScalarQuantizer.QT_8bit
        return _for_building(faiss.IndexHNSWSQ(dimension, quantizer, degree, faiss.METRIC_INNER_PRODUCT))


class NaiveAdaptive(RerankedHnsw):
    """Adaptive retrieval as in the paper: HNSW on a re-normalised prefix, then a rerank at full dimension."""

    @classmethod
    def build(cls, vectors: Vectors, threads: int, *, prefix: int, **options: Any) -> Self:
        return super().build(truncate(vectors, prefix), threads, **options)

    def shortened(self, queries: Vectors) -> Vectors:
        return truncate(queries, self.index.d)


class IvfPq(FaissPeer):
    """Inverted lists of 4-bit product codes, scanned 32 at a time, refined by float32 rows."""

    @classmethod
    def make(cls, rows: int, dimension: int) -> Any:
        # Cells as in FAISS's guide, 4·√N to a power of two; codes of two dimensions each, and four where D is large.
        cells = 1 << round(np.log2(4 * np.sqrt(rows)))
        codes = dimension // (2 if dimension <= 512 else 4)
        return faiss.index_factory(dimension, f"IVF{cells},PQ{codes}x4fs,RFlat", faiss.METRIC_INNER_PRODUCT)

    def parameters(self, k: int, *, probes: int, keep: int) -> Any:
        inner = faiss.SearchParametersIVF(nprobe=probes)
        return faiss.IndexRefineSearchParameters(k_factor=keep / k, base_index_params=inner)


def _for_building(index: Any) -> Any:
    index.hnsw.efConstruction = EF_CONSTRUCTION
    return index


def _trained(index: Any, rows: int) -> int:
    """Training rows: FAISS wants at least 39 a cell and uses at most 256."""
    cells = faiss.extract_index_ivf(index).nlist if isinstance(index, faiss.IndexRefineFlat) else 0
    return min(rows, max(_TRAINED, 50 * cells))
